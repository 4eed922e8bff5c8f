// Which locks a statement takes on tables that were there before it: seen in pg_locks, within its transaction or beside it.
import type { PooledClient } from '../../pooled-client.js';

/** A lock that a statement took or waited for. */
export interface MeasuredLock {
  /** The table or index, with its schema. */
  relation: string;
  /** As PostgreSQL names it: `AccessExclusiveLock`. */
  mode: string;
  blocks: 'reads and writes' | 'writes' | 'changes of the table' | 'nothing';
}

/** A relation that others may use. */
interface Relation {
  oid: number;
  name: string;
  isTable: boolean;
}

const MODES = ['AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'];
const RELATIONS = `SELECT c.oid::int8::float8 AS oid, n.nspname || '.' || c.relname AS name, c.relkind IN ('r', 'p') AS "isTable"
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' ORDER BY c.oid`;
const LOCKS = `SELECT relation::int8::float8 AS oid, mode FROM pg_catalog.pg_locks
  WHERE locktype = 'relation' AND pid = $1::int4 AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`;
const PID = 'SELECT pg_catalog.pg_backend_pid() AS pid';

/** Looks at the locks of one connection from another. */
export class LockWatch {
  readonly #observer: PooledClient;
  readonly #pid: number;
  readonly #relations: Map<number, Relation>;
  #known = new Set<string>();

  private constructor(observer: PooledClient, pid: number, relations: readonly Relation[]) {
    this.#observer = observer;
    this.#pid = pid;
    this.#relations = new Map(relations.map((relation) => [relation.oid, relation]));
  }

  /** Begins: what is there now counts as used by others. */
  static async begin(watched: PooledClient, observer: PooledClient): Promise<LockWatch> {
    const pid = (await watched.query<{ pid: number }>(PID)).rows[0]?.pid ?? 0;
    return new LockWatch(observer, pid, (await observer.query<Relation>(RELATIONS)).rows);
  }

  /** The locks that came since the last look, the strongest of each relation; those of a transaction that is open stay. */
  async newLocks(): Promise<MeasuredLock[]> {
    const found = await this.#locks();
    const fresh = found.filter(({ relation, mode }) => !this.#known.has(`${relation} ${mode}`));
    for (const { relation, mode } of fresh) this.#known.add(`${relation} ${mode}`);
    return strongest(fresh);
  }

  /** The transaction has ended, and its locks with it. */
  forget(): void {
    this.#known = new Set();
  }

  /**
   * Runs a statement that belongs to no transaction beside one that writes to every table. It waits for that, or not; either way
   * its locks can be seen before they are gone.
   */
  async beside(run: () => Promise<unknown>): Promise<{ locks: MeasuredLock[]; waited: boolean; milliseconds: number }> {
    const tables = [...this.#relations.values()].filter(({ isTable }) => isTable);
    const quoted = tables.map(({ name }) => name.split('.').map((part) => `"${part.replaceAll('"', '""')}"`).join('.'));
    await this.#observer.query('BEGIN');
    if (quoted.length > 0) await this.#observer.query(`LOCK TABLE ${quoted.join(', ')} IN ROW EXCLUSIVE MODE`);
    let begun = performance.now();
    const state = { isOver: false, milliseconds: 0 };
    const statement = run().finally(() => {
      state.isOver = true;
      state.milliseconds = performance.now() - begun;
    });
    // Whoever awaits it hears of its failure.
    statement.catch(() => undefined);
    const seen = new Map<string, MeasuredLock>();
    let waited = false;
    try {
      while (!state.isOver && !waited) {
        // Looked at in this order, the locks of one that waits are there to be seen.
        waited = await this.#waits();
        for (const lock of await this.#locks()) seen.set(`${lock.relation} ${lock.mode}`, lock);
      }
    } finally {
      begun = waited ? performance.now() : begun;
      await this.#observer.query('ROLLBACK');
    }
    await statement;
    return { locks: strongest([...seen.values()]), waited, milliseconds: state.milliseconds };
  }

  async #waits(): Promise<boolean> {
    const sql = "SELECT 1 AS found FROM pg_catalog.pg_stat_activity WHERE pid = $1::int4 AND wait_event_type = 'Lock'";
    return (await this.#observer.query(sql, [this.#pid])).rows.length > 0;
  }

  async #locks(): Promise<MeasuredLock[]> {
    const { rows } = await this.#observer.query<{ oid: number; mode: string }>(LOCKS, [this.#pid]);
    return rows.flatMap(({ oid, mode }) => {
      const relation = this.#relations.get(oid)?.name;
      return relation === undefined ? [] : [{ relation, mode, blocks: blocked(mode) }];
    });
  }
}

function strongest(locks: readonly MeasuredLock[]): MeasuredLock[] {
  const best = new Map<string, MeasuredLock>();
  for (const lock of locks) {
    const other = best.get(lock.relation);
    if (other === undefined || MODES.indexOf(lock.mode) > MODES.indexOf(other.mode)) best.set(lock.relation, lock);
  }
  return [...best.values()].sort((one, other) => (one.relation < other.relation ? -1 : 1));
}

function blocked(mode: string): MeasuredLock['blocks'] {
  const strength = MODES.indexOf(mode);
  if (strength === MODES.length - 1) return 'reads and writes';
  if (strength >= 4) return 'writes';
  return strength === 3 ? 'changes of the table' : 'nothing';
}
