// Rules that carry some of the rows, under other names, or as a function of the application makes them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReplicationManager } from 'replicaverse';
import type { ReplicationRuleConfig, RowChange } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Databases } from './databases.mjs';
import { CdcEnds } from './cdc-ends.mjs';

let databases: Databases;
let ends: CdcEnds;
beforeAll(async () => {
  databases = await Databases.start();
});
afterAll(() => databases.remove());
beforeEach(() => {
  ends = new CdcEnds(databases);
});
afterEach(() => ends.close());

const ruleOf = (more: Partial<ReplicationRuleConfig> = {}): ReplicationRuleConfig => ({
  name: 'r',
  source: 'from',
  target: 'to',
  mode: 'cdc',
  collections: ['item'],
  ...more,
});

describe('where', () => {
  it('lets rows come and go with the filter', async () => {
    await ends.open('sqlite', 'sqlite');
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'red apple'), (2, 'green pear')");
    ends.manager.addReplicationRule(ruleOf({ where: { item: { name: { $regex: '^red' } } } }));
    await ends.manager.sync('r');
    expect(await ends.names()).toEqual({ 1: 'red apple' });
    await ends.write("UPDATE item SET name = 'red pear' WHERE id = 2");
    await ends.write("UPDATE item SET name = 'green apple' WHERE id = 1");
    expect(await ends.manager.sync('r')).toMatchObject({ errors: 0, details: [{ updated: 1, deleted: 1 }] });
    expect(await ends.names()).toEqual({ 2: 'red pear' });
    expect(await ends.manager.verify('r')).toMatchObject({ equal: true });
  });

  it('refuses what would mean something else than it says', () => {
    const add = (where: ReplicationRuleConfig['where']) => () => ends.manager.addReplicationRule(ruleOf({ where }));
    expect(add({ tenant: undefined })).toThrow('where.tenant is undefined');
    expect(add({ name: /red/ })).toThrow('regular expression');
    expect(add({ name: { $regex: 'r.*d' } })).toThrow('do not agree');
    expect(add({ itme: { name: 'x' } })).toThrow('"itme" is none');
    expect(ends.manager.listRules()).toEqual([]);
  });
});

describe('rename', () => {
  it('takes a function, which is asked when the rule is added', async () => {
    await ends.open('sqlite', 'sqlite');
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'one')");
    ends.manager.addReplicationRule(ruleOf({ rename: (collection) => `copy_of_${collection}` }));
    expect(ends.manager.listRules()[0]?.rename).toEqual({ item: 'copy_of_item' });
    await ends.manager.sync('r');
    expect(await ends.queryTarget('SELECT id, name FROM copy_of_item')).toEqual([{ id: 1, name: 'one' }]);
    expect(() => ends.manager.addReplicationRule(ruleOf({ name: 'all', collections: ['*'], rename: (name) => name }))).toThrow("'*'");
  });
});

describe('transform', () => {
  const capitals = async ({ row }: RowChange): Promise<Record<string, unknown> | null> => {
    await Promise.resolve();
    if (row.name === 'secret') return null;
    if (row.name === 'bad') throw new Error('no such fruit');
    return { ...row, name: String(row.name).toUpperCase() };
  };

  it('changes rows, leaves rows out, and sets those aside for which it fails', async () => {
    await ends.open('postgres', 'sqlite');
    await ends.write("INSERT INTO item (id, name) VALUES (9007199254740993, 'apple'), (2, 'secret'), (3, 'bad')");
    const seen: string[] = [];
    ends.manager.addReplicationRule(
      ruleOf({
        transform: (change) => {
          seen.push(`${change.operation} ${change.collection} ${String(change.key.id)}`);
          return capitals(change);
        },
      }),
    );
    expect(await ends.manager.sync('r')).toMatchObject({ details: [{ created: 1, failures: expect.arrayContaining([expect.objectContaining({ key: '3' })]) as unknown }] });
    expect(await ends.queryTarget('SELECT CAST(id AS TEXT) AS id, name FROM item')).toEqual([{ id: '9007199254740993', name: 'APPLE' }]);
    expect(seen.slice(0, 3).sort()).toEqual(['insert item 2', 'insert item 3', 'insert item 9007199254740993']);
    const letters = await ends.manager.getDeadLetters('r');
    expect(letters).toMatchObject({ count: 1, rows: [{ key: '3', error: expect.stringContaining('no such fruit') as string }] });
    await ends.write("UPDATE item SET name = 'pear' WHERE id IN (2, 3)");
    await ends.manager.sync('r');
    expect(await ends.names()).toMatchObject({ 2: 'PEAR', 3: 'PEAR' });
    expect(await ends.manager.getDeadLetters('r')).toMatchObject({ count: 0 });
  });

  it('sets a row aside for which it takes too long, and goes on with the others', async () => {
    await ends.open('postgres', 'sqlite');
    await ends.write("INSERT INTO item (id, name) VALUES (1, 'apple'), (2, 'never'), (3, 'pear')");
    const never = new Promise<null>(() => undefined);
    ends.manager.addReplicationRule(ruleOf({ transformTimeoutMs: 50, transform: ({ row }) => (row.name === 'never' ? never : row) }));
    expect(await ends.manager.sync('r')).toMatchObject({ details: [{ created: 2 }] });
    expect(await ends.names()).toEqual({ 1: 'apple', 3: 'pear' });
    const letters = await ends.manager.getDeadLetters('r');
    expect(letters).toMatchObject({ count: 1, rows: [{ key: '2', error: expect.stringContaining('longer than 50 ms') as string }] });
    expect(() => ends.manager.addReplicationRule({ ...ruleOf({}), name: 's', transformTimeoutMs: 0 })).toThrow('transformTimeoutMs');
  });

  it('is given again by each process, or the rule does not run', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'replicaverse-shapes-'));
    const tree = join(folder, 'tree.json');
    try {
      ends.manager.addReplicationRule(ruleOf({ transform: capitals }));
      ends.manager.saveToFile(tree);
      const loaded = new ReplicationManager();
      loaded.loadFromFile(tree);
      expect(loaded.listRules()).toMatchObject([{ name: 'r', transform: true }]);
      await expect(loaded.sync('r')).rejects.toThrow('ruleTransforms');
      await expect(loaded.start('r')).rejects.toThrow('ruleTransforms');
      loaded.addReplicationRule(ruleOf({ transform: capitals }));
      await expect(loaded.sync('r')).rejects.toThrow('Pas de master connecte');
      const given = new ReplicationManager(undefined, { ruleTransforms: { r: capitals } });
      given.loadFromFile(tree);
      await expect(given.sync('r')).rejects.toThrow('Pas de master connecte');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
