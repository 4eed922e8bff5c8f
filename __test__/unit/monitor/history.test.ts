// What the dashboard keeps of figures, and what it names as a concern.
import { describe, expect, it } from 'vitest';
import { Verifications, concernsOf } from '../../../dist/monitor/concerns.js';
import { History } from '../../../dist/monitor/history.js';
import { StubManager, rule } from './managers.js';

describe('the history of figures', () => {
  it('holds the lag of replicas, and of rules how many rows they write per second', () => {
    const history = new History();
    const manager = new StubManager();
    let inserted = 10;
    manager.getSyncStats = () => ({ inserted });
    history.look(manager, 1000);
    inserted = 40;
    history.look(manager, 3000);
    // A new run counts from nothing.
    inserted = 4;
    history.look(manager, 4000);
    const { replicas, rules } = history.view();
    expect(replicas['p/s']).toEqual([1000, 3000, 4000].map((ts) => ({ ts, lag: 1500 })));
    expect(replicas['p/m']?.[0]).toEqual({ ts: 1000, lag: null });
    expect(rules['r']?.map(({ rowsPerSecond }) => rowsPerSecond)).toEqual([0, 15, 4]);
  });

  it('forgets what is older than its last points', () => {
    const history = new History();
    for (let ts = 1; ts <= 500; ts += 1) history.look(new StubManager(), ts);
    expect(history.view().replicas['p/s']).toHaveLength(180);
    expect(history.view().replicas['p/s']?.at(-1)?.ts).toBe(500);
  });
});

describe('the concerns of a rule', () => {
  it('are rows that are set aside, conflicts, and what a comparison found', async () => {
    const manager = Object.assign(new StubManager(), {
      rules: [{ ...rule, mode: 'cdc' }],
      getDeadLetters: async () => ({ count: 7, rows: [] }),
    });
    const verifications = new Verifications();
    verifications.add('r', { ruleName: 'r', equal: false, collections: [{ collection: 'c', rows: 3, equal: 1, different: 1, missing: 1, extra: 0, repaired: 0, failures: [] }] }, 5);
    expect(await concernsOf(manager, verifications)).toEqual([
      {
        rule: 'r',
        deadLetters: { count: 7, rows: [] },
        conflicts: [],
        conflictCount: 0,
        verification: { ts: 5, equal: false, rows: 3, different: 1, missing: 1, extra: 0, repaired: 0 },
      },
    ]);
  });

  it('say why dead letters are not known', async () => {
    const manager = Object.assign(new StubManager(), {
      rules: [{ ...rule, mode: 'cdc' }],
      getDeadLetters: async () => { throw new Error('no master'); },
    });
    expect(await concernsOf(manager, new Verifications())).toMatchObject([{ deadLettersError: 'no master' }]);
  });
});
