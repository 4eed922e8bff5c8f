// Databases of every dialect for the replication suites, each empty when handed out.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startMariadb, startMongo, startPostgres } from '../../support/index.mjs';
import { temporaryFolder } from '../../support/temporary-folder.mjs';

/** The dialects that are tested against each other. */
export const DIALECTS = ['postgres', 'sqlite', 'mongodb', 'mariadb'] as const;
export type Dialect = (typeof DIALECTS)[number];

/** The dialects that are tested in every pair. */
const PAIRED = ['postgres', 'sqlite', 'mongodb'] as const;

/** The pairs of source and target that are tested; of those with MariaDB the ones that differ most. */
export const PAIRS: readonly (readonly [Dialect, Dialect])[] = [
  ...PAIRED.flatMap((source) => PAIRED.map((target) => [source, target] as const)),
  ['postgres', 'mariadb'],
  ['mariadb', 'postgres'],
  ['mariadb', 'mongodb'],
  ['sqlite', 'mariadb'],
  ['mariadb', 'mariadb'],
];

/** One running server of each kind, and a folder for files. */
export class Databases {
  #counter = 0;

  private constructor(
    readonly postgres: Awaited<ReturnType<typeof startPostgres>>,
    readonly mongo: Awaited<ReturnType<typeof startMongo>>,
    readonly mariadb: Awaited<ReturnType<typeof startMariadb>>,
    readonly folder: string,
  ) {}

  static async start(): Promise<Databases> {
    const [postgres, mongo, mariadb, folder] = await Promise.all([
      startPostgres(),
      startMongo(),
      startMariadb(),
      temporaryFolder('databases'),
    ]);
    return new Databases(postgres, mongo, mariadb, folder);
  }

  /** The URI of a new, empty database. */
  async create(dialect: Dialect): Promise<string> {
    const name = `db_${String(process.pid)}_${String((this.#counter += 1))}`;
    if (dialect === 'postgres') return this.postgres.createDatabase(name);
    if (dialect === 'sqlite') return join(this.folder, `${name}.db`);
    if (dialect === 'mariadb') await this.mariadb.sql(`CREATE DATABASE ${name}`);
    const uri = new URL(dialect === 'mariadb' ? this.mariadb.uri : this.mongo.uri);
    uri.pathname = `/${name}`;
    return uri.href;
  }

  async remove(): Promise<void> {
    await Promise.all([this.postgres.remove(), this.mongo.remove(), this.mariadb.remove(), rm(this.folder, { recursive: true })]);
  }
}
