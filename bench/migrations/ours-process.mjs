// A run of this library: loads the files, connects, migrates, and tells its time and memory.
import { PgMultiverse } from 'replicaverse/pg-multiverse';
import { peakBytes, startPeak } from '../snapshot/process-memory.mjs';

const [, , folder = '', ...uris] = process.argv;
const silent = { info() {}, warn() {}, error() {}, debug() {} };

/**
 * @param {string} uri
 * @param {number} priority must differ, as all have the same schema
 */
function cluster(uri, priority) {
  const { hostname, port, pathname, username, password } = new URL(uri);
  const primary = { host: hostname, port: Number(port), database: pathname.slice(1), user: username, password: decodeURIComponent(password) };
  return { schemas: ['public'], priority, primary, connectionPool: { min: 0, max: 3 } };
}

const hasPeak = startPeak();
const begun = performance.now();
const db = new PgMultiverse({ enableMigrations: true, migrations: { migrationsPath: folder, logger: silent } });
await db.initialize(Object.fromEntries(uris.map((uri, at) => [`cluster_${at}`, cluster(uri, uris.length - at)])));
const { appliedMigrations } = await db.migrate({ parallel: uris.length > 1, maxParallel: uris.length });
await db.close();
const milliseconds = performance.now() - begun;
console.log(JSON.stringify({ milliseconds, applied: appliedMigrations, bytes: hasPeak ? peakBytes() : null }));
