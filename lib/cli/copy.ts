#!/usr/bin/env node
// The command mostajs-copy: copies between databases and files.
import { copyFromCommandLine } from './copy-command.js';

// Whoever reads what is printed may stop reading; that is no reason to stop copying.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

void copyFromCommandLine(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
