// The whole demo on servers of its own, as a user runs it: the verdict, and nothing left afterwards.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startMongo } from '../../support/index.mjs';
import { DemoFolder } from './demo-process.mjs';

const MINUTES = 60_000;

/** @type {DemoFolder} */
let folder;
beforeEach(async () => {
  folder = await DemoFolder.make();
});
afterEach(() => folder.remove());

describe('the demo on servers of its own', () => {
  it('replicates five data sets to MongoDB and SQLite, finds them equal, and leaves nothing', async () => {
    const { code, stdout, stderr } = await folder.run([]);
    expect(stderr).toBe('');
    expect(stdout.trim().split('\n').at(-1)).toBe('Verdict: 281,416 rows in 5 tables are equal on MongoDB and SQLite.');
    expect(code).toBe(0);
    for (const target of ['MongoDB', 'SQLite']) expect(stdout).toContain(`Replicating to ${target}`);
    for (const table of ['airports', 'zipcodes', 'movies', 'earthquakes']) expect(stdout).toMatch(new RegExp(`✔ ${table}: `));
    // Once loaded, then once for each target.
    expect(stdout.match(/✔ flights: 231,083 rows in /g)).toHaveLength(3);
    expect(stdout).not.toContain('\x1b');
    await folder.expectUndone();
  }, 3 * MINUTES);

  it('goes on with SQLite alone where there is no MongoDB, and takes the data sets that are asked for', async () => {
    const { code, stdout } = await folder.run(['--tables', 'movies,airports'], { mongodb: 'none' });
    expect(stdout.trim().split('\n').at(-1)).toBe('Verdict: 6,577 rows in 2 tables are equal on SQLite.');
    expect(code).toBe(0);
    await folder.expectUndone();
  });

  it('leaves no database on a MongoDB that was running before, and that one running', async () => {
    const mongo = await startMongo();
    try {
      const { stdout } = await folder.run(['--tables', 'airports'], { mongodb: mongo.uri });
      expect(stdout).toContain('are equal on MongoDB and SQLite.');
      const { databases } = await mongo.command({ listDatabases: 1, nameOnly: true });
      const names = databases.map((/** @type {{name: string}} */ { name }) => name);
      expect(names).toContain('admin');
      expect(names.filter((/** @type {string} */ name) => name.startsWith('replicaverse_demo'))).toEqual([]);
    } finally {
      await mongo.remove();
    }
  });
});

describe('a demo that is interrupted', () => {
  it.each([
    ['while it starts servers', 'Starting the servers'],
    ['while it loads data', 'zipcodes: started'],
    ['while it replicates', 'Replicating to MongoDB'],
  ])('%s stops and removes everything', async (_, moment) => {
    const demo = await folder.start([]);
    await demo.printed(moment);
    demo.kill('SIGINT');
    const { code, stderr, stdout } = await demo.ended;
    expect(stderr).toBe('\nInterrupted by SIGINT: everything is stopped and removed.\n');
    expect(stdout).not.toContain('Verdict');
    expect(code).toBe(130);
    await folder.expectNothingLeft();
  });

  it('by kill -9 leaves nothing either', async () => {
    const demo = await folder.start([]);
    await demo.printed('Replicating to MongoDB');
    demo.kill('SIGKILL');
    expect((await demo.ended).signal).toBe('SIGKILL');
    await folder.expectNothingLeft();
  });
});

describe('help', () => {
  it('starts nothing', async () => {
    const { code, stdout } = await folder.run(['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Usage: npm run demo\n/);
    expect(stdout).toContain('rows that the source does not have are deleted');
    expect(await folder.leftovers()).toEqual([]);
  });
});
