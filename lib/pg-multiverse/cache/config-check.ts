// Whether the configuration of a cache can be used.
import { configError } from '../../errors.js';
import type { ValidationResult } from '../config-types.js';
import type { CacheConfig, RedisConfig } from './config.js';

type Options = Readonly<Record<string, unknown>>;

const CHOICES: readonly (readonly [name: keyof CacheConfig, choices: readonly string[]])[] = [
  ['strategy', ['lru', 'lfu', 'fifo']],
  ['provider', ['memory', 'redis']],
  ['invalidate', ['ttl', 'wal']],
];
const REDIS_CHOICES: readonly (readonly [name: keyof RedisConfig, choices: readonly string[]])[] = [
  ['compression', ['none', 'gzip', 'lz4']],
  ['serialization', ['json', 'msgpack']],
];
const COUNTS: readonly (readonly [name: keyof CacheConfig, least: number])[] = [
  ['maxSize', 1],
  ['maxBytes', 1],
  ['ttl', 0],
  ['compressionThreshold', 0],
  ['staleWhileRevalidate', 0],
];
const REDIS_COUNTS: readonly (readonly [name: keyof RedisConfig, least: number])[] = [
  ['port', 1],
  ['db', 0],
  ['connectTimeout', 1],
  ['commandTimeout', 1],
  ['compressionThreshold', 0],
];

/** What is wrong with a configuration, and what is doubtful. */
export function validateCacheConfig(config: CacheConfig): ValidationResult {
  const errors: string[] = [];
  const warnings: string[] = [];
  const options = config as unknown;
  if (!isOptions(options)) return { valid: false, errors: ['expected an object of options'], warnings };
  checkFields(options, '', CHOICES, COUNTS, errors);
  const { redis, fallback, publication } = options;
  if (publication !== undefined && (typeof publication !== 'string' || publication === '')) errors.push('publication: expected text');
  // What lies in Redis would outlive what one process learns from the log.
  if (options.provider === 'redis' && options.invalidate === 'wal') errors.push("invalidate: 'wal' is for the provider 'memory'");
  if (options.provider === 'redis' && redis === undefined) warnings.push('redis: not given, so that Redis is looked for at localhost:6379');
  if (redis !== undefined && !isOptions(redis)) errors.push('redis: expected an object of options');
  else if (redis !== undefined) checkRedis(redis, errors);
  if (fallback !== undefined && !isOptions(fallback)) errors.push('fallback: expected an object of options');
  else if (fallback !== undefined && (fallback.provider ?? 'memory') !== 'memory') errors.push('fallback.provider: expected memory');
  return { valid: errors.length === 0, errors, warnings };
}

/** @throws an error of kind `Config` that names what is wrong */
export function checkCacheConfig(config: CacheConfig): void {
  const { errors } = validateCacheConfig(config);
  if (errors.length > 0) throw configError(`cache: ${errors.join('; ')}`);
}

function checkRedis(redis: Options, errors: string[]): void {
  checkFields(redis, 'redis.', REDIS_CHOICES, REDIS_COUNTS, errors);
  for (const name of ['host', 'username', 'password', 'keyPrefix', 'sentinelName', 'sentinelPassword']) {
    if (redis[name] !== undefined && typeof redis[name] !== 'string') errors.push(`redis.${name}: expected text`);
  }
  if (redis.cluster !== undefined && redis.sentinels !== undefined) errors.push('redis: cluster and sentinels exclude each other');
  const cluster = isOptions(redis.cluster) && !Array.isArray(redis.cluster) ? redis.cluster.nodes : redis.cluster;
  for (const [name, nodes] of [['cluster', cluster], ['sentinels', redis.sentinels]] as const) {
    if (nodes === undefined) continue;
    const isList = Array.isArray(nodes) && nodes.length > 0 && nodes.every((node: unknown) => isOptions(node) && typeof node.host === 'string' && typeof node.port === 'number');
    if (!isList) errors.push(`redis.${name}: expected a list of nodes, each with host and port`);
  }
}

function checkFields(
  options: Options,
  prefix: string,
  choices: readonly (readonly [name: string, choices: readonly string[]])[],
  counts: readonly (readonly [name: string, least: number])[],
  errors: string[],
): void {
  for (const [name, words] of choices) {
    const value = options[name];
    if (value !== undefined && !words.includes(value as string)) errors.push(`${prefix}${name}: expected ${words.join(', ')}`);
  }
  for (const [name, least] of counts) {
    const value = options[name];
    if (value !== undefined && !(typeof value === 'number' && value >= least)) errors.push(`${prefix}${name}: expected a number from ${least}`);
  }
}

function isOptions(value: unknown): value is Options {
  return typeof value === 'object' && value !== null;
}
