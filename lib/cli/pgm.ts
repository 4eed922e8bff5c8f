#!/usr/bin/env node
// The command pgm: migrations of PostgreSQL clusters.
import { runPgm } from './pgm/program.js';

// Whoever reads what is printed may stop reading; that is no reason to stop migrating.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

void runPgm(process.argv.slice(2)).then((code) => {
  // A migration may have left a timer or a socket open, and the command ends nevertheless; but not before all is printed.
  process.exitCode = code;
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
});
