// Databases of every dialect for the replication suites, each empty when handed out.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startMongo, startPostgres } from '../../support/index.mjs';

/** The dialects that are tested against each other. */
export const DIALECTS = ['postgres', 'sqlite', 'mongodb'] as const;
export type Dialect = (typeof DIALECTS)[number];

/** One running server of each kind, and a folder for files. */
export class Databases {
  #counter = 0;

  private constructor(
    readonly postgres: Awaited<ReturnType<typeof startPostgres>>,
    readonly mongo: Awaited<ReturnType<typeof startMongo>>,
    readonly folder: string,
  ) {}

  static async start(): Promise<Databases> {
    const [postgres, mongo, folder] = await Promise.all([
      startPostgres(),
      startMongo(),
      mkdtemp(join(tmpdir(), 'replicaverse-databases-')),
    ]);
    return new Databases(postgres, mongo, folder);
  }

  /** The URI of a new, empty database. */
  async create(dialect: Dialect): Promise<string> {
    const name = `db_${String(process.pid)}_${String((this.#counter += 1))}`;
    if (dialect === 'postgres') return this.postgres.createDatabase(name);
    if (dialect === 'sqlite') return join(this.folder, `${name}.db`);
    const uri = new URL(this.mongo.uri);
    uri.pathname = `/${name}`;
    return uri.href;
  }

  async remove(): Promise<void> {
    await Promise.all([this.postgres.remove(), this.mongo.remove(), rm(this.folder, { recursive: true })]);
  }
}
