// The two ends of a rule under test: a table `item (id, name)` at the source, written and read through plain statements.
import { ReplicationManager } from 'replicaverse';
import type { IDialect } from 'replicaverse';
import type { Databases, Dialect } from './databases.mjs';

const CREATE = 'CREATE TABLE item (id bigint PRIMARY KEY, name text)';
const CREATE_SQLITE = 'CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)';

/** A manager with the projects `from` and `to`. */
export class CdcEnds {
  readonly #databases: Databases;
  readonly #managers: ReplicationManager[] = [new ReplicationManager()];
  #uris: Record<'from' | 'to', [Dialect, string]> | undefined;

  constructor(databases: Databases) {
    this.#databases = databases;
  }

  /** The manager that was made last by {@link restart}, or the first. */
  get manager(): ReplicationManager {
    const [manager] = this.#managers;
    if (manager === undefined) throw new Error('there is no manager');
    return manager;
  }

  async open(from: Dialect, to: Dialect): Promise<void> {
    this.#uris = { from: [from, await this.#databases.create(from)], to: [to, await this.#databases.create(to)] };
    await this.#connect(this.manager);
    if (from !== 'mongodb') await this.write(from === 'sqlite' ? CREATE_SQLITE : CREATE);
  }

  /** A manager of its own on the same databases, as another process would have. */
  async another(): Promise<ReplicationManager> {
    const manager = new ReplicationManager();
    this.#managers.push(manager);
    await this.#connect(manager);
    return manager;
  }

  /** Replaces the manager, as a process that is started anew does. */
  async restart(): Promise<void> {
    await this.manager.disconnectAll();
    this.#managers[0] = new ReplicationManager();
    await this.#connect(this.manager);
  }

  async write(sql: string): Promise<void> {
    await this.writeThrough(this.manager, sql);
  }

  async writeThrough(manager: ReplicationManager, sql: string): Promise<void> {
    const dialect = dialectOf(manager, 'from');
    const statements = sql.startsWith('BEGIN;') ? sql.split(';').map((part) => part.trim()) : undefined;
    if (statements === undefined) {
      await dialect.executeRun(sql);
      return;
    }
    await dialect.$transaction(async (tx) => {
      for (const statement of statements.slice(1, -1)) await tx.executeRun(statement);
    });
  }

  async writeTarget(sql: string): Promise<void> {
    await dialectOf(this.manager, 'to').executeRun(sql);
  }

  query(sql: string): Promise<Record<string, unknown>[]> {
    return dialectOf(this.manager, 'from').executeQuery(sql);
  }

  queryTarget(sql: string): Promise<Record<string, unknown>[]> {
    return dialectOf(this.manager, 'to').executeQuery(sql);
  }

  /** The rows of the target. */
  async names(manager = this.manager): Promise<Record<string, unknown>> {
    const isMongo = this.#uris?.to[0] === 'mongodb';
    const statement = isMongo ? JSON.stringify({ find: 'item', batchSize: 1000 }) : 'SELECT id, name FROM item';
    const rows: Record<string, unknown>[] = await dialectOf(manager, 'to').executeQuery(statement);
    return Object.fromEntries(rows.map((row) => [String(row.id ?? row._id), row.name]));
  }

  async close(): Promise<void> {
    const [first, ...others] = this.#managers;
    for (const manager of others) await manager.disconnectAll();
    for (const { name } of first?.listRules() ?? []) first?.removeReplicationRule(name);
    await first?.disconnectAll();
  }

  async #connect(manager: ReplicationManager): Promise<void> {
    for (const [project, [dialect, uri]] of Object.entries(this.#uris ?? {})) {
      await manager.addReplica(project, { name: 'm', role: 'master', dialect, uri }, []);
    }
  }
}

function dialectOf(manager: ReplicationManager, project: string): IDialect {
  const service = manager.resolveWriteService(project);
  if (service === null) throw new Error(`no master in ${project}`);
  return service.dialect;
}
