// What is taken for a database, for a file, and for neither.
import type { CopyEnd } from 'replicaverse';
import { describe, expect, it } from 'vitest';
import { namedEnd } from '../../../dist/copy/ends.js';
import { withoutPassword } from '../../../dist/copy/label.js';

describe('an end of a copy', () => {
  it.each([
    ['postgresql://u:p@h/d', { kind: 'connect', label: 'postgresql://u:***@h/d', config: { dialect: 'postgres', uri: 'postgresql://u:p@h/d' } }],
    ['cockroachdb://u@h/d', { kind: 'connect', config: { dialect: 'cockroachdb', uri: 'postgresql://u@h/d' } }],
    ['mongodb+srv://h/d', { kind: 'connect', config: { dialect: 'mongodb' } }],
    ['sqlite:data/app.db', { kind: 'connect', label: 'sqlite:data/app.db', config: { dialect: 'sqlite', uri: 'sqlite:data/app.db' } }],
    [':memory:', { kind: 'connect', config: { dialect: 'sqlite' } }],
    ['users.CSV', { kind: 'files', file: { format: 'csv', path: 'users.CSV' } }],
    ['C:\\data\\users.json', { kind: 'files', file: { format: 'json', path: 'C:\\data\\users.json' } }],
    ['a.jsonl', { kind: 'files', file: { format: 'ndjson' } }],
    ['sql:out', { kind: 'files', file: { format: 'sql', path: 'out' } }],
    [{ format: 'csv', path: 'x', key: 'code' }, { kind: 'files', file: { key: ['code'] } }],
    [{ type: 'db', dialect: 'sqlite', uri: 'x.db' } satisfies CopyEnd, { kind: 'connect', config: { dialect: 'sqlite', uri: 'x.db' } }],
    [{ type: 'sql-dump', file: 'x.sql' } satisfies CopyEnd, { kind: 'files', file: { format: 'sql', path: 'x.sql' } }],
  ])('%j is understood', (given, expected) => {
    expect(namedEnd(given, 'source')).toMatchObject(expected);
  });

  it.each([
    ['somewhere', 'has no known extension'],
    ['', 'a URI or path is required'],
    [{ type: 'xml' }, 'Unknown source type: xml'],
    [{ type: 'postgres://u:s3cret@h/d' }, 'Unknown source type: postgres://u:***@h/d'],
    [{ type: 'db', dialect: 'sqlite' }, 'DB source requires dialect + uri'],
    [{ type: 'csv' }, 'CSV source requires file or directory path'],
    [{ format: 'csv', path: 'x', nulls: 1 }, 'source.nulls: there is no such setting'],
    [{ uri: 'x' }, 'expected {dialect, uri} or {format, path}'],
    [{ find: () => [] }, 'only dialects that are built in'],
    [7, 'expected a URI, a path or an object'],
  ])('%j is refused', (given, message) => {
    expect(() => namedEnd(given, 'source')).toThrow(message);
  });
});

describe('a password', () => {
  it.each([
    'postgres://u:s3cret@h/d',
    'postgres://u:s3c:r/e@t3s3cret@h:5432/d?x=1',
    'postgres://h/d?user=u&password=s3cret&sslpassword=s3cret',
    "host=h password='s3cret s3cret' user=u",
    'mongodb://u:s3cret@a:1,b:2/d',
  ])('of %s is not shown', (uri) => {
    expect(withoutPassword(uri)).not.toContain('s3cret');
    expect(withoutPassword(uri)).toContain('***');
  });
});
