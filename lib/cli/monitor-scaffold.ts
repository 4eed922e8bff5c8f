#!/usr/bin/env node
// The command mostajs-monitor-scaffold: writes the service file of a project's dashboard.
import { scaffoldMonitorService } from '../monitor/scaffold.js';
import { scaffoldFromCommandLine } from './scaffold-command.js';

const command = { name: 'mostajs-monitor-scaffold', writes: 'services/monitor.mjs', scaffold: scaffoldMonitorService };
process.exitCode = scaffoldFromCommandLine(command, process.argv.slice(2));
