// Measuring migrations: each statement is run on a scratch copy of the schema, and its locks and its time are told.
import { native } from '../../../native.js';
import type { ClustersConfig } from '../../config-types.js';
import type { PooledClient } from '../../pooled-client.js';
import type { QueryResult } from '../../types.js';
import { readScript } from '../lint/script-statements.js';
import type { FoundMigration } from '../migration-file.js';
import type { MigrationContext } from '../types.js';
import { LockWatch, type MeasuredLock } from './lock-watch.js';
import { makeScratch } from './scratch-database.js';

/** A statement as it ran on the scratch copy. */
export interface MeasuredStatement {
  version: string;
  schema: string;
  cluster: string;
  /** The line of the file of SQL; `null` for a statement of a function. */
  line: number | null;
  statement: string;
  /** Without rows in the tables. */
  milliseconds: number;
  locks: MeasuredLock[];
  /** Whether it waited for one that writes; only known of statements outside of a transaction. */
  waited: boolean;
}

/** A migration that was not measured, or not to its end. */
export interface Unmeasured {
  version: string;
  schema: string;
  cluster: string;
  reason: string;
}

/** What was measured on the clusters. */
export interface MeasureReport {
  statements: MeasuredStatement[];
  unmeasured: Unmeasured[];
}

interface Statement {
  text: string;
  line: number;
  standsAlone: boolean;
}

interface Place {
  version: string;
  schema: string;
  cluster: string;
}

const SILENT = { info() {}, warn() {}, error() {}, debug() {} };

/**
 * Runs pending migrations on a scratch copy of each cluster's database that is removed afterwards.
 *
 * @param pending what is pending, in the order in which it would run.
 * @param signal ends it after the statement that runs; the copies are removed then too.
 */
export async function measure(clusters: ClustersConfig, found: readonly FoundMigration[], pending: readonly Place[], signal: AbortSignal): Promise<MeasureReport> {
  const report: MeasureReport = { statements: [], unmeasured: [] };
  const byVersion = new Map(found.map((each) => [each.migration.version, each]));
  for (const [cluster, config] of Object.entries(clusters)) {
    // Callers may know more of a place than reports are to tell.
    const here = pending.filter((place) => place.cluster === cluster).map(({ version, schema }): Place => ({ version, schema, cluster }));
    // Only a cluster in shards has no primary of its own, and its shards stand here in its place.
    if (here.length === 0 || signal.aborted || config.primary === undefined) continue;
    const scratch = await makeScratch(config.primary, config.schemas ?? []);
    try {
      const observer = await scratch.db.getConnection({ clusterId: 'scratch', operation: 'write' });
      const worker = await scratch.db.getConnection({ clusterId: 'scratch', operation: 'write' });
      const stopped = new Set<string>();
      for (const place of here) {
        const migration = byVersion.get(place.version);
        if (migration === undefined || signal.aborted) continue;
        const problem = stopped.has(place.schema) ? 'a migration before it was not measured to its end' : await measureOne(migration, place, worker, observer, report);
        if (problem === undefined) continue;
        stopped.add(place.schema);
        report.unmeasured.push({ ...place, reason: problem });
      }
      worker.release(true);
      observer.release(true);
    } finally {
      await scratch.remove();
    }
  }
  return report;
}

/** Runs one migration; gives why it did not come to its end. */
async function measureOne(found: FoundMigration, place: Place, worker: PooledClient, observer: PooledClient, report: MeasureReport): Promise<string | undefined> {
  const { migration, sql, text } = found;
  if (sql === undefined && (text === undefined || !readScript(text).isClosed)) return 'its functions reach more than the database, so that they are not run';
  const run = new MeasuredRun(place, worker, await prepared(place, worker, observer), report);
  try {
    if (migration.transaction !== false) await run.begin();
    if (sql === undefined) await migration.up(run.context());
    else for (const statement of statementsOf(sql.up)) await run.statement(statement, []);
    await run.end('COMMIT');
    return undefined;
  } catch (error) {
    await run.end('ROLLBACK').catch(() => undefined);
    return error instanceof Error ? error.message : String(error);
  }
}

/** Puts the schema first on the search path, and makes it where it is missing. */
async function prepared({ schema }: Place, worker: PooledClient, observer: PooledClient): Promise<LockWatch> {
  const quoted = `"${schema.replaceAll('"', '""')}"`;
  await worker.query('RESET ALL');
  await worker.query(`CREATE SCHEMA IF NOT EXISTS ${quoted}`);
  await worker.query("SELECT set_config('search_path', concat_ws(', ', $1::text, NULLIF(current_setting('search_path'), '')), false)", [quoted]);
  return LockWatch.begin(worker, observer);
}

function statementsOf(sql: string): Statement[] {
  return JSON.parse(native.splitStatements(sql)) as Statement[];
}

/** The run of one migration at one place. */
class MeasuredRun {
  readonly #place: Place;
  readonly #worker: PooledClient;
  readonly #watch: LockWatch;
  readonly #report: MeasureReport;
  #isOpen = false;

  constructor(place: Place, worker: PooledClient, watch: LockWatch, report: MeasureReport) {
    this.#place = place;
    this.#worker = worker;
    this.#watch = watch;
    this.#report = report;
  }

  context(): MigrationContext {
    const query = async <T>(sql: string, params: readonly unknown[] = []): Promise<QueryResult<T>> => {
      const [first, ...others] = statementsOf(sql);
      if (first === undefined || others.length === 0) return this.statement<T>(first ?? { text: sql, line: 1, standsAlone: false }, params, true);
      let last: QueryResult<T> | undefined;
      for (const statement of [first, ...others]) last = await this.statement<T>(statement, [], true);
      return last as QueryResult<T>;
    };
    return { ...this.#place, query, logger: SILENT };
  }

  async begin(): Promise<void> {
    await this.#worker.query('BEGIN');
    this.#isOpen = true;
  }

  async end(command: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    if (this.#isOpen) await this.#worker.query(command);
    this.#isOpen = false;
    this.#watch.forget();
  }

  /** Runs a statement, in the transaction that is open or by itself, and tells of it. */
  async statement<T>({ text, line, standsAlone }: Statement, params: readonly unknown[], isOfFunction = false): Promise<QueryResult<T>> {
    if (standsAlone) await this.end('COMMIT');
    const control = standsAlone && /^\s*(begin|start|commit|end|rollback|abort)\b/i.exec(text);
    if (control) {
      // The statement itself is none that locks.
      const result = await this.#worker.query<T>(text);
      this.#isOpen = /^(begin|start)$/i.test(control[1] ?? '');
      return result;
    }
    const shared = { ...this.#place, line: isOfFunction ? null : line, statement: text.replace(/\s+/g, ' ').slice(0, 100) };
    if (standsAlone) {
      let result: QueryResult<T> | undefined;
      const seen = await this.#watch.beside(async () => (result = await this.#worker.query<T>(text, [...params])));
      this.#report.statements.push({ ...shared, ...seen, milliseconds: rounded(seen.milliseconds) });
      return result as QueryResult<T>;
    }
    const isAlone = !this.#isOpen;
    if (isAlone) await this.begin();
    const begun = performance.now();
    const result = await this.#worker.query<T>(text, [...params]);
    const milliseconds = rounded(performance.now() - begun);
    this.#report.statements.push({ ...shared, milliseconds, locks: await this.#watch.newLocks(), waited: false });
    if (isAlone) await this.end('COMMIT');
    return result;
  }
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10;
}
