// A scratch copy of a database's schema on the same server: made by pg_dump, gone when it is no longer needed.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { configError, ReplicaverseError } from '../../../errors.js';
import type { DatabaseConnection } from '../../config-types.js';
import { PgMultiverse } from '../../pg-multiverse.js';

/** Lines for psql, which pg_dump puts around the statements. */
const FOR_PSQL = /^\\(?:un)?restrict .*$/gm;

/** A cluster of one database that holds the schema of another, and none of its rows. */
export interface ScratchDatabase {
  readonly db: PgMultiverse;
  readonly name: string;
  /** Drops the database, whoever is connected to it. */
  remove(): Promise<void>;
}

/**
 * Makes a scratch copy. The role needs the right to create databases, and `pg_dump` must be on the PATH.
 *
 * @throws {ReplicaverseError} where the schema cannot be read or made again; nothing is left then.
 */
export async function makeScratch(primary: DatabaseConnection, searchPath: readonly string[]): Promise<ScratchDatabase> {
  const schema = await dumpSchema(primary);
  const name = `pgm_scratch_${Math.floor(Date.now() / 1000)}_${randomBytes(4).toString('hex')}`;
  await withAdmin(primary, (db) => db.query(`CREATE DATABASE "${name}" TEMPLATE template0`));
  const remove = () => withAdmin(primary, (admin) => admin.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`));
  const db = new PgMultiverse({ cluster: { applicationName: 'pgm measure' } });
  try {
    await db.initialize({ scratch: { schemas: [...searchPath], primary: { ...primary, database: name }, connectionPool: { min: 0, max: 3 } } });
    const client = await db.getConnection({ clusterId: 'scratch', operation: 'write' });
    try {
      await client.query(schema);
    } finally {
      // It has the settings of the dump.
      client.release(true);
    }
  } catch (error) {
    await db.close();
    await remove();
    throw error;
  }
  return {
    db,
    name,
    remove: async () => {
      await db.close();
      await remove();
    },
  };
}

async function withAdmin(primary: DatabaseConnection, use: (db: PgMultiverse) => Promise<unknown>): Promise<void> {
  const db = new PgMultiverse({ cluster: { applicationName: 'pgm measure' } });
  await db.initialize({ admin: { schemas: [], primary, connectionPool: { min: 0, max: 1 } } });
  try {
    await use(db);
  } finally {
    await db.close();
  }
}

/** The statements that make the schema. The password is given by the environment, so that no list of processes shows it. */
function dumpSchema({ host, port, user, password, database, ssl }: DatabaseConnection): Promise<string> {
  const args = ['--schema-only', '--no-owner', '--no-privileges', '--no-publications', '--no-subscriptions', '--host', host, '--port', String(port), '--username', user, '--dbname', database];
  const sslMode = ssl === undefined || ssl === false ? {} : { PGSSLMODE: 'require' };
  const child = spawn('pg_dump', args, { env: { ...process.env, ...sslMode, PGPASSWORD: password }, stdio: ['ignore', 'pipe', 'pipe'] });
  return new Promise((resolve, reject) => {
    const [output, errors] = [[] as string[], [] as string[]];
    child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'ENOENT' ? configError('--measure needs pg_dump, which is not on the PATH: install the client programs of PostgreSQL', error) : error);
    });
    child.once('close', (code) => {
      if (code === 0) resolve(output.join('').replace(FOR_PSQL, ''));
      else reject(new ReplicaverseError(`pg_dump cannot read the schema: ${errors.join('').trim()}`, { kind: 'Migration', code: 'ERR_MIGRATION_MEASURE' }));
    });
  });
}
