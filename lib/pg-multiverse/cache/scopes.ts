// What entries have in common, by which they are invalidated together.
import type { CacheSetOptions } from './cache-provider.js';

export const tagScope = (tag: string) => `tag:${tag}`;
export const schemaScope = (schema: string) => `schema:${schema}`;
export const clusterScope = (clusterId: string) => `cluster:${clusterId}`;

/** The scopes of an entry, each once. */
export function scopesOf({ tags, schema, clusterId }: CacheSetOptions): string[] {
  const scopes = [
    ...(tags ?? []).map(tagScope),
    ...(schema === undefined ? [] : [schemaScope(schema)]),
    ...(clusterId === undefined ? [] : [clusterScope(clusterId)]),
  ];
  return [...new Set(scopes)];
}
