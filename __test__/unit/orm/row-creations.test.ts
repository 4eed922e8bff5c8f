// Rows that are created together, in a core that is played here.
import { expect, test } from 'vitest';
import { RowCreations } from '../../../dist/orm/row-creations.js';
import type { NativeDialect, NativeSchema } from '../../../native.js';

type Outcomes = [string, string, string[], Promise<string>[]];

/** A core that notes what it is asked for. */
class Core {
  readonly asked: string[] = [];
  /** What the next call for several rows answers. */
  answer: (() => Outcomes) | undefined;

  create(schema: string, record: string): string | Promise<string> {
    this.asked.push(`${schema} ${record}`);
    if (record === '"slow"') return Promise.resolve('[{"id":"slow"}]');
    if (record === '"bad"') throw new Error('bad alone');
    return `[{"id":${record}}]`;
  }

  createEach(schema: string, records: string): Outcomes {
    const items = JSON.parse(records) as unknown[];
    this.asked.push(`${schema} ${items.length} together`);
    const answer = this.answer;
    this.answer = undefined;
    return answer?.() ?? ['r'.repeat(items.length), JSON.stringify(items.map((id) => [{ id }])), [], []];
  }
}

function creations(core: Core): RowCreations {
  return new RowCreations(core as unknown as NativeDialect);
}

function schema(name: string): NativeSchema {
  return name as unknown as NativeSchema;
}

const people = schema('people');

test('a row by itself is created by itself', async () => {
  const core = new Core();
  const rows = creations(core);
  expect(await rows.create(people, '"a"')).toEqual({ id: 'a' });
  expect(await rows.create(people, '"slow"')).toEqual({ id: 'slow' });
  await expect(rows.create(people, '"bad"')).rejects.toThrow('bad alone');
  expect(core.asked).toEqual(['people "a"', 'people "slow"', 'people "bad"']);
});

test('rows of one turn are created together, no more than some at once', async () => {
  const core = new Core();
  const rows = creations(core);
  const created = await Promise.all(Array.from({ length: 150 }, (_, at) => rows.create(people, String(at))));
  expect(created).toEqual(Array.from({ length: 150 }, (_, id) => ({ id })));
  expect(core.asked).toEqual(['people 64 together', 'people 64 together', 'people 22 together']);
});

test('those who go on at the same time create their next rows together', async () => {
  const core = new Core();
  const rows = creations(core);
  const worker = async (): Promise<void> => {
    for (let round = 0; round < 3; round += 1) await rows.create(people, '1');
  };
  await Promise.all(Array.from({ length: 10 }, worker));
  expect(core.asked).toEqual(['people 10 together', 'people 10 together', 'people 10 together']);
});

test('rows are created in the order that was asked for', async () => {
  const core = new Core();
  const rows = creations(core);
  const order = ['authors', 'authors', 'books', 'authors'];
  await Promise.all(order.map((name, at) => rows.create(schema(name), String(at))));
  expect(core.asked).toEqual(['authors 2 together', 'books 2', 'authors 3']);
});

test('each row has its own outcome', async () => {
  const core = new Core();
  const rows = creations(core);
  core.answer = () => ['rfpur', '[[{"id":"a","at":0},"at","date"],[{"id":"e"}]]', ['no'], [Promise.resolve('[{"id":"late"}]')]];
  const outcomes = await Promise.allSettled(['"a"', '"b"', '"c"', '"d"', '"e"'].map((id) => rows.create(people, id)));
  expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : String(outcome.reason)))).toEqual([
    { id: 'a', at: new Date(0) },
    'Error: no',
    { id: 'late' },
    // It was undone with the others, and so is created again.
    { id: 'd' },
    { id: 'e' },
  ]);
  expect(core.asked).toEqual(['people 5 together', 'people "d"']);
});

test('what cannot be created together is created one by one', async () => {
  const core = new Core();
  const rows = creations(core);
  core.answer = () => {
    throw new Error('no such list');
  };
  const outcomes = await Promise.allSettled([rows.create(people, '1'), rows.create(people, '"bad"')]);
  expect(outcomes).toMatchObject([{ value: { id: 1 } }, { reason: { message: 'bad alone' } }]);
});

test('what waits can be written at once', () => {
  const core = new Core();
  const rows = creations(core);
  void rows.create(people, '1');
  void rows.create(people, '2');
  rows.flush();
  expect(core.asked).toEqual(['people 2 together']);
  rows.flush();
  expect(core.asked).toHaveLength(1);
});
