// Calls for single rows that are carried out together, on a core that is played here.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { RowCalls } from '../../../dist/orm/row-calls.js';
import type { NativeDialect, NativeSchema } from '../../../native.js';

type Outcomes = [string, string, string[], Promise<string>[]];

/** A core that notes what it is asked for. */
class Core {
  readonly asked: string[] = [];
  /** What the next call for several rows answers. */
  answer: ((items: unknown[]) => Outcomes) | undefined;

  findById(schema: string, id: string): string | Promise<string> {
    this.asked.push(`find ${schema} ${id}`);
    return id === '"none"' ? '[]' : `[{"id":${id}}]`;
  }

  create(schema: string, record: string): string | Promise<string> {
    this.asked.push(`create ${schema} ${record}`);
    if (record === '"slow"') return Promise.resolve('[{"id":"slow"}]');
    if (record === '"bad"') throw new Error('bad alone');
    return `[${record}]`;
  }

  findEach(schema: string, ids: string): Outcomes {
    return this.#each('find', schema, ids, (id) => [{ id }]);
  }

  createEach(schema: string, records: string): Outcomes {
    return this.#each('create', schema, records, (record) => [record]);
  }

  #each(verb: string, schema: string, list: string, row: (item: unknown) => unknown): Outcomes {
    const items = JSON.parse(list) as unknown[];
    this.asked.push(`${verb} each ${schema} ${items.length}`);
    const answer = this.answer;
    this.answer = undefined;
    return answer?.(items) ?? ['r'.repeat(items.length), JSON.stringify(items.map(row)), [], []];
  }
}

function calls(core: Core): RowCalls {
  return new RowCalls(core as unknown as NativeDialect);
}

function schema(name: string): NativeSchema {
  return name as unknown as NativeSchema;
}

const people = schema('people');

test('a call by itself is carried out by itself', async () => {
  const core = new Core();
  const rows = calls(core);
  expect(await rows.find(people, '"a"')).toEqual({ id: 'a' });
  expect(await rows.find(people, '"none"')).toBeNull();
  expect(await rows.create(people, '"slow"')).toEqual({ id: 'slow' });
  await expect(rows.create(people, '"bad"')).rejects.toThrow('bad alone');
  expect(core.asked).toEqual(['find people "a"', 'find people "none"', 'create people "slow"', 'create people "bad"']);
});

test('calls of one turn are carried out together, no more than some at once', async () => {
  const core = new Core();
  const rows = calls(core);
  const found = await Promise.all(Array.from({ length: 150 }, (_, at) => rows.find(people, String(at))));
  expect(found).toEqual(Array.from({ length: 150 }, (_, id) => ({ id })));
  expect(core.asked).toEqual(['find each people 64', 'find each people 64', 'find each people 22']);
});

test('rows are created in the order that was asked for, before any is looked for', async () => {
  const core = new Core();
  const rows = calls(core);
  await Promise.all([
    rows.find(people, '1'),
    rows.create(schema('authors'), '{"id":1}'),
    rows.create(schema('authors'), '{"id":2}'),
    rows.create(schema('books'), '{"id":3}'),
    rows.create(schema('authors'), '{"id":4}'),
    rows.find(people, '2'),
  ]);
  expect(core.asked).toEqual(['create each authors 2', 'create books {"id":3}', 'create authors {"id":4}', 'find each people 2']);
});

test('each call has its own outcome', async () => {
  const core = new Core();
  const rows = calls(core);
  core.answer = () => ['rfpur', '[[{"id":"a","at":0},"at","date"],[]]', ['no'], [Promise.resolve('[{"id":"late"}]')]];
  const outcomes = await Promise.allSettled(['"a"', '"b"', '"c"', '"d"', '"e"'].map((id) => rows.find(people, id)));
  expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : String(outcome.reason)))).toEqual([
    { id: 'a', at: new Date(0) },
    'Error: no',
    { id: 'late' },
    // It was undone with the others, and so is asked for again.
    { id: 'd' },
    null,
  ]);
  expect(core.asked).toEqual(['find each people 5', 'find people "d"']);
});

test('what cannot be asked for together is asked for one by one', async () => {
  const core = new Core();
  const rows = calls(core);
  core.answer = () => {
    throw new Error('no such list');
  };
  const outcomes = await Promise.allSettled([rows.create(people, '{"id":1}'), rows.create(people, '"bad"')]);
  expect(outcomes).toMatchObject([{ value: { id: 1 } }, { reason: { message: 'bad alone' } }]);
});

test('what waits can be carried out at once', () => {
  const core = new Core();
  const rows = calls(core);
  void rows.find(people, '1');
  void rows.find(people, '2');
  rows.flush();
  expect(core.asked).toEqual(['find each people 2']);
  rows.flush();
  expect(core.asked).toHaveLength(1);
});

test('calls that are awaited one after the other let the application have its turn', async () => {
  const rows = calls(new Core());
  let hadTurn = false;
  void nextTurn().then(() => (hadTurn = true));
  const deadline = performance.now() + 10_000;
  while (!hadTurn && performance.now() < deadline) await rows.find(people, '1');
  expect(hadTurn).toBe(true);
});
