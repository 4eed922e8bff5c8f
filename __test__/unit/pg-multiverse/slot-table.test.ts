// Texts that stand as numbers.
import { expect, test } from 'vitest';
import { SlotTable } from '../../../dist/pg-multiverse/slot-table.js';

function table(capacity: number) {
  const defined: [number, string][] = [];
  return { defined, slots: new SlotTable(capacity, 10, (slot, text) => defined.push([slot, text])) };
}

test('a text is defined once', () => {
  const { defined, slots } = table(5);
  expect([slots.slotOf('a'), slots.slotOf('b'), slots.slotOf('a')]).toEqual([1, 2, 1]);
  expect(defined).toEqual([
    [1, 'a'],
    [2, 'b'],
  ]);
});

test('the oldest text gives its number to a new one', () => {
  const { defined, slots } = table(2);
  expect(['a', 'b', 'c', 'a'].map((text) => slots.slotOf(text))).toEqual([1, 2, 1, 2]);
  expect(defined.at(-1)).toEqual([2, 'a']);
});

test('a long text is not kept, and defined each time', () => {
  const { defined, slots } = table(2);
  const long = 'x'.repeat(11);
  expect([slots.slotOf(long), slots.slotOf(long)]).toEqual([0, 0]);
  expect(defined).toHaveLength(2);
});
