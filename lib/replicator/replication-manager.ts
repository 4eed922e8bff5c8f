// Replicas of projects, read routing, and replication rules between projects.

import { EventEmitter } from 'node:events';
import { ReplicaverseError, fromNative, fromNativeSync } from '../errors.js';
import { native } from '../native.js';
import { EntityService, NativeBackedDialect, getAllSchemas, nativeSchema } from '../orm/index.js';
import type { EntityDeclaration } from '../types/schema.js';
import { jsonOf, textOf } from './arguments.js';
import { readCursor, readStats } from './reports.js';
import type {
  ProjectSource,
  ReadRouting,
  ReplicaConfig,
  ReplicaInfo,
  ReplicationEvents,
  ReplicationRule,
  ReplicationRuleConfig,
  SyncCursor,
  SyncProgress,
  SyncStats,
  SyncVerdict,
} from './types.js';

/**
 * Holds the replicas of each project, one of them its master, and the replication rules between projects.
 *
 * Errors carry a `code`. Events: see {@link ReplicationEvents}.
 */
export class ReplicationManager extends EventEmitter<ReplicationEvents> {
  readonly #core = new native.NativeReplicationManager();
  readonly #projects: ProjectSource | undefined;
  readonly #services = new Map<string, Map<string, EntityService>>();

  /** @param projectManager where projects must be known, and their schemas are looked up, if given */
  constructor(projectManager?: ProjectSource) {
    super();
    this.#projects = projectManager;
  }

  /**
   * Adds a replica to a project, connects it and brings the tables of its entities into being.
   *
   * @param schemas the entities; else those of the project, else every registered one
   * @throws when the project is unknown, the name is taken, or there is a master already. When the connection fails, the
   *   replica stays listed with status `error` until it is removed.
   */
  async addReplica(project: string, config: ReplicaConfig, schemas?: readonly EntityDeclaration[]): Promise<void> {
    if (this.#projects && !this.#projects.hasProject(project)) {
      throw new ReplicaverseError(`Projet "${project}" introuvable dans ProjectManager`, { code: 'ERR_UNKNOWN_PROJECT' });
    }
    const entities = schemas ?? this.#projects?.getProject(project)?.schemas ?? getAllSchemas();
    const connected = await fromNative(() =>
      this.#core.addReplica(textOf('project', project), jsonOf('replica', config), entities.map(nativeSchema)),
    );
    const service = new EntityService(NativeBackedDialect.of(connected, entities), entities);
    const services = this.#services.get(project) ?? new Map<string, EntityService>();
    this.#services.set(project, services.set(config.name, service));
    this.emit('replica.added', { project, name: config.name, role: config.role });
  }

  /** Removes a replica and closes its connections; the last one takes its project along. */
  async removeReplica(project: string, name: string): Promise<void> {
    await fromNative(() => this.#core.removeReplica(textOf('project', project), textOf('name', name)));
    const services = this.#services.get(project);
    services?.delete(name);
    if (services?.size === 0) this.#services.delete(project);
    this.emit('replica.removed', { project, name });
  }

  /** Sets how the slave for a read is chosen. */
  setReadRouting(project: string, strategy: ReadRouting): void {
    fromNativeSync(() => this.#core.setReadRouting(textOf('project', project), textOf('strategy', strategy)));
  }

  /** How the slave for a read is chosen; `round-robin` when never set. */
  getReadRouting(project: string): ReadRouting {
    return fromNativeSync(() => this.#core.readRouting(project)) as ReadRouting;
  }

  /** The service for the next read: a connected slave by strategy, else the master, else null. */
  resolveReadService(project: string): EntityService | null {
    return this.#service(project, fromNativeSync(() => this.#core.nextRead(project)));
  }

  /** The service of the connected master, or null. */
  resolveWriteService(project: string): EntityService | null {
    return this.#service(project, fromNativeSync(() => this.#core.connectedMaster(project)));
  }

  /** The state of every replica of a project; empty for an unknown one. */
  getReplicaStatus(project: string): ReplicaInfo[] {
    return JSON.parse(fromNativeSync(() => this.#core.status(project))) as ReplicaInfo[];
  }

  /** Makes a connected replica the master of its project and the master a slave. */
  async promoteToMaster(project: string, name: string): Promise<void> {
    await fromNative(async () => this.#core.promoteToMaster(textOf('project', project), textOf('name', name)));
    this.emit('replica.promoted', { project, name });
  }

  /** Adds a rule. */
  addReplicationRule(rule: ReplicationRuleConfig): void {
    fromNativeSync(() => this.#core.addRule(jsonOf('rule', rule)));
    this.emit('rule.added', { rule: rule.name });
  }

  /** Removes a rule; a run that has begun goes on to its end. */
  removeReplicationRule(name: string): void {
    fromNativeSync(() => this.#core.removeRule(textOf('name', name)));
    this.emit('rule.removed', { rule: name });
  }

  /** Every rule. */
  listRules(): ReplicationRule[] {
    return JSON.parse(fromNativeSync(() => this.#core.rules())) as ReplicationRule[];
  }

  /**
   * Runs a rule. In mode `snapshot` the target's collections become a mirror of the source's. A row or collection that
   * fails is counted and named in the stats, and the rest goes on.
   *
   * @throws when the rule is unknown or disabled, a project has no connected master, or the run cannot go on (connection
   *   lost, disk full, read-only).
   */
  async sync(ruleName: string): Promise<SyncStats> {
    this.emit('rule.sync.start', { rule: ruleName });
    const listener = (progress: string): void => {
      this.emit('rule.sync.progress', JSON.parse(progress) as SyncProgress);
    };
    const onProgress = this.listenerCount('rule.sync.progress') > 0 ? listener : undefined;
    const stats = readStats(await fromNative(() => this.#core.sync(textOf('ruleName', ruleName), onProgress)));
    this.emit('rule.sync.done', stats);
    return stats;
  }

  /** Compares source and target of a rule row by row, and changes neither. */
  async verify(ruleName: string): Promise<SyncVerdict> {
    return JSON.parse(await fromNative(() => this.#core.verify(textOf('ruleName', ruleName)))) as SyncVerdict;
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

  /** Writes replicas, rules and routing to a JSON file, with passwords masked. */
  saveToFile(path: string): void {
    fromNativeSync(() => this.#core.saveToFile(textOf('path', path)));
  }

  /** Takes over routing and rules from a file that was saved before; a rule that exists is kept as it is. */
  loadFromFile(path: string): void {
    fromNativeSync(() => this.#core.loadFromFile(textOf('path', path)));
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

  /** How many projects have replicas. */
  get size(): number {
    return this.listProjects().length;
  }

  /** Closes every connection; replicas stay listed as `disconnected`. Calling it again does nothing. */
  async disconnectAll(): Promise<void> {
    await fromNative(() => this.#core.disconnectAll());
  }

  #service(project: string, replica: string | null): EntityService | null {
    return replica === null ? null : (this.#services.get(project)?.get(replica) ?? null);
  }
}
