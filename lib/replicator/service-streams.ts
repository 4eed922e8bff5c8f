// The rules that the service streams: started once, begun anew when they have ended, and told of in the log with true figures.
import { ReplicaverseError } from '../errors.js';
import type { ReplicationManager } from './replication-manager.js';
import type { ServiceLog } from './service-log.js';
import { StreamFigures } from './stream-figures.js';
import type { ReplicationRule } from './types.js';

/** Whether the service streams a rule, or runs it at intervals. */
export function isStreamed({ mode, capture }: Pick<ReplicationRule, 'mode' | 'capture'>): boolean {
  return mode === 'cdc' && capture !== 'poll';
}

/** The streams of a service, and what it tells of its replicas. */
export class ServiceStreams {
  readonly #manager: ReplicationManager;
  readonly #log: ServiceLog;
  readonly #figures: StreamFigures;
  /** How many transactions of each rule were applied since it was last told of. */
  readonly #transactions = new Map<string, number>();
  /** The rules that this instance was the last to stream, as far as it knows. */
  readonly #running = new Set<string>();

  constructor(manager: ReplicationManager, log: ServiceLog) {
    this.#manager = manager;
    this.#log = log;
    this.#figures = new StreamFigures(manager);
    manager.on('batch', ({ rule, transactions }) => { this.#transactions.set(rule, (this.#transactions.get(rule) ?? 0) + transactions); });
    manager.on('state', ({ rule, state, reason }) => {
      if (state === 'copying' || state === 'streaming') this.#running.add(rule);
      if (state === 'standby') this.#running.delete(rule);
      log.info(`stream ${rule}: ${state}${reason === undefined ? '' : ` (${reason})`}`);
    });
    manager.on('error', (error) => { this.#logError(error); });
    manager.on('replica.state', ({ project, name, status, stale, error }) => {
      const text = `replica ${project}/${name}: ${status}${stale ? ', too far behind' : ''}${error === undefined ? '' : ` (${error})`}`;
      if (status === 'connected' && !stale) log.info(text);
      else log.warn(text);
    });
    manager.on('replica.feed', ({ project, name, feed, warning }) => {
      if (warning === undefined) log.info(`replica ${project}/${name}: feed ${feed}`);
      else log.warn(`replica ${project}/${name}: feed ${feed}: ${warning}`);
    });
    manager.on('rows.lost', ({ project, name, collection, count, keys }) => {
      log.warn(`rows of ${project}/${name} are given up in ${collection}: ${keys.slice(0, 100).join(' ')}`, { count });
    });
    manager.on('quorum', ({ project, hasMajority, reachable, replicas }) => {
      if (hasMajority) log.info(`project ${project}: ${reachable} of ${replicas} replicas are reached`);
      else log.error(`project ${project}: writes are refused, as only ${reachable} of ${replicas} replicas are reached`);
    });
    manager.on('failover', ({ project, newMaster, oldMaster }) => { log.warn(`failover in ${project}: ${newMaster} takes the place of ${oldMaster}`); });
    manager.on('failover.refused', ({ project, reason }) => { log.error(`no failover in ${project}: ${reason}`); });
  }

  /** Starts a rule that is not running; whether it is, by this instance or another. */
  async start(rule: string): Promise<boolean> {
    const state = this.#manager.getRuleStates().find((known) => known.rule === rule)?.state;
    if (state === 'lost') {
      this.#log.error(`stream ${rule}: lost; the target is to be repaired with resync`);
      return false;
    }
    if (state !== undefined && state !== 'stopped') return true;
    await this.#figures.anew(rule, () => this.#manager.start(rule));
    return true;
  }

  /** Whether this instance is the one that streams a rule, and not another. */
  runs(rule: string): boolean {
    return this.#running.has(rule);
  }

  /** Tells what every stream has done since this was last called, its first copy included, and how far it is behind. */
  logFigures(): void {
    for (const { rule, state, lag, retainedBytes } of this.#manager.getRuleStates()) {
      const transactions = this.#transactions.get(rule) ?? 0;
      this.#transactions.delete(rule);
      const done = this.#figures.take(rule);
      if (state === 'standby') {
        this.#log.info(`stream ${rule}: another instance streams this rule`);
        continue;
      }
      this.#log.info(`stream ${rule}:`, {
        state,
        transactions,
        ...done,
        ...(lag === undefined ? {} : { lag: `${lag}ms` }),
        ...(retainedBytes === undefined ? {} : { retained: retainedBytes }),
      });
    }
  }

  #logError(error: unknown): void {
    const { message } = error instanceof Error ? error : { message: String(error) };
    if (error instanceof ReplicaverseError) this.#log.error(message, { code: error.code });
    else this.#log.error(message);
  }
}
