// Rows from packed cells, by generated code and without it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const program = join(__dirname, 'decoded-rows.cjs');

/** Decodes the same rows in a process that may or may not make code from text. */
function decodedBy(...flags: string[]): unknown {
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, program], { encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

const EXPECTED = [
  [['a', 1], ['__proto__', 'x'], ['"]: 1', true], ['constructor', 'Number 4294967295'], ['twice', 'last'], ['j', { k: 1 }], ['b', 'Buffer 0102']],
  [['a', null], ['__proto__', null], ['"]: 1', null], ['constructor', null], ['twice', null], ['j', null], ['b', null]],
  [['a', -5], ['__proto__', ''], ['"]: 1', false], ['constructor', 'Number 0'], ['twice', 'é'], ['j', [2]], ['b', 'Buffer ']],
];

test('generated code makes the rows', () => {
  expect(decodedBy()).toEqual(EXPECTED);
});

test('rows are the same where no code may be made from text', () => {
  expect(decodedBy('--disallow-code-generation-from-strings')).toEqual(EXPECTED);
});
