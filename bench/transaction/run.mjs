// `npm run bench:transaction`: transactions that write on two clusters, against the same by hand on pinned connections of pg.
import { runBenchmark } from '../program.mjs';
import { count, percent, renderTable } from '../readme-figures.mjs';
import { median } from '../snapshot/figures.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { HELP, readOptions } from './options.mjs';
import { ACCOUNTS, DECISIONS, ours, sameByHand, withoutDecision } from './sides.mjs';

/** @typedef {import('./sides.mjs').Side} Side */

await runBenchmark({
  script: 'bench:transaction',
  help: HELP,
  readOptions,
  servers: () => ['postgres'],
  async measure({ rounds, seconds, lanes }, { undo, log }) {
    const { startPostgres } = await import('../../__test__/support/index.mjs');
    // With the durability that servers have out of the box: committing is waiting for the disk.
    const settings = { fsync: 'on', full_page_writes: 'on', max_prepared_transactions: 100 };
    const servers = await Promise.all([startPostgres({ settings }), startPostgres({ settings })]);
    for (const server of servers) {
      undo.add(() => server.remove());
      await server.psql(`CREATE TABLE account (id int PRIMARY KEY, amount int NOT NULL); INSERT INTO account SELECT n, 0 FROM generate_series(1, ${ACCOUNTS}) AS n; ${DECISIONS}`);
    }
    const uris = servers.map(({ uri }) => uri);
    const sides = [await ours(uris), sameByHand(uris), withoutDecision(uris)];
    for (const side of sides) undo.add(() => side.close());
    const peers = sides.slice(1);
    const lines = [['in flight', ...sides.map(({ name }) => `${name}, transactions/s`), ...peers.map(({ name }) => `of ${name}`)]];
    for (const inFlight of lanes) {
      const [own = [], ...others] = await measureSides(sides, inFlight, rounds, seconds);
      const shares = others.map((rates) => {
        const ratios = own.map((rate, round) => rate / (rates[round] ?? Number.NaN));
        return `${percent(median(ratios))} [${percent(Math.min(...ratios))}–${percent(Math.max(...ratios))}]`;
      });
      lines.push([String(inFlight), ...[own, ...others].map((each) => count(median(each))), ...shares]);
      log(`${inFlight} in flight: ${shares.join(', ')}`);
    }
    const { date, machine } = readMachine();
    return [...renderTable(lines), '', `Medians of ${rounds} rounds [lowest–highest], ${date}.`, `Machine: ${machine}; both servers run on it as well.`].join('\n');
  },
});

/**
 * @param {readonly Side[]} sides
 * @param {number} inFlight
 * @param {number} rounds
 * @param {number} seconds
 * @returns {Promise<number[][]>} transactions per second, for each side by round
 */
async function measureSides(sides, inFlight, rounds, seconds) {
  const lanes = await Promise.all(sides.map((side) => Promise.all(Array.from({ length: inFlight }, (_, at) => side.lane(at)))));
  /** @type {number[][]} */
  const rates = sides.map(() => []);
  // The first round is for the caches of all, and does not count.
  for (let round = -1; round < rounds; round += 1) {
    for (let place = 0; place < sides.length; place += 1) {
      const at = (place + round + 1) % sides.length;
      const rate = await turn(lanes[at] ?? [], seconds);
      if (round >= 0) rates[at]?.push(rate);
    }
  }
  return rates;
}

/**
 * @param {readonly ((account: number) => Promise<void>)[]} lanes
 * @param {number} seconds
 */
async function turn(lanes, seconds) {
  const begin = performance.now();
  const end = begin + seconds * 1000;
  let count = 0;
  await Promise.all(
    lanes.map(async (transact, lane) => {
      // Each has accounts of its own, so that nobody waits for a lock.
      for (let account = lane; performance.now() < end; account += lanes.length) {
        await transact((account % ACCOUNTS) + 1);
        count += 1;
      }
    }),
  );
  return (count / (performance.now() - begin)) * 1000;
}
