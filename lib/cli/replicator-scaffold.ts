#!/usr/bin/env node
// The command mostajs-replicator-scaffold: writes the service file of a project's replication.
import { scaffoldReplicatorService } from '../replicator/scaffold.js';
import { scaffoldFromCommandLine } from './scaffold-command.js';

const command = { name: 'mostajs-replicator-scaffold', writes: 'services/replicator.mjs', scaffold: scaffoldReplicatorService, hasUnits: true };
process.exitCode = scaffoldFromCommandLine(command, process.argv.slice(2));
