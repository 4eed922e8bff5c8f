// A run of node-pg-migrate: loads the files, connects, migrates, and tells its time and memory.
import { peakBytes, startPeak } from '../../snapshot/process-memory.mjs';

// Installed by the benchmark only, so that the type check need not find it.
const { runner } = await import(String('node-pg-migrate'));
const [, , dir = '', databaseUrl = ''] = process.argv;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

const hasPeak = startPeak();
const begun = performance.now();
const applied = await runner({ databaseUrl, dir, direction: 'up', migrationsTable: 'pgmigrations', singleTransaction: false, logger: silent, verbose: false });
const milliseconds = performance.now() - begun;
console.log(JSON.stringify({ milliseconds, applied: applied.length, bytes: hasPeak ? peakBytes() : null }));
