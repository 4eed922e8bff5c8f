// A rule as an application gives it, brought into the form that the core reads.

import { configError } from '../errors.js';
import { jsonOf } from './arguments.js';
import type { ReplicationRuleConfig, RowTransform } from './types.js';

/** A rule as JSON, and the function that its rows pass through. */
export interface RuleArguments {
  json: string;
  transform: RowTransform | undefined;
}

/**
 * Takes the functions out of a rule: `rename` is called for each collection, and `transform` is kept beside it.
 *
 * @throws {ReplicaverseError} of kind `Config`
 */
export function ruleArguments(rule: ReplicationRuleConfig): RuleArguments {
  if (typeof rule !== 'object' || (rule as unknown) === null) return { json: jsonOf('rule', rule), transform: undefined };
  const { transform, rename, ...rest } = rule;
  if (transform !== undefined && typeof transform !== 'function' && typeof transform !== 'boolean') {
    throw configError(`rule "${rule.name}".transform: expected a function, found ${typeof transform}`);
  }
  if (rule.where === null) throw configError(`rule "${rule.name}".where is null; leave it out, so that every row is replicated`);
  if (rule.where !== undefined) refuseUndefined(rule.where, `rule "${rule.name}".where`);
  const plain = {
    ...rest,
    ...(rename === undefined ? {} : { rename: typeof rename === 'function' ? namesBy(rename, rule) : rename }),
    ...(transform === undefined || transform === false ? {} : { transform: true }),
  };
  return { json: jsonOf('rule', plain), transform: typeof transform === 'function' ? transform : undefined };
}

function namesBy(rename: (collection: string) => string, rule: ReplicationRuleConfig): Record<string, string> {
  if (rule.collections.includes('*')) {
    throw configError(`rule "${rule.name}".rename: a function cannot be asked for '*', whose collections are only known later; use {'*': 'prefix_*'}`);
  }
  return Object.fromEntries(rule.collections.map((collection) => [collection, rename(collection)]));
}

/** A field that is `undefined` would vanish from the JSON, and the filter let every row pass. */
function refuseUndefined(value: unknown, place: string): void {
  if (value === undefined) throw configError(`${place} is undefined; to ask for rows without a value, use null`);
  if (value instanceof RegExp) throw configError(`${place} is a regular expression; write it as {$regex: '^text'}`);
  if (typeof value !== 'object' || value === null || value instanceof Date) return;
  for (const [name, inner] of Object.entries(value)) refuseUndefined(inner, `${place}.${name}`);
}
