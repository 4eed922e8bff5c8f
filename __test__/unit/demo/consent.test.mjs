// Before a database of the user's own is changed: what is said, who is asked, and what counts as consent.
import { PassThrough } from 'node:stream';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { databaseOf } from '../../../examples/demo/database-uri.mjs';
import { confirm, describePlan, ownDatabases } from '../../../examples/demo/own-databases.mjs';

const TARGET = databaseOf('postgres://user:secret@h/d');

/**
 * @param {object} terminal
 * @param {string} [terminal.answer] nothing ends the input
 * @param {boolean} [terminal.isTTY]
 * @param {boolean} [terminal.yes]
 * @param {string[]} [terminal.tables]
 */
async function askAbout({ answer, isTTY = true, yes = false, tables = ['a', 'b'] }) {
  const input = Object.assign(new PassThrough(), { isTTY, setRawMode: () => undefined });
  const output = Object.assign(new PassThrough(), { isTTY, columns: 80 });
  input.end(answer ?? '');
  const agreed = await confirm(TARGET, tables, { yes, input: /** @type {any} */ (input), output: /** @type {any} */ (output) });
  return { agreed, text: String(output.read() ?? '') };
}

describe('a target that is not empty', () => {
  it.each(['y\n', 'Y\n', 'yes\n', ' YES \n'])('is changed after the answer %j', async (answer) => {
    const { agreed, text } = await askAbout({ answer });
    expect(agreed).toBe(true);
    expect(text).toContain('PostgreSQL d on h:5432 is not empty: it holds 2 tables (a, b).');
    expect(text).not.toContain('secret');
  });

  it.each(['\n', 'n\n', 'yeah\n', 'no y\n', undefined])('is not changed after the answer %j', async (answer) => {
    expect((await askAbout({ answer })).agreed).toBe(false);
  });

  it('is changed without a question when the user has agreed beforehand', async () => {
    const { agreed, text } = await askAbout({ yes: true, isTTY: false });
    expect(agreed).toBe(true);
    expect(text).not.toContain('[y/N]');
  });

  it('is not changed where there is nobody to ask', async () => {
    await expect(askAbout({ isTTY: false })).rejects.toThrow('give --yes');
  });

  it('with many tables is not listed in full', async () => {
    const tables = Array.from({ length: 20 }, (_, index) => `t${index}`);
    expect((await askAbout({ answer: 'y\n', tables })).text).toContain('it holds 20 tables (t0, t1, t2, t3, t4, t5, t6, t7 and 12 more)');
  });
});

describe('an empty target', () => {
  it('is filled without a question', async () => {
    expect(await askAbout({ isTTY: false, tables: [] })).toEqual({ agreed: true, text: '' });
  });
});

describe('the plan', () => {
  const target = databaseOf('mongodb://user:secret@h/d');

  it('says before anything happens that rows are deleted, and on which target', () => {
    const text = describePlan(TARGET, [target], ['a', 'b']).join('\n');
    expect(text).toContain('Mirrors the tables a, b of PostgreSQL d on h:5432, which is only read,\n  to MongoDB d on h:27017');
    expect(text).toMatch(/rows .* that the source does not have are DELETED/);
    expect(text).not.toContain('secret');
  });

  it('says when it is about every table', () => {
    expect(describePlan(TARGET, [target], undefined)[0]).toMatch(/^Mirrors every table of PostgreSQL/);
  });
});

describe('an SQLite source that does not exist', () => {
  it('is refused and not made', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'demo-consent-test-'));
    try {
      const source = path.join(folder, 'misspelt.db');
      expect(() => ownDatabases({ source, targets: ['postgres://h/d'] })).toThrow(`the source does not exist: SQLite ${source}`);
      expect(existsSync(source)).toBe(false);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
