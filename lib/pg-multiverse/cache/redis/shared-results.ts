// Results of queries in Redis, which processes share; and what other processes invalidate there.
import type { CacheConfig } from '../config.js';
import type { CacheInvalidationCriteria } from '../invalidation.js';
import { matcher } from '../invalidation.js';
import { clusterScope, schemaScope, tagScope } from '../scopes.js';
import type { RemoteCacheEngine } from '../../engine-client.js';
import type { NativeCriteria, RemoteFlight } from '../../engine-reports.js';
import { RedisEntries } from './entry-store.js';
import { RedisLink } from './link.js';
import { ValueCoding } from './value-coding.js';

/** A result as it lies in Redis. */
interface SharedResult {
  /** As applications see it. */
  key: string;
  /** The versions of its scopes when it began to be fetched. Once one is another, it is void. */
  versions: Record<string, string | null>;
  bytes: Uint8Array;
}

/** More invalidations than this are told as one: everything is dropped. */
const MOST_MISSED = 10_000;

/** Answers the engine's questions from Redis, and tells the engine what has changed there. */
export class SharedResults {
  readonly #engine: RemoteCacheEngine;
  readonly #link: RedisLink;
  readonly #entries: RedisEntries;
  readonly #coding: ValueCoding;
  readonly #hasFallback: boolean;
  readonly #syncs: boolean;
  /** By flight: the versions of its scopes when it was asked for. */
  readonly #versions = new Map<string, Record<string, string | null>>();
  /** Scopes that were invalidated while Redis was out of reach. */
  #missed: Set<string> | 'all' = new Set();
  #isReady = false;
  #isClosed = false;

  constructor(engine: RemoteCacheEngine, config: CacheConfig, failed: (error: unknown) => void) {
    this.#engine = engine;
    this.#link = new RedisLink(config.redis ?? {}, true);
    this.#entries = new RedisEntries(this.#link);
    this.#coding = new ValueCoding(config.redis ?? {});
    this.#hasFallback = config.fallback !== undefined && config.fallback.enabled !== false;
    this.#syncs = config.fallback?.syncOnReconnect !== false;
    this.#link.on('connected', () => void this.#begin().catch(failed));
    this.#link.on('disconnected', () => this.#setReady(false));
    this.#link.on('changed', (keys) => this.#changed(keys));
    this.#link.on('error', failed);
    this.#setReady(false);
    engine.useRemoteCache({
      look: (flight, question) => void this.#look(flight, JSON.parse(question) as { digest: string; scopes: string[] }, failed),
      finish: (flight, entry, bytes) => void this.#finish(flight, entry, bytes).catch(failed),
      drop: (scopes) => void this.#drop(scopes),
    });
  }

  async #begin(): Promise<void> {
    await this.#tellMissed();
    this.#setReady(true);
  }

  /** What was invalidated here while Redis was out of reach is dropped there, before anything is read from it. */
  async #tellMissed(): Promise<void> {
    const missed = this.#missed;
    if (this.#syncs && missed === 'all') await this.#entries.clear();
    else if (this.#syncs && missed !== 'all') for (const scope of missed) await this.#entries.dropScope(scope);
    if (this.#missed === missed) this.#missed = new Set();
  }

  #setReady(isReady: boolean): void {
    if (this.#isClosed) return;
    this.#isReady = isReady;
    // What was kept may be what others have invalidated since.
    void this.#engine.invalidateCache({}).catch(() => undefined);
    this.#tellState();
  }

  #tellState(): void {
    // Without Redis, entries of this process are the fallback. With it, they are kept while their changes are told.
    const mayKeep = this.#isReady ? this.#link.isTrackingNow : this.#hasFallback;
    this.#engine.setRemoteState(this.#isReady, mayKeep);
  }

  #changed(keys: string[] | null): void {
    if (this.#isClosed) return;
    this.#tellState();
    if (keys === null) {
      void this.#engine.invalidateCache({}).catch(() => undefined);
      return;
    }
    const digests = keys.filter((key) => key.startsWith('e:')).map((key) => key.slice(2));
    if (digests.length > 0) void this.#engine.invalidateCache({ digests }).catch(() => undefined);
    for (const key of keys) {
      if (key.startsWith('v:')) void this.#engine.invalidateCache(criteriaOf(key.slice(2))).catch(() => undefined);
    }
  }

  async #look(flight: RemoteFlight, { digest, scopes }: { digest: string; scopes: string[] }, failed: (error: unknown) => void): Promise<void> {
    let bytes: Uint8Array | null = null;
    let ttl: number | null = null;
    try {
      const [found, now] = await Promise.all([this.#entries.read(digest), this.#entries.versions(scopes)]);
      const versions = Object.fromEntries(scopes.map((scope, at) => [scope, now[at] ?? null]));
      this.#versions.set(flight.name, versions);
      const result = found === undefined ? undefined : ((await this.#coding.decode(found.bytes)) as SharedResult);
      if (found !== undefined && result !== undefined && (await this.#isValid(result, versions))) {
        bytes = result.bytes;
        ttl = found.ttl < 0 ? null : found.ttl;
      }
    } catch (error) {
      failed(error);
    }
    this.#engine.answerRemote(flight, bytes, ttl);
  }

  /** Whether none of its scopes was invalidated since it was fetched. It may have been asked for with other tags. */
  async #isValid({ versions }: SharedResult, known: Record<string, string | null>): Promise<boolean> {
    const others = Object.keys(versions).filter((scope) => !(scope in known));
    const read = await this.#entries.versions(others);
    const now: Record<string, string | null> = { ...known, ...Object.fromEntries(others.map((scope, at) => [scope, read[at] ?? null])) };
    return Object.entries(versions).every(([scope, version]) => now[scope] === version);
  }

  async #finish(flight: RemoteFlight, entry: string | undefined, bytes: Buffer): Promise<void> {
    const versions = this.#versions.get(flight.name);
    this.#versions.delete(flight.name);
    if (entry === undefined || versions === undefined || !this.#isReady) return;
    const { digest, key, ttl } = JSON.parse(entry) as { digest: string; key: string; ttl: number | null };
    const result: SharedResult = { key, versions, bytes };
    await this.#entries.write(digest, await this.#coding.encode(result), Object.keys(versions), ttl ?? 0);
  }

  /**
   * Drops results in Redis; gives their number. While Redis is out of reach, they are dropped when it is back.
   */
  async invalidate(criteria: CacheInvalidationCriteria): Promise<number> {
    const scopes = scopesMeant(criteria);
    if (scopes !== undefined) return this.#drop(scopes);
    try {
      return await this.#dropMatching(criteria.pattern as RegExp);
    } catch {
      this.#miss(undefined);
      return 0;
    }
  }

  /** Never rejects: what cannot be dropped now is dropped when Redis is back. */
  async #drop(scopes: readonly string[]): Promise<number> {
    try {
      let count = 0;
      for (const scope of scopes) count += await this.#entries.dropScope(scope);
      return count;
    } catch {
      this.#miss(scopes);
      return 0;
    }
  }

  #miss(scopes: readonly string[] | undefined): void {
    if (scopes === undefined || this.#missed === 'all' || this.#missed.size > MOST_MISSED) {
      this.#missed = 'all';
      return;
    }
    for (const scope of scopes) this.#missed.add(scope);
    // A command may fail although the connection holds.
    if (this.#link.isUp) void this.#tellMissed().catch(() => undefined);
  }

  async #dropMatching(pattern: RegExp): Promise<number> {
    const matches = matcher(pattern);
    let count = 0;
    for (const name of await this.#entries.names()) {
      const found = await this.#entries.read(name);
      if (found === undefined) continue;
      const { key } = (await this.#coding.decode(found.bytes)) as SharedResult;
      if (matches(key) && (await this.#entries.delete(name))) count += 1;
    }
    return count;
  }

  /** Whether results are being shared now. */
  get isReady(): boolean {
    return this.#isReady;
  }

  close(): void {
    this.#isClosed = true;
    this.#link.close();
  }
}

/** The scopes that are meant; `undefined` for a pattern. */
function scopesMeant({ schema, tags, cluster, pattern }: CacheInvalidationCriteria): string[] | undefined {
  if (schema !== undefined) return [schemaScope(schema)];
  if (tags !== undefined) return tags.map(tagScope);
  if (cluster !== undefined) return [clusterScope(cluster)];
  return pattern === undefined ? [] : undefined;
}

function criteriaOf(scope: string): NativeCriteria {
  const at = scope.indexOf(':');
  const name = scope.slice(at + 1);
  switch (scope.slice(0, at)) {
    case 'tag':
      return { tags: [name] };
    case 'schema':
      return { schema: name };
    case 'cluster':
      return { cluster: name };
    default:
      return {};
  }
}
