// The service that a project runs beside its application: it reconnects a tree file and runs its rules.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { configError } from '../errors.js';
import { loadEnvironmentFiles } from './environment-files.js';
import { ReplicationManager } from './replication-manager.js';
import { type HealthEndpoint, healthOf, startHealthEndpoint } from './service-health.js';
import { type LogFields, type ServiceLog, serviceLog } from './service-log.js';
import { ServiceStreams, isStreamed } from './service-streams.js';
import { removeStatus, writeStatus } from './status-file.js';
import { connectTree } from './tree-connecting.js';
import type { ReplicationRule, SyncStats } from './types.js';

const DEFAULT_TREE = '.mostajs/replicator-tree.json';
const DEFAULT_INTERVAL_MS = 30_000;
const DEFAULT_DRAIN_MS = 20_000;
const DEFAULT_HEALTH_HOST = '127.0.0.1';
/** How often the service tells of itself in its status file. */
const STATUS_MS = 2000;

/** Settings of the service; what is left out comes from the environment, else has its default. */
export interface ReplicatorServiceOptions {
  /** The tree file: `REPLICATOR_TREE`, `.mostajs/replicator-tree.json`. */
  tree?: string;
  /** Milliseconds between two passes over the rules: `REPLICATOR_INTERVAL_MS`, 30000. */
  intervalMs?: number;
  /** Whether only warnings and errors are logged: `REPLICATOR_QUIET=1`. */
  quiet?: boolean;
  /** Whether to end after one pass: `--once` among the arguments of the process. */
  once?: boolean;
  /** Milliseconds that a run may go on for when the service is asked to end: `REPLICATOR_DRAIN_MS`, 20000. */
  drainMs?: number;
  /** The port of the health endpoint, 0 for any that is free: `REPLICATOR_HEALTH_PORT`; there is none by default. */
  healthPort?: number;
  /** The address of the health endpoint: `REPLICATOR_HEALTH_HOST`, `127.0.0.1`. */
  healthHost?: string;
  /** A program that makes the server of a PostgreSQL master of before a standby of the new one: `REPLICATOR_REWIND`; there is none by default. */
  rewind?: string;
}

type Settings = Required<Omit<ReplicatorServiceOptions, 'healthPort' | 'rewind'>> & { healthPort: number | undefined; rewind: string | undefined };

/**
 * Runs until SIGINT or SIGTERM, or with `once` for one pass, and gives the exit code: 0, or 1 when `once` something failed.
 * Reads `.mostajs/config.env` and `.env` of the working folder first.
 *
 * @throws {ReplicaverseError} for a setting or a tree file that is malformed.
 */
export async function runReplicatorService(options: ReplicatorServiceOptions = {}): Promise<number> {
  loadEnvironmentFiles([resolve('.mostajs/config.env'), resolve('.env')]);
  const settings = settingsOf(options);
  const service = new ReplicatorService(settings);
  return await service.run();
}

class ReplicatorService {
  readonly #settings: Settings;
  readonly #log: ServiceLog;
  readonly #manager: ReplicationManager;
  readonly #ending = new AbortController();
  readonly #streams: ServiceStreams;
  /** The rules whose last run failed. */
  readonly #failed = new Set<string>();
  /** The rules run at intervals that are for this instance to run. */
  readonly #held = new Set<string>();
  #lastPass: number | null = null;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#log = serviceLog(settings.quiet);
    this.#manager = new ReplicationManager(undefined, settings.rewind === undefined ? {} : { rewind: { command: settings.rewind } });
    this.#streams = new ServiceStreams(this.#manager, this.#log);
  }

  async run(): Promise<number> {
    const { tree, intervalMs, once, healthPort, healthHost } = this.#settings;
    const end = (signal: NodeJS.Signals): void => {
      if (!this.#ending.signal.aborted) this.#log.info(`shutting down (${signal})`);
      this.#ending.abort();
    };
    process.on('SIGINT', end);
    process.on('SIGTERM', end);
    const status = setInterval(() => { this.#tellStatus(); }, STATUS_MS);
    let health: HealthEndpoint | undefined;
    try {
      if (healthPort !== undefined) {
        health = await startHealthEndpoint(healthPort, healthHost, () => healthOf(this.#manager, this.#failed, this.#lastPass));
        this.#log.info(`health: ${health.url}/health`);
      }
      this.#log.info(`starting: interval=${intervalMs}ms, tree=${tree}`);
      const failed = await this.#passes();
      return once && failed ? 1 : 0;
    } finally {
      clearInterval(status);
      process.off('SIGINT', end);
      process.off('SIGTERM', end);
      await health?.stop();
      this.#streams.logFigures();
      await this.#disconnected();
      this.#removeStatus();
    }
  }

  /** One pass after the other until the service is to end; whether the last one failed. */
  async #passes(): Promise<boolean> {
    for (;;) {
      const failed = await this.#drained(this.#pass());
      if (this.#settings.once || this.#ending.signal.aborted) return failed;
      await this.#pause();
      if (this.#ending.signal.aborted) return false;
    }
  }

  async #pass(): Promise<boolean> {
    let failed = await this.#connect();
    const rules = this.#manager.listRules().filter(({ enabled }) => enabled);
    if (rules.length === 0) this.#log.info('no enabled rules');
    for (const rule of rules) {
      if (this.#ending.signal.aborted) break;
      const ran = await this.#runRule(rule);
      if (ran) this.#failed.delete(rule.name);
      else this.#failed.add(rule.name);
      failed ||= !ran;
    }
    this.#streams.logFigures();
    this.#lastPass = Date.now();
    this.#tellStatus();
    return failed;
  }

  /** Streams a rule of mode cdc, unless it does, and runs any other; whether that went well. */
  async #runRule(rule: ReplicationRule): Promise<boolean> {
    const { name } = rule;
    try {
      if (isStreamed(rule) && !this.#settings.once) return await this.#streams.start(name);
      if (!isStreamed(rule) && !(await this.#manager.holdRule(name))) {
        this.#held.delete(name);
        this.#log.info(`sync ${name}: another instance runs this rule`);
        return true;
      }
      if (!isStreamed(rule)) this.#held.add(name);
      const stats = await this.#manager.sync(name);
      this.#log.info(`sync ${name}:`, figuresOf(stats));
      return stats.errors === 0;
    } catch (error) {
      this.#log.error(`sync ${name}: ${messageOf(error)}`);
      return false;
    }
  }

  /** Ends streams and connections in order, for as long as the settings let that take. */
  async #disconnected(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const overdue = new Promise<void>((giveUp) => {
      timer = setTimeout(() => {
        this.#log.warn(`what does not end within ${this.#settings.drainMs}ms is broken off; the next start goes on from there`);
        giveUp();
      }, this.#settings.drainMs);
    });
    await Promise.race([this.#manager.disconnectAll(), overdue]);
    clearTimeout(timer);
  }

  /** Connects what is in the tree and is not connected yet; whether something could not be. */
  async #connect(): Promise<boolean> {
    const { tree } = this.#settings;
    if (!existsSync(tree)) {
      this.#log.warn(`there is no tree file at ${tree}`);
      return true;
    }
    try {
      this.#manager.loadFromFile(tree);
      await this.#forgetUnconnected();
      const { connected, failed } = await connectTree(this.#manager, tree);
      for (const { project, name } of connected) this.#log.info(`connected ${project}/${name}`);
      for (const { project, name, error } of failed) this.#log.error(`replica ${project}/${name}: ${messageOf(error)}`);
      return failed.length > 0;
    } catch (error) {
      // A file that was in order before may only be half written, which is no reason to end what runs.
      if (this.#lastPass === null) throw error;
      this.#log.error(messageOf(error));
      return true;
    }
  }

  /** Removes the replicas that could never be connected, so that the tree file brings them anew. */
  async #forgetUnconnected(): Promise<void> {
    for (const project of this.#manager.listProjects()) {
      for (const replica of this.#manager.getReplicaStatus(project)) {
        // One that was connected once comes back by itself; this one never was.
        if (replica.status === 'error' && this.#manager.getSyncStats(`${project}/${replica.name}`) === undefined) {
          await this.#manager.removeReplica(project, replica.name);
        }
      }
    }
  }

  /** The outcome of a pass; once the service is to end, it is not waited for any longer than the settings say. */
  async #drained(pass: Promise<boolean>): Promise<boolean> {
    const { signal } = this.#ending;
    const { drainMs } = this.#settings;
    const settled = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const overdue = new Promise<boolean>((giveUp) => {
      const start = (): void => {
        timer = setTimeout(() => {
          this.#log.warn(`a run is broken off after ${drainMs}ms; the next one goes on from its last batch`);
          giveUp(false);
        }, drainMs);
      };
      if (signal.aborted) start();
      else signal.addEventListener('abort', start, { once: true, signal: settled.signal });
    });
    try {
      return await Promise.race([pass, overdue]);
    } finally {
      clearTimeout(timer);
      settled.abort();
    }
  }

  /** Waits for the next pass, or for the end. */
  async #pause(): Promise<void> {
    const { signal } = this.#ending;
    await new Promise<void>((resume) => {
      const timer = setTimeout(done, this.#settings.intervalMs);
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resume();
      }
      if (signal.aborted) done();
      else signal.addEventListener('abort', done, { once: true });
    });
  }

  #tellStatus(): void {
    try {
      writeStatus(this.#manager, this.#settings.tree, (rule) => this.#held.has(rule) || this.#streams.runs(rule));
    } catch (error) {
      this.#log.warn(`the status file cannot be written: ${messageOf(error)}`);
    }
  }

  #removeStatus(): void {
    try {
      removeStatus(this.#settings.tree);
    } catch (error) {
      // Whoever reads it sees by its age that it tells of nothing that runs.
      this.#log.warn(`the status file cannot be removed: ${messageOf(error)}`);
    }
  }
}

function settingsOf(options: ReplicatorServiceOptions): Settings {
  const { env, argv } = process;
  return {
    tree: resolve(options.tree ?? env.REPLICATOR_TREE ?? DEFAULT_TREE),
    intervalMs: millis('REPLICATOR_INTERVAL_MS', options.intervalMs ?? env.REPLICATOR_INTERVAL_MS, DEFAULT_INTERVAL_MS),
    quiet: options.quiet ?? env.REPLICATOR_QUIET === '1',
    once: options.once ?? argv.includes('--once'),
    drainMs: millis('REPLICATOR_DRAIN_MS', options.drainMs ?? env.REPLICATOR_DRAIN_MS, DEFAULT_DRAIN_MS),
    healthPort: portOf(options.healthPort ?? env.REPLICATOR_HEALTH_PORT),
    healthHost: options.healthHost ?? env.REPLICATOR_HEALTH_HOST ?? DEFAULT_HEALTH_HOST,
    rewind: (options.rewind ?? env.REPLICATOR_REWIND) || undefined,
  };
}

function portOf(value: string | number | undefined): number | undefined {
  if (value === undefined || value === '') return undefined;
  const port = Number(value);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw configError(`REPLICATOR_HEALTH_PORT: expected a port, found "${value}"`);
  return port;
}

function millis(name: string, value: string | number | undefined, fallback: number): number {
  if (value === undefined || value === '') return fallback;
  const number = Number(value);
  // Beyond 2^31 - 1 a timer fires at once.
  if (!Number.isFinite(number) || number < 0 || number > 2_147_483_647) throw configError(`${name}: expected milliseconds, found "${value}"`);
  return number;
}

function figuresOf({ details, errors, duration }: SyncStats): LogFields {
  const sum = (key: 'created' | 'updated' | 'deleted'): number => details.reduce((total, detail) => total + detail[key], 0);
  return { created: sum('created'), updated: sum('updated'), deleted: sum('deleted'), errors, duration: `${duration}ms` };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
