// What the demo reads from a database URI: the dialect, a label without secrets, and which URIs are the same database.
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { databaseOf, maskPassword, refuseSameDatabase } from '../../../examples/demo/database-uri.mjs';

describe('the dialect of a URI', () => {
  it.each([
    ['postgres://u:p@h/d', 'postgres'],
    ['postgresql://h:5433/d', 'postgres'],
    ['postgresql:///d?host=/run/postgresql', 'postgres'],
    ['mongodb://h/d', 'mongodb'],
    ['mongodb+srv://cluster.example.com/d', 'mongodb'],
    ['sqlite:data.db', 'sqlite'],
    ['sqlite:///data/a.db', 'sqlite'],
    ['file:data.db?mode=rwc', 'sqlite'],
    ['/data/a.db', 'sqlite'],
    ['data.db', 'sqlite'],
    ['C:\\data\\a.db', 'sqlite'],
  ])('%s', (uri, dialect) => {
    expect(databaseOf(uri).dialect).toBe(dialect);
  });

  it('that nobody knows is refused without showing the URI', () => {
    expect(() => databaseOf('oracle://u:secret@h/d')).toThrow(/^a URI that begins with oracle:\/\/ is not known/);
    expect(() => databaseOf('oracle://u:secret@h/d')).not.toThrow(/secret/);
  });

  it('SQLite in memory is refused, as nothing of it would remain', () => {
    for (const uri of [':memory:', 'sqlite::memory:', 'sqlite://:memory:', 'file:a?mode=memory&cache=shared', '']) {
      expect(() => databaseOf(uri)).toThrow('needs the path of a file');
    }
  });
});

describe('the label of a database', () => {
  it.each([
    ['postgresql://user:secret@db.example.com:5433/shop', 'PostgreSQL shop on db.example.com:5433'],
    ['postgres://user:secret@h1:5001,h2/shop', 'PostgreSQL shop on h1:5001,h2:5432'],
    ['postgres://user:se%2Fcret@h', 'PostgreSQL user on h:5432'],
    ['mongodb://user:secret@h1,h2:27018/docs?replicaSet=rs0', 'MongoDB docs on h1:27017,h2:27018'],
    ['mongodb://h', 'MongoDB test on h:27017'],
    ['sqlite:some/file.db', 'SQLite some/file.db'],
  ])('%s', (uri, label) => {
    expect(databaseOf(uri).label).toBe(label);
    expect(databaseOf(uri).label).not.toContain('cret');
  });
});

describe('a URI in a message', () => {
  it.each([
    ['postgres://user:secret@h/d', 'postgres://user:***@h/d'],
    ['postgres://user:s@cr@t@h/d', 'postgres://user:***@h/d'],
    ['postgres://h/d?user=u&password=secret&x=1', 'postgres://h/d?user=u&password=***&x=1'],
    ['mongodb://h/d?tlsCertificateKeyFilePassword=secret', 'mongodb://h/d?tlsCertificateKeyFilePassword=***'],
    ['postgres://user@h/d', 'postgres://user@h/d'],
    ['data.db', 'data.db'],
  ])('%s has no password', (uri, masked) => {
    expect(maskPassword(uri)).toBe(masked);
  });
});

describe('source and target', () => {
  /** @type {string} */
  let folder;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'demo-uri-test-'));
    writeFileSync(path.join(folder, 'a.db'), '');
    symlinkSync(path.join(folder, 'a.db'), path.join(folder, 'link.db'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    ['the same URI', 'postgres://h/d', 'postgres://h/d'],
    ['another user', 'postgres://a:x@h/d', 'postgres://b:y@h/d'],
    ['the other scheme, the default port, another spelling', 'postgres://H/d', 'postgresql://h:5432/d'],
    ['another name of this machine', 'postgres://localhost/d', 'postgres://127.0.0.1/d'],
    ['this machine by no name and by IPv6', 'postgres:///d', 'postgres://[::1]:5432/d'],
    ['a socket of this machine', 'postgres:///d?host=/tmp&port=5433', 'postgres://localhost:5433/d'],
    ['parameters', 'postgres://h:5433/d', 'postgres:///?host=h&port=5433&dbname=d'],
    ['one host of several', 'mongodb://h1,h2/d', 'mongodb://h2:27017/d?replicaSet=rs0'],
    ['a path and a URI', '{folder}/a.db', 'sqlite://{folder}/a.db'],
    ['a link', '{folder}/a.db', 'file:{folder}/link.db'],
  ])('are refused when they are the same database by %s', (_, source, target) => {
    const [one, other] = [source, target].map((uri) => databaseOf(uri.replace('{folder}', folder)));
    expect(() => refuseSameDatabase(/** @type {any} */ (one), [/** @type {any} */ (other)])).toThrow('are the same database');
  });

  it.each([
    ['databases', 'postgres://h/d', 'postgres://h/e'],
    ['hosts', 'postgres://h1/d', 'postgres://h2/d'],
    ['ports', 'postgres://h:5432/d', 'postgres://h:5433/d'],
    ['dialects', 'postgres://h:1/d', 'mongodb://h:1/d'],
    ['files', 'a.db', 'b.db'],
  ])('may be different %s', (_, source, target) => {
    expect(() => refuseSameDatabase(databaseOf(source), [databaseOf(target)])).not.toThrow();
  });

  it('are refused when a target is given twice', () => {
    const target = databaseOf('postgres://h/e');
    expect(() => refuseSameDatabase(databaseOf('postgres://h/d'), [target, target])).toThrow('given twice');
  });
});
