#!/usr/bin/env node
// The command mostajs-copy: copies between databases and files.
import { copyFromCommandLine } from './copy-command.js';

void copyFromCommandLine(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
