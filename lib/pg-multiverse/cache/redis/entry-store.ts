// Entries in Redis: each a value with what it can be invalidated by, sets of keys by scope, and a version for each scope.
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { RedisClient, RedisLink } from './link.js';

/** How long the version of a scope is remembered, in milliseconds: longer than anything takes to be fetched. */
const VERSION_TTL = 24 * 3600 * 1000;
const SCAN_COUNT = 1000;
/** How many entries are looked into at a time before they are dropped. */
const LOOK_COUNT = 100;

/**
 * Adds a key to the set of a scope, which lives as long as the key that lives longest. A script runs as a whole, and uses
 * one key, so that it runs in a cluster too.
 */
const ADD_TO_SCOPE = `
local left = redis.call('PTTL', KEYS[1])
local ttl = tonumber(ARGV[2])
redis.call('SADD', KEYS[1], ARGV[1])
if ttl == 0 then redis.call('PERSIST', KEYS[1])
elseif left == -2 or (left >= 0 and left < ttl) then redis.call('PEXPIRE', KEYS[1], ttl) end
return 1`;

/** The versions of some scopes when something began to be fetched. */
export type ScopeVersions = readonly (string | null)[];

/** Reads, writes and drops entries. Names of entries and scopes come without the prefix. */
export class RedisEntries {
  readonly #link: RedisLink;

  constructor(link: RedisLink) {
    this.#link = link;
  }

  #entry(name: string): string {
    return `${this.#link.prefix}e:${name}`;
  }

  #members(scope: string): string {
    return `${this.#link.prefix}s:${scope}`;
  }

  #version(scope: string): string {
    return `${this.#link.prefix}v:${scope}`;
  }

  /** The bytes of an entry, and the milliseconds it has left; -1 for one without an end. */
  async read(name: string): Promise<{ bytes: Buffer; ttl: number } | undefined> {
    const client = await this.#link.client();
    const [bytes, ttl] = await Promise.all([client.getBuffer(this.#entry(name)), client.pttl(this.#entry(name))]);
    return bytes === null || ttl === -2 ? undefined : { bytes, ttl };
  }

  /** Whether there is an entry. */
  async has(name: string): Promise<boolean> {
    const client = await this.#link.client();
    return (await client.exists(this.#entry(name))) === 1;
  }

  /** Writes an entry. It is entered in its scopes first, so that whoever drops a scope finds it. */
  async write(name: string, bytes: Buffer, scopes: readonly string[], ttl: number): Promise<void> {
    const client = await this.#link.client();
    await Promise.all(scopes.map((scope) => client.eval(ADD_TO_SCOPE, 1, this.#members(scope), name, ttl)));
    if (ttl > 0) await client.set(this.#entry(name), bytes, 'PX', Math.ceil(ttl));
    else await client.set(this.#entry(name), bytes);
  }

  /** Drops an entry; gives whether there was one. */
  async delete(name: string): Promise<boolean> {
    const client = await this.#link.client();
    return (await client.unlink(this.#entry(name))) === 1;
  }

  /** The versions of scopes now. */
  async versions(scopes: readonly string[]): Promise<ScopeVersions> {
    const client = await this.#link.client();
    return Promise.all(scopes.map((scope) => client.get(this.#version(scope))));
  }

  /**
   * Drops all entries of a scope; gives their number. What is being fetched at this moment has an old version then.
   *
   * @param isIn tells of an entry whether it is still in the scope, as it may have been written anew since with other scopes. The
   *   sets do not forget it then: whoever wrote it with the scope again at that moment would not be found.
   */
  async dropScope(scope: string, isIn?: (bytes: Buffer) => Promise<boolean>): Promise<number> {
    const client = await this.#link.client();
    await client.set(this.#version(scope), randomUUID(), 'PX', VERSION_TTL);
    const all = await client.smembers(this.#members(scope));
    const names = isIn === undefined ? all : await this.#namesWhere(client, all, isIn);
    const dropped = await Promise.all(names.map((name) => client.unlink(this.#entry(name))));
    if (names.length > 0) await client.srem(this.#members(scope), ...names);
    return dropped.reduce((sum, count) => sum + count, 0);
  }

  /** The names of entries that are gone or meet a condition. */
  async #namesWhere(client: RedisClient, names: readonly string[], isMeant: (bytes: Buffer) => Promise<boolean>): Promise<string[]> {
    const found: string[] = [];
    for (let from = 0; from < names.length; from += LOOK_COUNT) {
      const some = names.slice(from, from + LOOK_COUNT);
      const values = await Promise.all(some.map((name) => client.getBuffer(this.#entry(name))));
      const areMeant = await Promise.all(values.map(async (bytes) => bytes === null || (await isMeant(bytes))));
      found.push(...some.filter((_, at) => areMeant[at] === true));
    }
    return found;
  }

  /** The names of all entries. Redis is searched for them. */
  async names(): Promise<string[]> {
    const prefix = this.#entry('');
    const found = await this.#scan(`${escaped(prefix)}*`);
    return found.map((key) => key.slice(prefix.length));
  }

  /** Drops everything under the prefix. */
  async clear(): Promise<void> {
    const client = await this.#link.client();
    const keys = await this.#scan(`${escaped(this.#link.prefix)}*`);
    await Promise.all(keys.map((key) => client.unlink(key)));
  }

  async #scan(pattern: string): Promise<string[]> {
    const masters = await this.#link.masters();
    const found = await Promise.all(masters.map((master) => scanServer(master, pattern)));
    // A key that moves between servers may be found on both.
    return [...new Set(found.flat())];
  }

  /** Whether Redis answers. */
  async ping(): Promise<boolean> {
    const client: RedisClient = await this.#link.client();
    return (await client.ping()) === 'PONG';
  }
}

async function scanServer(server: Redis, pattern: string): Promise<string[]> {
  const keys: string[] = [];
  let cursor = '0';
  do {
    const [next, page] = await server.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT);
    keys.push(...page);
    cursor = next;
  } while (cursor !== '0');
  return keys;
}

function escaped(text: string): string {
  return text.replace(/[\\*?[\]^-]/g, '\\$&');
}
