// ClusterConfigManager: the configuration of clusters in a file, checked, saved, and followed while it changes.
import { EventEmitter } from 'node:events';
import { rename, rm, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { configError } from '../errors.js';
import { tellListeners } from '../event-telling.js';
import { withoutSchema, withSchema } from './cluster-changes.js';
import { checkClusters, ClusterFile } from './cluster-file.js';
import type { ClusterConfig, ClustersConfig, SchemaOptions, ValidationResult } from './config-types.js';

/** The events of a ClusterConfigManager. */
export interface ClusterConfigManagerEvents {
  /** The file was read. */
  configLoaded: [config: ClustersConfig];
  /** The file has changed and was read again; `getConfig()` gives the new configuration. */
  configChanged: [];
  /** The configuration was written to this path. */
  configSaved: [path: string];
  /** A configuration was refused, for these reasons. */
  validationError: [errors: string[]];
  error: [error: unknown];
}

/**
 * Holds the configuration of clusters: read from a file, which is then followed, or given by hand.
 *
 * A configuration that is refused leaves the one in force as it is.
 */
export class ClusterConfigManager extends EventEmitter<ClusterConfigManagerEvents> {
  readonly #path: string | undefined;
  readonly #file: ClusterFile | undefined;
  #config: ClustersConfig = {};
  #isWatching = false;

  /** @param configPath a JSON file: clusters by id, or an object that has them under `clusters`. */
  constructor(configPath?: string) {
    super();
    if (configPath === undefined || configPath === '') return;
    this.#path = resolve(configPath);
    this.#file = new ClusterFile(this.#path, {
      changed: async (clusters) => this.#change(clusters),
      invalid: (errors) => this.#tell('validationError', errors),
      failed: (error) => this.#tell('error', error),
    });
  }

  /**
   * Reads the file and follows it from now on, until `stopWatching()` or `close()`.
   *
   * @throws when there is no file, or it cannot be read, or the configuration in it cannot be used.
   */
  async loadConfig(): Promise<ClustersConfig> {
    if (this.#file === undefined) throw configError('No config path provided');
    try {
      this.#config = await this.#file.load();
    } catch (error) {
      this.#tell('error', error);
      throw error;
    }
    if (!this.#isWatching) {
      this.#file.watch();
      this.#isWatching = true;
    }
    this.#tell('configLoaded', this.#config);
    return this.getConfig();
  }

  /**
   * Checks a configuration, writes it to the file, or to another path, and holds it from now on.
   *
   * @throws when the configuration cannot be used or the file cannot be written.
   */
  async saveConfig(config: ClustersConfig, path: string | undefined = this.#path): Promise<void> {
    if (path === undefined || path === '') throw configError('No config path provided');
    const target = resolve(path);
    try {
      const { valid, errors } = checkClusters(config);
      if (!valid) {
        this.#tell('validationError', errors);
        throw configError(`Config validation failed: ${errors.join(', ')}`);
      }
      await writeWhole(target, `${JSON.stringify(config, null, 2)}\n`);
    } catch (error) {
      const failure = configError(`Failed to save config to ${target}: ${(error as Error).message}`, error);
      this.#tell('error', failure);
      throw failure;
    }
    this.#config = config;
    this.#tell('configSaved', path);
  }

  /** The configuration in force; the object is the caller's, its clusters are not. */
  getConfig(): ClustersConfig {
    return { ...this.#config };
  }

  /** The configuration of one cluster. */
  getClusterConfig(clusterId: string): ClustersConfig[string] | ClusterConfig | undefined {
    return Object.hasOwn(this.#config, clusterId) ? this.#config[clusterId] : undefined;
  }

  /** The ids of the clusters, in their order. */
  getClusters(): string[] {
    return Object.keys(this.#config);
  }

  /** The first cluster that has the schema. */
  getClusterForSchema(schema: string): string | undefined {
    return Object.entries(this.#config).find(([, cluster]) => cluster.schemas?.includes(schema) === true)?.[0];
  }

  /**
   * Adds a schema to a cluster; the file is not changed.
   *
   * @throws when there is no such cluster.
   */
  mapSchemaToCluster(schema: string, clusterId: string, options: SchemaOptions = {}): void {
    this.#config = withSchema(this.#config, schema, clusterId, options);
  }

  /** Takes a schema from a cluster, if it has it; the file is not changed. */
  unmapSchemaFromCluster(schema: string, clusterId: string): void {
    this.#config = withoutSchema(this.#config, schema, clusterId);
  }

  /** What is wrong with the configuration in force, and what is doubtful. */
  validate(): ValidationResult {
    return checkClusters(this.#config);
  }

  /** Follows the file no longer. */
  stopWatching(): void {
    this.#file?.close();
    this.#isWatching = false;
  }

  /** Follows the file no longer, and has no listeners any more. */
  close(): void {
    this.stopWatching();
    this.removeAllListeners();
  }

  #change(clusters: ClustersConfig): void {
    this.#config = clusters;
    this.#tell('configLoaded', clusters);
    this.#tell('configChanged');
  }

  /** An `error` that nobody listens to is not lost: the call that failed throws it, or it becomes a process warning. */
  #tell<E extends keyof ClusterConfigManagerEvents>(event: E, ...args: ClusterConfigManagerEvents[E]): void {
    tellListeners(this, event, args);
  }
}

/** Writes a file in one step, so that whoever follows it never reads half of it. */
async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.draft`;
  try {
    await writeFile(draft, text, { mode: 0o600 });
    await rename(draft, path);
  } finally {
    await rm(draft, { force: true });
  }
}
