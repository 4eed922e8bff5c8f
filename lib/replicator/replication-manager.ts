// Replicas of projects, read routing, and replication rules between projects.

import { EventEmitter } from 'node:events';
import { ReplicaverseError, configError, fromNative, fromNativeSync } from '../errors.js';
import { tellListeners } from '../event-telling.js';
import { native } from '../native.js';
import { NativeBackedDialect, getAllSchemas, nativeSchema, registeredDialect } from '../orm/index.js';
import type { IDialect } from '../types/dialect.js';
import type { EntityDeclaration } from '../types/schema.js';
import { jsonOf, numberOf, textOf } from './arguments.js';
import { changesOf } from './change-feed.js';
import { resolverFor } from './conflict-resolving.js';
import { ForeignReplica } from './foreign-replica.js';
import { ReplicaService } from './replica-service.js';
import { readCursor, readDeadLetters, readStats } from './reports.js';
import { transformer } from './row-transform.js';
import { rewinder } from './rewinding.js';
import { ruleArguments } from './rule-arguments.js';
import { type StreamListener, passOn, readRuleStates } from './rule-streams.js';
import type { ChangesOptions, RuleState, SourceChange, StartOptions } from './stream-types.js';
import { readTopologyEvent } from './topology-events.js';
import { connectTree, type TreeConnection } from './tree-connecting.js';
import { made, madeAtOnce } from './unwritten-changes.js';
import type {
  AutoFailover,
  DeadLetterOptions,
  DeadLetters,
  ProjectSource,
  PromotionOptions,
  ReadRouting,
  ReadServiceOptions,
  ReplicaConfig,
  ReplicaInfo,
  ReplicationEvents,
  ReplicationManagerOptions,
  ReplicationRule,
  ReplicationRuleConfig,
  RowTransform,
  SyncCursor,
  SyncProgress,
  SyncStats,
  SyncVerdict,
  TreeFileOptions,
  VerifyOptions,
} from './types.js';

/**
 * Holds the replicas of each project, one of them its master, and the replication rules between projects.
 *
 * Errors carry a `code`. Events: see {@link ReplicationEvents}. What a listener throws does not disturb the manager: it is
 * emitted as `error`, or without a listener for that becomes a process warning.
 */
export class ReplicationManager extends EventEmitter<ReplicationEvents> {
  readonly #core = new native.NativeReplicationManager();
  readonly #projects: ProjectSource | undefined;
  readonly #services = new Map<string, Map<string, ReplicaService>>();

  /**
   * @param projectManager where projects must be known, and their schemas are looked up, if given
   * @throws {ReplicaverseError} of kind `Config` for a setting that is malformed
   */
  constructor(projectManager?: ProjectSource, { lagIntervalMs, ruleTransforms = {}, rewind }: ReplicationManagerOptions = {}) {
    super();
    this.#projects = projectManager;
    if (lagIntervalMs !== undefined) fromNativeSync(() => this.#core.setLagInterval(numberOf('lagIntervalMs', lagIntervalMs)));
    for (const [rule, transform] of Object.entries(ruleTransforms)) this.#setTransform(rule, transform);
    if (rewind !== undefined) this.#core.setRewinder(rewinder(rewind));
    // The core holds the function for as long as it lives, and must not keep the manager by it.
    const manager = new WeakRef(this);
    this.#core.listen((event) => {
      const alive = manager.deref();
      if (alive !== undefined) alive.#happened(event);
    });
  }

  /**
   * Adds a replica to a project, connects it and brings the tables of its entities into being. Its dialect is one that was
   * registered by `registerDialect`, or else a built-in one.
   *
   * @param schemas the entities, `[]` for none; without it those of the project, and if that has none every registered one
   * @throws when the project is unknown, the name is taken, or there is a master already. When the connection fails, the
   *   replica stays listed with status `error` until it is removed. With code `ERR_TREE_FILE` it is listed as well, and only the
   *   tree file could not be written; one of a built-in dialect serves nothing then until it is removed and added again.
   */
  async addReplica(project: string, config: ReplicaConfig, schemas?: readonly EntityDeclaration[]): Promise<void> {
    if (this.#projects && !this.#projects.hasProject(project)) {
      throw new ReplicaverseError(`Projet "${project}" introuvable dans ProjectManager`, { code: 'ERR_UNKNOWN_PROJECT' });
    }
    const ofProject = this.#projects?.getProject(project)?.schemas ?? [];
    const entities = schemas ?? (ofProject.length > 0 ? ofProject : getAllSchemas());
    await this.#connect(project, config, entities, (dialect) => {
      const service = new ReplicaService(dialect, entities, {
        replace: (lost, error, after) => this.#replace(project, lost, error, after),
        writeToken: () => fromNative(() => this.#core.writeToken(project)),
      });
      const services = this.#services.get(project) ?? new Map<string, ReplicaService>();
      this.#services.set(project, services.set(config.name, service));
      this.#tell('replica.added', { project, name: config.name, role: config.role });
    });
  }

  /** Removes a replica and closes its connections; the last one takes its project along. */
  async removeReplica(project: string, name: string): Promise<void> {
    await made(() => fromNative(() => this.#core.removeReplica(textOf('project', project), textOf('name', name))), () => {
      const services = this.#services.get(project);
      services?.delete(name);
      if (services?.size === 0) this.#services.delete(project);
      this.#tell('replica.removed', { project, name });
    });
  }

  /** Sets how the slave for a read is chosen. */
  setReadRouting(project: string, strategy: ReadRouting): void {
    fromNativeSync(() => this.#core.setReadRouting(textOf('project', project), textOf('strategy', strategy)));
  }

  /** How the slave for a read is chosen; `round-robin` when never set. */
  getReadRouting(project: string): ReadRouting {
    return fromNativeSync(() => this.#core.readRouting(project)) as ReadRouting;
  }

  /**
   * The service for the next read: a connected slave by strategy that is not over its `lagTolerance`, else the master, else
   * null. With `after`, a slave that is known to have what was written before that token, else the master.
   */
  resolveReadService(project: string, { after }: ReadServiceOptions = {}): ReplicaService | null {
    const service = this.#service(project, fromNativeSync(() => this.#core.nextRead(project, after === undefined ? undefined : textOf('after', after))));
    return after === undefined ? service : (service?.readingAfter(after) ?? null);
  }

  /** The service of the connected master, or null. */
  resolveWriteService(project: string): ReplicaService | null {
    return this.#service(project, fromNativeSync(() => this.#core.connectedMaster(project)));
  }

  /** The state of every replica of a project; empty for an unknown one. */
  getReplicaStatus(project: string): ReplicaInfo[] {
    return JSON.parse(fromNativeSync(() => this.#core.status(project))) as ReplicaInfo[];
  }

  /**
   * Makes a connected replica the master of its project and the master a slave. Writes through the service of the old master
   * are refused from here on; those under way are waited for, 5 s at the most, and so is the replica, if its database follows
   * the master. A standby of PostgreSQL is promoted by `pg_promote`.
   *
   * @throws {ReplicaverseError} with code `ERR_REPLICA_BEHIND` when the replica has `lagTolerance: 0` and lacks something,
   *   unless `force` gives that up; `ERR_PROMOTION` when its database cannot be made a primary. All is as before then. With
   *   `ERR_TREE_FILE` it was promoted, and only the tree file could not be written.
   */
  async promoteToMaster(project: string, name: string, { force = false }: PromotionOptions = {}): Promise<void> {
    await made(() => fromNative(() => this.#core.promoteToMaster(textOf('project', project), textOf('name', name), force)), (promoted) => {
      // Nothing has happened to one that was the master already.
      if (promoted !== null) this.#tell('replica.promoted', { project, name });
    });
  }

  /**
   * Has a master that does not answer replaced by the standby of PostgreSQL that has received the most, provided that no
   * standby receives from it any more; `null`, as it is unless set, for never. Of several processes the one does it that gets
   * the votes of a majority of the project's replicas, and the others follow; one that does not reach a majority refuses writes.
   * Events: `failover`, `failover.refused`, `quorum`.
   */
  setAutoFailover(project: string, failover: AutoFailover | null): void {
    const after = failover === null ? undefined : numberOf('autoFailover.after', failover.after);
    fromNativeSync(() => this.#core.setAutoFailover(textOf('project', project), after));
  }

  /**
   * Adds a rule. One that was loaded from a file and has a `transform` is added again with it, as it stands there.
   *
   * @throws when the name is taken, a setting is malformed, or rules of mode `cdc` would carry changes round in a circle. With
   *   code `ERR_TREE_FILE` the rule is added, and only the tree file could not be written.
   */
  addReplicationRule(rule: ReplicationRuleConfig): void {
    const { json, transform } = ruleArguments(rule);
    madeAtOnce(() => { fromNativeSync(() => this.#core.addRule(json)); }, () => {
      try {
        if (transform !== undefined) this.#setTransform(rule.name, transform);
      } finally {
        this.#tell('rule.added', { rule: rule.name });
      }
    });
  }

  /**
   * Removes a rule; a run that has begun goes on to its end, and a stream ends. What was made at the source for it (slot,
   * publication, triggers) is removed in the background, which {@link disconnectAll} awaits; if that fails, `error` tells the
   * statement to run.
   */
  removeReplicationRule(name: string): void {
    const remove = (): void => { fromNativeSync(() => this.#core.removeRule(textOf('name', name))); };
    madeAtOnce(remove, () => { this.#tell('rule.removed', { rule: name }); });
  }

  /** Every rule. */
  listRules(): ReplicationRule[] {
    return JSON.parse(fromNativeSync(() => this.#core.rules())) as ReplicationRule[];
  }

  /**
   * Runs a rule. In mode `snapshot` the target's collections become a mirror of the source's. In mode `bidirectional` both
   * sides come to hold the same rows, and none is deleted, unless the rule has been started or has a `capture`: then the
   * changes of both sides are exchanged, deletions included. In mode `cdc` the target catches up with the source as it is at
   * the call, deletes included; the first run copies what is there. With `capture: 'poll'` rows whose `updatedAt` is later
   * than what was read before are copied, and none is deleted. A row or collection that fails is counted and named in the
   * stats, and the rest goes on.
   *
   * @throws when the rule is unknown or disabled, a project has no connected master, changes cannot be captured (the error
   *   says how to enable it), or the run cannot go on (connection lost, disk full, read-only). {@link getSyncStats} then tells
   *   of the run that failed.
   */
  async sync(ruleName: string): Promise<SyncStats> {
    return this.#run(ruleName, (name, onProgress) => this.#core.sync(name, onProgress));
  }

  /**
   * Brings the target of a rule of mode `cdc` to the source's state without emptying it first, and goes on from there: for a
   * rule whose log was lost, or whose target was changed by others. Rows that only the target has stay, except for those of which
   * it is known that the rule has brought them and the source has deleted them.
   */
  async resync(ruleName: string): Promise<SyncStats> {
    return this.#run(ruleName, (name, onProgress) => this.#core.resync(name, onProgress));
  }

  /**
   * Streams a rule of mode `cdc` until {@link stop}: it catches up, and then applies each transaction of the source as it is
   * committed. A rule of mode `bidirectional` streams both ways, deletions included; what changes on both sides at a time is
   * decided by its `conflictResolution`, told by the event `conflict`, and the version that does not stay is kept. Of several processes that start the same rule one streams, and another takes over when it ends. Events:
   * `state`, `batch`, `lag`, `error`, and `change` if it is listened to when the stream starts. A stream keeps the process alive.
   *
   * @throws when the rule is unknown, disabled, of mode `snapshot` or already started, or its changes cannot be captured.
   */
  async start(ruleName: string, { resolve }: StartOptions = {}): Promise<void> {
    const name = textOf('ruleName', ruleName);
    const decide = resolverFor(name, this.listRules().find((rule) => rule.name === name), resolve);
    // One event for each change costs too much to be made when nobody listens.
    this.#core.tellChanges(this.listenerCount('change') > 0);
    const listener: StreamListener = {
      state: (report) => this.#tell('state', report),
      batch: (report) => this.#tell('batch', report),
      lag: (report) => this.#tell('lag', report),
      change: (notice) => this.#tell('change', notice),
      conflict: (notice) => this.#tell('conflict', notice),
      error: (error) => this.#report(error),
    };
    await fromNative(() => this.#core.start(name, (report) => passOn(report, listener), decide));
  }

  /** Ends the stream of a rule, when what is in hand has been applied. Does nothing when it does not stream. */
  async stop(ruleName: string): Promise<void> {
    await fromNative(() => this.#core.stop(textOf('ruleName', ruleName)));
  }

  /**
   * Takes the right to run a rule with {@link sync} again and again, unless another process has it; whether this one has it now. It
   * is kept in the target's database and renewed until {@link releaseRule}, {@link disconnectAll} or the end of the process, after
   * which another process gets it within seconds. Rules that are started need none: they agree among each other.
   */
  async holdRule(ruleName: string): Promise<boolean> {
    return await fromNative(() => this.#core.holdRule(textOf('ruleName', ruleName)));
  }

  /** Gives the right to run a rule back. Does nothing when it is not held. */
  async releaseRule(ruleName: string): Promise<void> {
    await fromNative(() => this.#core.releaseRule(textOf('ruleName', ruleName)));
  }

  /** The rules that were started, as they stand. */
  getRuleStates(): RuleState[] {
    return readRuleStates(fromNativeSync(() => this.#core.ruleStates()));
  }

  /**
   * The changes of the source of a rule, or of every table of a project, from now on, in the order of their commits. Reading
   * goes only as fast as the loop: the source keeps what has not been read.
   *
   * @throws when there is no such rule or project, or the source's changes cannot be captured; the reason of the signal, when
   *   it is aborted.
   */
  changes<T = Record<string, unknown>>(ruleOrProject: string, { signal }: ChangesOptions = {}): AsyncGenerator<SourceChange<T>, void, undefined> {
    return changesOf<T>(() => this.#core.changes(textOf('ruleOrProject', ruleOrProject)), signal);
  }

  /**
   * Compares source and target of a rule row by row, while both may be in use, and repairs what differs if it is asked to. Of
   * mode `cdc` a row that differs is looked at again for some seconds, as its change may be on the way.
   */
  async verify(ruleName: string, { repair = 'none' }: VerifyOptions = {}): Promise<SyncVerdict> {
    return JSON.parse(await fromNative(() => this.#core.verify(textOf('ruleName', ruleName), textOf('repair', repair)))) as SyncVerdict;
  }

  /** The rows of a rule of mode `cdc` that its target refused and that are set aside there. */
  async getDeadLetters(ruleName: string, { most = 100 }: DeadLetterOptions = {}): Promise<DeadLetters> {
    return readDeadLetters(await fromNative(() => this.#core.deadLetters(textOf('ruleName', ruleName), most)));
  }

  /** The stats of the last run of a rule, or of `project/replica`. */
  getSyncStats(rule: string): SyncStats | undefined {
    const json = fromNativeSync(() => this.#core.stats(rule));
    return json === null ? undefined : readStats(json);
  }

  /** Up to when each collection of a rule has been read. */
  getSyncCursor(rule: string): SyncCursor | undefined {
    const json = fromNativeSync(() => this.#core.cursor(rule));
    return json === null ? undefined : readCursor(json);
  }

  /**
   * Writes replicas, rules and routing to a JSON file. Passwords are masked; with `secrets: 'env'` a URI that holds one is written
   * as `${REPLICATOR_<PROJECT>_<REPLICA>_URI}` instead.
   */
  saveToFile(path: string, { secrets = 'mask' }: TreeFileOptions = {}): void {
    if (secrets !== 'mask' && secrets !== 'env') throw configError(`secrets: expected mask or env, found "${String(secrets)}"`);
    const file = textOf('path', path);
    fromNativeSync(() => {
      if (secrets === 'env') this.#core.saveToFileWithVariables(file);
      else this.#core.saveToFile(file);
    });
  }

  /**
   * Takes over routing and rules from a file that was saved before; a rule that exists is kept as it is. With `connect`, its
   * replicas are added too. A password that is masked in the file is completed from the whole URI in the variable
   * `REPLICATOR_<PROJECT>_<REPLICA>_URI`, and `${NAME}` in a URI stands for a variable.
   */
  loadFromFile(path: string): void;
  loadFromFile(path: string, options: { connect: true }): Promise<TreeConnection>;
  loadFromFile(path: string, options?: { connect: true }): void | Promise<TreeConnection> {
    fromNativeSync(() => this.#core.loadFromFile(textOf('path', path)));
    return options?.connect === true ? connectTree(this, path) : undefined;
  }

  /** Writes the file after every change; now too, unless there is one, which may be about to be loaded. */
  enableAutoPersist(path: string): void {
    fromNativeSync(() => this.#core.enableAutoPersist(textOf('path', path)));
  }

  /** The projects that have replicas. */
  listProjects(): string[] {
    return fromNativeSync(() => this.#core.projects());
  }

  /** Whether a project has replicas. */
  hasReplicas(project: string): boolean {
    return this.listProjects().includes(project);
  }

  /** How many replicas there are, of all projects. */
  get size(): number {
    return this.listProjects().reduce((count, project) => count + this.getReplicaStatus(project).length, 0);
  }

  /**
   * Ends the streams and closes every connection; replicas stay listed as `disconnected`. Streams go on from where they were
   * when their rules are started again. Calling it again does nothing.
   */
  async disconnectAll(): Promise<void> {
    for (const failure of await fromNative(() => this.#core.disconnectAll())) {
      this.#report(new ReplicaverseError(failure, { code: 'ERR_LOG_REMOVAL' }));
    }
  }

  /** {@link disconnectAll} */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.disconnectAll();
  }

  #setTransform(rule: string, transform: RowTransform): void {
    if (typeof transform !== 'function') throw configError(`the transform of rule "${rule}": expected a function, found ${typeof transform}`);
    fromNativeSync(() => this.#core.setTransform(rule, transformer(rule, transform)));
  }

  /** Runs a rule once. */
  async #run(ruleName: string, run: (name: string, onProgress?: (progress: string) => void) => Promise<string>): Promise<SyncStats> {
    const runs = this.listRules().some(({ name, enabled }) => name === ruleName && enabled);
    if (runs) this.#tell('rule.sync.start', { rule: ruleName });
    const listener = (progress: string): void => {
      this.#tell('rule.sync.progress', JSON.parse(progress) as SyncProgress);
    };
    const onProgress = this.listenerCount('rule.sync.progress') > 0 ? listener : undefined;
    const stats = readStats(await fromNative(() => run(textOf('ruleName', ruleName), onProgress)));
    this.#tell('rule.sync.done', stats);
    return stats;
  }

  /** Connects a replica and hands its dialect over. */
  async #connect(project: string, config: ReplicaConfig, entities: readonly EntityDeclaration[], connected: (dialect: IDialect) => void): Promise<void> {
    const [name, json, schemas] = [textOf('project', project), jsonOf('replica', config), entities.map(nativeSchema)];
    const factory = registeredDialect(config.dialect);
    if (factory === undefined) {
      await made(() => fromNative(() => this.#core.addReplica(name, json, schemas)), (added) => {
        const native = added ?? this.#core.connectionOf(name, config.name);
        if (native !== null) connected(NativeBackedDialect.of(native, entities));
      });
      return;
    }
    const replica = new ForeignReplica(config, factory, entities);
    await made(() => fromNative(() => this.#core.addForeignReplica(name, json, schemas, replica.carryOut)), () => {
      // That the tree file cannot be written hides whether it could be connected.
      const known = this.getReplicaStatus(project).find((one) => one.name === config.name);
      if (known?.status === 'connected') connected(replica.dialect);
    });
  }

  /** Tells listeners of what has happened, without letting them undo it. */
  #tell<E extends keyof ReplicationEvents>(event: E, ...args: ReplicationEvents[E]): void {
    tellListeners(this, event, args);
  }

  /** An error that no call can throw. Without a listener it becomes a warning, as it must not end the process. */
  #report(error: ReplicaverseError): void {
    if (this.listenerCount('error') > 0) this.#tell('error', error);
    else process.emitWarning(error);
  }

  /** Tells of what happened to replicas without anybody asking for it. */
  #happened(json: string): void {
    const told = readTopologyEvent(json);
    this.#tell(told.event, ...told.args);
    if (told.event !== 'failover') return;
    const [{ project, newMaster }] = told.args;
    this.#tell('replica.promoted', { project, name: newMaster });
  }

  /** The service to read from in place of one whose connection was lost. */
  #replace(project: string, lost: ReplicaService, error: Error, after: string | undefined): ReplicaService | null {
    for (const [name, service] of this.#services.get(project) ?? []) {
      if (service.dialect === lost.dialect) fromNativeSync(() => this.#core.connectionLost(project, name, error.message));
    }
    return this.resolveReadService(project, after === undefined ? {} : { after });
  }

  #service(project: string, replica: string | null): ReplicaService | null {
    return replica === null ? null : (this.#services.get(project)?.get(replica) ?? null);
  }
}
