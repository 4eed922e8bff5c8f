// The demo's command line: what it takes, and what it refuses instead of ignoring it.
import { describe, expect, it } from 'vitest';
import { readOptions } from '../../../examples/demo/options.mjs';

describe('the command line of the demo', () => {
  it('without arguments means servers of its own and all tables', () => {
    expect(readOptions([])).toEqual({ help: false, own: undefined, tables: undefined, yes: false });
  });

  it('takes a source, several targets, tables and consent', () => {
    const args = ['--source', 'postgres://h/d', '--target', 'a.db', '--target=b.db', '--tables', 'x, y,x', '--yes'];
    expect(readOptions(args)).toEqual({
      help: false,
      own: { source: 'postgres://h/d', targets: ['a.db', 'b.db'] },
      tables: ['x', 'y'],
      yes: true,
    });
  });

  it('takes some of the data sets', () => {
    expect(readOptions(['--tables', 'movies,airports']).tables).toEqual(['movies', 'airports']);
  });

  it.each([
    ['a source without target', ['--source', 'a.db'], '--source and --target belong together'],
    ['a target without source', ['--target', 'a.db'], '--source and --target belong together'],
    ['consent to nothing', ['--yes'], '--yes only makes sense with'],
    ['a data set that does not exist', ['--tables', 'movies,cars'], 'no data set "cars"'],
    ['no table at all', ['--tables', ' ,'], 'names no table'],
    ['an unknown option', ['--fast'], "Unknown option '--fast'"],
    ['an argument that is no option', ['a.db'], 'Unexpected argument'],
  ])('refuses %s', (_, args, message) => {
    expect(() => readOptions(args)).toThrow(message);
  });
});
