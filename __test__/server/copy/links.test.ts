// Copies of entities with many-to-many relations and JSON: links arrive whatever keeps them, and values as they are.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { copyData, createIsolatedDialect, EntityService } from 'replicaverse';
import type { EntityDeclaration } from 'replicaverse';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const schemas: EntityDeclaration[] = [
  {
    name: 'Item',
    collection: 'items',
    fields: { extra: { type: 'json' } },
    relations: { tags: { type: 'many-to-many', target: 'Tag', through: 'item_tags' } },
  },
  { name: 'Tag', collection: 'tags', fields: { label: { type: 'string' } } },
];
const EXTRAS = [false, true, 0, 'x', '5', 'null', '"q"', { k: false }, ['a', 1]];

let mongo: { uri: string; database: string; remove(): Promise<void> };
let folder: string;

beforeAll(async () => {
  mongo = await (await import('../../support/index.mjs')).startMongo();
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-copy-'));
}, 120_000);
afterAll(async () => {
  await mongo?.remove();
  await rm(folder, { recursive: true, force: true });
});

/** Where a dialect keeps a database. */
function uriOf(dialect: 'sqlite' | 'mongodb', name: string): string {
  return dialect === 'sqlite' ? join(folder, `${name}.db`) : mongo.uri.replace(`/${mongo.database}`, `/${name}`);
}

describe.each([
  ['sqlite', 'mongodb', '', ''],
  ['mongodb', 'sqlite', '', ''],
  ['sqlite', 'sqlite', 'from_', ''],
  ['sqlite', 'sqlite', '', 'to_'],
] as const)('from %s to %s, with the prefixes "%s" and "%s"', (from, to, fromPrefix, toPrefix) => {
  test('rows keep their links and their JSON', async () => {
    const name = `${from}_${to}_${fromPrefix}${toPrefix}`;
    const source = { dialect: from, uri: uriOf(from, `source_${name}`), tablePrefix: fromPrefix };
    const target = { dialect: to, uri: uriOf(to, `target_${name}`), tablePrefix: toPrefix };
    const [old, copy] = await Promise.all([source, target].map(async (config) => new EntityService(await createIsolatedDialect(config, schemas), schemas)));
    if (old === undefined || copy === undefined) throw new Error('both are open');
    try {
      for (const id of ['t1', 't2']) await old.create('Tag', { id, label: id });
      for (const [at, extra] of EXTRAS.entries()) await old.create('Item', { id: `i${at}`, extra, tags: at % 2 === 0 ? ['t1'] : ['t1', 't2'] });
      const { totalErrors } = await copyData({ source, destinations: [target], entities: ['Item', 'Tag'], schemas });
      expect(totalErrors).toBe(0);
      const rows = await copy.findWithRelations<{ extra: unknown; tags: { id: string }[] }>('Item', {}, ['tags'], { sort: { id: 1 } });
      expect(rows.map(({ extra }) => extra)).toEqual(EXTRAS);
      expect(rows.map(({ tags }) => tags.map(({ id }) => id).sort())).toEqual(EXTRAS.map((_, at) => (at % 2 === 0 ? ['t1'] : ['t1', 't2'])));
    } finally {
      await Promise.all([old, copy].map((service) => service.dialect.disconnect()));
    }
  });
});
