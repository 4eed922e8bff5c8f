// The demo's course over a manager that only records: what it asks for, what it prints, what it takes back.
import { EventEmitter } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, replicate } from '../../../examples/demo/replicate.mjs';
import { uriOfDatabase } from '../../../examples/demo/servers.mjs';
import { createUndo } from '../../../examples/demo/undo.mjs';

const SOURCE = /** @type {const} */ ({ label: 'PostgreSQL', dialect: 'postgres', uri: 'postgres://h/d' });
const TARGETS = [
  /** @type {const} */ ({ label: 'MongoDB', dialect: 'mongodb', uri: 'mongodb://h/d' }),
  /** @type {const} */ ({ label: 'SQLite', dialect: 'sqlite', uri: 'a.db' }),
];

class RecordingManager extends EventEmitter {
  /** @type {any[][]} */
  calls = [];

  /** @param {any[]} call */
  async addReplica(...call) {
    this.calls.push(['addReplica', ...call]);
  }

  /** @param {object} rule */
  addReplicationRule(rule) {
    this.calls.push(['addReplicationRule', rule]);
  }

  /** @param {string} rule */
  async sync(rule) {
    this.calls.push(['sync', rule]);
    this.emit('rule.sync.progress', { rule: 'another', collection: 'foreign', rows: 0, done: false });
    this.emit('rule.sync.progress', { rule, collection: 'movies', rows: 0, estimate: 2, done: false });
    this.emit('rule.sync.progress', { rule, collection: 'movies', rows: 2, estimate: 2, done: true });
    const detail = { collection: 'movies', created: 2, updated: 0, deleted: 0, skipped: 0, errors: 0, failures: [], conversions: [] };
    return { ruleName: rule, lastSync: new Date(), recordsSynced: 2, errors: 0, duration: 10, details: [detail] };
  }

  /** @param {string} rule */
  async verify(rule) {
    this.calls.push(['verify', rule]);
    const collection = { collection: 'movies', rows: 2, equal: 2, different: 0, missing: 0, extra: 0, failures: [] };
    return { ruleName: rule, equal: true, collections: [collection] };
  }
}

afterEach(() => vi.restoreAllMocks());

describe('the demo', () => {
  it('connects the source without touching its tables, and adds a full mirror for each target', async () => {
    const manager = new RecordingManager();
    await connect(/** @type {any} */ (manager), SOURCE, TARGETS, ['*']);
    const master = { name: 'main', role: 'master' };
    const rule = { source: 'source', mode: 'snapshot', collections: ['*'], conflictResolution: 'source-wins' };
    expect(manager.calls).toEqual([
      ['addReplica', 'source', { ...master, dialect: 'postgres', uri: 'postgres://h/d', schemaStrategy: 'none' }, []],
      ['addReplica', 'target-1', { ...master, dialect: 'mongodb', uri: 'mongodb://h/d', schemaStrategy: 'update' }, []],
      ['addReplicationRule', { ...rule, name: 'to-target-1', target: 'target-1' }],
      ['addReplica', 'target-2', { ...master, dialect: 'sqlite', uri: 'a.db', schemaStrategy: 'update' }, []],
      ['addReplicationRule', { ...rule, name: 'to-target-2', target: 'target-2' }],
    ]);
  });

  it('names the database that cannot be used', async () => {
    const manager = new RecordingManager();
    manager.addReplica = () => Promise.reject(new Error('connection refused'));
    await expect(connect(/** @type {any} */ (manager), SOURCE, TARGETS, ['*'])).rejects.toThrow('PostgreSQL cannot be used: connection refused');
  });

  it('synchronises and compares target by target, and stops listening', async () => {
    const manager = new RecordingManager();
    const output = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    /** @type {string[]} */
    const lines = [];
    const print = (/** @type {string} */ line) => void lines.push(line);
    const outcomes = await replicate(/** @type {any} */ (manager), TARGETS, { print, undo: createUndo() });
    const written = output.mock.calls.map(([text]) => String(text)).join('');
    output.mockRestore();
    expect(manager.calls).toEqual([['sync', 'to-target-1'], ['verify', 'to-target-1'], ['sync', 'to-target-2'], ['verify', 'to-target-2']]);
    expect(outcomes.map(({ target, verdict }) => [target, verdict.equal])).toEqual([['MongoDB', true], ['SQLite', true]]);
    expect(lines).toContain('\nReplicating to MongoDB');
    expect(lines).toContain('\nComparing SQLite with the source, row by row');
    expect(written).toContain('movies');
    expect(written).not.toContain('foreign');
    expect(manager.listenerCount('rule.sync.progress')).toBe(0);
  });
});

describe('undoing', () => {
  it('goes backwards, goes on after a failure, and does everything once', async () => {
    const undo = createUndo();
    /** @type {string[]} */
    const done = [];
    undo.add(() => done.push('first'));
    undo.add(async () => {
      throw new Error('the server does not answer');
    });
    undo.add(() => done.push('last'));
    await expect(undo.run()).rejects.toThrow('the server does not answer');
    await undo.run();
    expect(done).toEqual(['last', 'first']);
  });
});

describe("the demo's database on a MongoDB that was running before", () => {
  it.each([
    ['mongodb://h:1/app', 'mongodb://h:1/demo'],
    ['mongodb://h1:1,h2:2/?replicaSet=rs0', 'mongodb://h1:1,h2:2/demo?replicaSet=rs0'],
    ['mongodb://u:p@h/app?tls=true', 'mongodb://u:p@h/demo?tls=true&authSource=app'],
    ['mongodb://u:p@h/app?authSource=admin', 'mongodb://u:p@h/demo?authSource=admin'],
    ['mongodb+srv://u:p@h/', 'mongodb+srv://u:p@h/demo'],
  ])('is another one than that of %s, with the same login', (uri, expected) => {
    expect(uriOfDatabase(uri, 'demo')).toBe(expected);
  });
});
