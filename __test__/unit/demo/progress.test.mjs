// The demo's progress: moving bars on a terminal of any width, plain lines elsewhere.
import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { barLine, summaryLine } from '../../../examples/demo/progress-line.mjs';
import { startProgress } from '../../../examples/demo/progress.mjs';

const STEP = { collection: 'flights', rows: 50_000, estimate: 200_000, done: false };

describe('a bar', () => {
  it('shows the part done, rows, speed and the time left', () => {
    expect(barLine(STEP, 2, { width: 120 })).toBe(
      `  flights       ${'█'.repeat(8)}${'░'.repeat(22)}   25 %  50,000 rows  25,000 rows/s  ETA 6.0 s`,
    );
  });

  it('shortens, and leaves out what has no room, so that it never wraps', () => {
    for (let width = 10; width <= 130; width += 1) {
      expect(barLine(STEP, 2, { width }).length, `at ${width}`).toBeLessThan(width);
      const named = { ...STEP, collection: 'a_name_that_is_as_long_as_names_of_tables_can_be_in_a_database' };
      expect(barLine(named, 2, { width }).length, `at ${width}`).toBeLessThan(width);
    }
    expect(barLine(STEP, 2, { width: 80 })).toMatch(/█░+ {3}25 %/);
    expect(barLine(STEP, 2, { width: 50 })).toBe('  flights        25 %  50,000 rows  25,000 rows/s');
    expect(barLine(STEP, 2, { width: 40 })).toBe('  flights        25 %  50,000 rows');
  });

  it('has no end when the number of rows is not known or was estimated too low', () => {
    expect(barLine({ ...STEP, estimate: undefined }, 2, { width: 120 })).toBe('  flights       50,000 rows  25,000 rows/s');
    expect(barLine({ ...STEP, estimate: 10 }, 2, { width: 120 })).toBe('  flights       50,000 rows  25,000 rows/s');
  });

  it('tells no time left before the first row', () => {
    expect(barLine({ ...STEP, rows: 0 }, 0, { width: 120 })).toMatch(/0 % {2}0 rows {2}0 rows\/s$/);
  });

  it('is coloured only where colours are wanted', () => {
    expect(barLine(STEP, 2, { width: 120 })).not.toContain('\x1b');
    const coloured = barLine(STEP, 2, { width: 120, colors: true });
    expect(coloured).toContain('\x1b[32m');
    expect(stripVTControlCharacters(coloured)).toBe(barLine(STEP, 2, { width: 120 }));
  });
});

describe('the line of a finished collection', () => {
  it('leaves out what has no room', () => {
    const finished = { ...STEP, rows: 200_000, done: true };
    expect(summaryLine(finished, 4)).toBe('✔ flights: 200,000 rows in 4.0 s (50,000 rows/s)');
    expect(summaryLine(finished, 4, { width: 45 })).toBe('✔ flights: 200,000 rows in 4.0 s');
    expect(summaryLine(finished, 4, { width: 30 })).toBe('✔ flights: 200,000 rows');
  });
});

/** @param {object} properties */
function fakeStream(properties) {
  const stream = Object.assign(new PassThrough(), { columns: 100, hasColors: () => true, ...properties });
  return { stream: /** @type {any} */ (stream), text: () => String(stream.read() ?? '') };
}

/**
 * @param {object} stream
 * @param {NodeJS.ProcessEnv} env
 */
function showTwoCollections(stream, env) {
  const { stream: output, text } = fakeStream(stream);
  const progress = startProgress(output, env);
  progress.update({ collection: 'a', rows: 0, estimate: 1_000, done: false });
  progress.update({ collection: 'a', rows: 500, estimate: 1_000, done: false });
  progress.update({ collection: 'a', rows: 1_000, estimate: 1_000, done: true });
  progress.update({ collection: 'b', rows: 0, done: false });
  progress.update({ collection: 'b', rows: 1, done: true });
  progress.stop();
  progress.stop();
  // What is still under way when the display ends, as after Ctrl-C, must not bring it back.
  progress.update({ collection: 'late', rows: 1, done: false });
  return text();
}

describe('progress', () => {
  it.each([
    ['where output is no terminal', { isTTY: false }, {}],
    ['under CI', { isTTY: true }, { CI: 'true' }],
    ['on a dumb terminal', { isTTY: true }, { TERM: 'dumb' }],
  ])('is one plain line at the start and one at the end of each collection %s', (_, stream, env) => {
    const lines = showTwoCollections(stream, env).split('\n');
    expect(lines).toEqual([
      '  a: started, about 1,000 rows',
      expect.stringMatching(/^✔ a: 1,000 rows in \S+ s \(\S+ rows\/s\)$/),
      '  b: started',
      expect.stringMatching(/^✔ b: 1 row in /),
      '',
    ]);
  });

  it('moves on a terminal, keeps a line for what is finished, and gives the cursor back', () => {
    const text = showTwoCollections({ isTTY: true }, { CI: 'false', TERM: 'xterm' });
    expect(text).toContain('\x1b[32m');
    expect(stripVTControlCharacters(text)).toMatch(/✔ a: 1,000 rows in [^\n]+\n/);
    expect(stripVTControlCharacters(text)).toMatch(/✔ b: 1 row in [^\n]+\n/);
    expect(text).not.toContain('late');
    expect(text.lastIndexOf('\x1b[?25h')).toBeGreaterThan(text.lastIndexOf('\x1b[?25l'));
  });

  it('has no colours on a terminal where they are not wanted', () => {
    const text = showTwoCollections({ isTTY: true, hasColors: () => false }, {});
    expect(text).toContain('✔ a');
    expect(text).not.toContain('\x1b[32m');
  });
});
