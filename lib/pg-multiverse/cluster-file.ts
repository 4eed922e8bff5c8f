// The file that holds the configuration of clusters, watched while it is in use.
import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { native } from '../native.js';
import { configError } from '../errors.js';
import type { ClustersConfig, ValidationResult } from './config-types.js';

/** Who wants to know of changes. */
export interface FileListener {
  changed(clusters: ClustersConfig): Promise<void>;
  /** The file holds a configuration that cannot be used, for these reasons. */
  invalid?(errors: string[]): void;
  failed(error: unknown): void;
}

/** An editor writes a file in several steps; milliseconds after which the last of them is thought to be done. */
const SETTLED = 100;

/** What is wrong with a configuration. */
export function checkClusters(clusters: unknown): ValidationResult {
  return JSON.parse(native.checkClusters(JSON.stringify(clusters ?? null))) as ValidationResult;
}

/** A file of clusters: by id at the top, or under `clusters`. */
export class ClusterFile {
  readonly #path: string;
  readonly #listener: FileListener;
  #watcher: FSWatcher | undefined = undefined;
  #timer: NodeJS.Timeout | undefined = undefined;
  #text = '';

  constructor(path: string, listener: FileListener) {
    this.#path = resolve(path);
    this.#listener = listener;
  }

  /** Reads the file. */
  async load(): Promise<ClustersConfig> {
    const text = await readFile(this.#path, 'utf8').catch((error: Error) => {
      throw this.#unreadable(error.message, error);
    });
    const clusters = this.#parse(text);
    const { valid, errors } = checkClusters(clusters);
    if (!valid) {
      this.#listener.invalid?.(errors);
      throw this.#unreadable(`Config validation failed: ${errors.join(', ')}`);
    }
    this.#text = text;
    return clusters;
  }

  #parse(text: string): ClustersConfig {
    try {
      const json = JSON.parse(text) as ClustersConfig & { clusters?: ClustersConfig };
      const isWrapped = typeof json.clusters === 'object' && json.clusters !== null && !('primary' in json.clusters);
      return isWrapped ? (json.clusters as ClustersConfig) : json;
    } catch (error) {
      throw this.#unreadable((error as Error).message, error);
    }
  }

  #unreadable(problem: string, cause?: unknown): Error {
    return configError(`Failed to load config from ${this.#path}: ${problem}`, cause);
  }

  /** Tells of changes from now on. Its folder is watched, because an editor may put another file in its place. */
  watch(): void {
    this.#watcher = watch(dirname(this.#path), { persistent: false }, (_, name) => {
      if (name !== null && name !== basename(this.#path)) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => void this.#reload(), SETTLED).unref();
    });
    this.#watcher.on('error', (error) => this.#listener.failed(error));
  }

  async #reload(): Promise<void> {
    const before = this.#text;
    try {
      const clusters = await this.load();
      if (this.#text !== before && this.#watcher !== undefined) await this.#listener.changed(clusters);
    } catch (error) {
      this.#text = before;
      this.#listener.failed(error);
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}
