// Requests in the buffer that goes to the native core.
import { expect, test } from 'vitest';
import { RequestWriter } from '../../../dist/pg-multiverse/request-writer.js';

const PARTS = { session: 0, timeout: 0, retryAttempts: 0, retryDelay: 0, isStream: false };

/** The section of a Bind message that a request holds. */
function sectionOf(values: readonly unknown[]): Buffer {
  const writer = new RequestWriter();
  writer.writeRequest(1, 2, 3, 4, values, PARTS);
  const written = writer.buffer.subarray(0, writer.length);
  expect(written.readUInt32LE(18)).toBe(written.length - 22);
  return Buffer.from(written.subarray(22));
}

test('a request names its slot, epoch, statement and route', () => {
  const writer = new RequestWriter();
  writer.writeRequest(0x01020304, 0xfffffffe, 5, 6, undefined, { ...PARTS, session: 7, timeout: 8, retryAttempts: 9, retryDelay: 10, isStream: true });
  const { buffer } = writer;
  expect([buffer[0], buffer[1]]).toEqual([3, 1 | 2 | 4 | 8]);
  const words = Array.from({ length: 9 }, (_, at) => buffer.readUInt32LE(2 + at * 4));
  expect(words).toEqual([0x01020304, 0xfffffffe, 5, 6, 7, 8, 9, 10, 4]);
});

test('texts and null go without formats', () => {
  expect(sectionOf(['ab', null, 'é'])).toEqual(Buffer.from([0, 0, 0, 3, 0, 0, 0, 2, 97, 98, 255, 255, 255, 255, 0, 0, 0, 2, 0xc3, 0xa9]));
});

test('bytes among them give every value a format', () => {
  expect(sectionOf(['a', Buffer.from([9]), null])).toEqual(
    Buffer.from([0, 3, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 1, 97, 0, 0, 0, 1, 9, 255, 255, 255, 255]),
  );
});

test.each([0, 1, 23, 24, 25, 70_000])('a text of %i letters is written whole, ASCII or not', (length) => {
  for (const letter of ['a', 'é', '\u{1f600}', '\ud800']) {
    for (const text of [letter.repeat(length), 'a'.repeat(length) + letter]) {
      const bytes = Buffer.from(text, 'utf8');
      const section = sectionOf([text]);
      expect(section.readInt32BE(4)).toBe(bytes.length);
      expect(section.subarray(8).equals(bytes)).toBe(true);
    }
  }
});

test('a parameter that cannot be written leaves nothing behind', () => {
  const writer = new RequestWriter();
  writer.writeStatement(1, 'SELECT 1');
  const before = writer.length;
  const refuses = {
    toPostgres() {
      throw new Error('no');
    },
  };
  expect(() => writer.writeRequest(1, 2, 3, 4, ['a', refuses], PARTS)).toThrow('no');
  expect(writer.length).toBe(before);
});
