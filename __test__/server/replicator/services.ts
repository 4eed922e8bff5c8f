// Entity services on databases of every dialect, each on tables of its own, for the suites of syncs.
import { EntityService } from 'replicaverse';
import type { EntityDeclaration } from 'replicaverse';
import { DIALECTS, startDatabase } from '../orm/databases.js';
import type { Database } from '../orm/databases.js';

/** A dialect that syncs are tested with. */
export type Tested = (typeof DIALECTS)[number];

/** Each dialect is source and target once. */
export const PAIRS: readonly (readonly [Tested, Tested])[] = [
  ['sqlite', 'postgres'],
  ['postgres', 'mongodb'],
  ['mongodb', 'mariadb'],
  ['mariadb', 'sqlite'],
];

/** One running database of each dialect. */
export class Services {
  readonly #databases: ReadonlyMap<Tested, Database>;

  private constructor(databases: ReadonlyMap<Tested, Database>) {
    this.#databases = databases;
  }

  static async start(): Promise<Services> {
    const started = DIALECTS.map(async (dialect) => [dialect, await startDatabase(dialect)] as const);
    return new Services(new Map(await Promise.all(started)));
  }

  /** A service over empty tables. */
  async open(dialect: Tested, schemas: readonly EntityDeclaration[]): Promise<EntityService> {
    const database = this.#databases.get(dialect);
    if (database === undefined) throw new Error(`${dialect} is not running`);
    return new EntityService(await database.connect(schemas), schemas);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#databases.values()].map((database) => database.stop()));
  }
}
