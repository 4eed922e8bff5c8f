// `npm run bench:transaction`: transactions that write on two clusters, against the same by hand on pinned connections of pg.
import pg from 'pg';
import { createUndo, undoWhenInterrupted } from '../../examples/demo/undo.mjs';
import { prepare } from '../../scripts/prepare.mjs';
import { describeMissing, ensureServers, serverEnvironment } from '../../scripts/servers/index.mjs';
import { parseCommandLine, positiveNumber, UsageError } from '../command-line.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';

const HELP = `Usage: npm run bench:transaction -- [options]

Updates a row on each of two clusters in one transaction, committed by two phases: by PgMultiverse, and by hand with PREPARE
TRANSACTION and COMMIT PREPARED on two pinned connections of pg, each sent to both clusters at the same time. By hand nobody
notes what was decided, so nobody could finish what a process that dies has left.

  --rounds N       turns of each, 7 when not given
  --seconds N      of each turn, 3 when not given
  --in-flight LIST transactions at the same time, 1,10 when not given
  --help           this text`;

const UPDATE = 'UPDATE account SET amount = amount + $1 WHERE id = $2';
const ACCOUNTS = 1000;

/**
 * @typedef {object} Side
 * @property {string} name
 * @property {(lane: number) => Promise<(account: number) => Promise<void>>} lane gives a function that carries out one transaction
 * @property {() => Promise<void>} close
 */

const undo = createUndo();
undoWhenInterrupted(undo);
try {
  await run();
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error);
  process.exitCode = 1;
} finally {
  await undo.run();
}

async function run() {
  const options = parseCommandLine(
    process.argv.slice(2),
    {
      rounds: { type: 'string', default: '7' },
      seconds: { type: 'string', default: '3' },
      'in-flight': { type: 'string', default: '1,10' },
      help: { type: 'boolean', default: false },
    },
    HELP,
  );
  if (options.help) {
    console.log(HELP);
    return;
  }
  const [rounds, seconds] = [positiveNumber('--rounds', options.rounds), positiveNumber('--seconds', options.seconds)];
  const lanes = options['in-flight'].split(',').map((text) => positiveNumber('--in-flight', text));
  await prepare({ log: console.log, profile: 'release' });
  const found = await ensureServers({ need: ['postgres'], log: console.log });
  if (found.missing.length > 0) throw new Error(describeMissing(found.missing));
  Object.assign(process.env, serverEnvironment(found));
  const { startPostgres } = await import('../../__test__/support/index.mjs');
  // With the durability that servers have out of the box: committing is waiting for the disk.
  const settings = { fsync: 'on', full_page_writes: 'on', max_prepared_transactions: 100 };
  const servers = await Promise.all([startPostgres({ settings }), startPostgres({ settings })]);
  for (const server of servers) {
    undo.add(() => server.remove());
    await server.psql(`CREATE TABLE account (id int PRIMARY KEY, amount int NOT NULL); INSERT INTO account SELECT n, 0 FROM generate_series(1, ${ACCOUNTS}) AS n`);
  }
  const uris = servers.map(({ uri }) => uri);
  const sides = [await ours(uris), byHand(uris)];
  const { date, machine } = readMachine();
  for (const inFlight of lanes) {
    const rates = await measure(sides, inFlight, rounds, seconds);
    const ratios = rates[0]?.map((rate, round) => rate / (rates[1]?.[round] ?? Number.NaN)) ?? [];
    const each = sides.map(({ name }, at) => `${name} ${Math.round(median(rates[at] ?? []))}/s`);
    const [low, high] = [Math.min(...ratios), Math.max(...ratios)];
    console.log(`${inFlight} in flight: ${each.join(', ')}; ${percent(median(ratios))} of the speed by hand [${percent(low)}–${percent(high)}]`);
  }
  console.log(`Medians of ${rounds} rounds [lowest–highest], ${date}. Machine: ${machine}.`);
  for (const side of sides) await side.close();
}

/**
 * @param {readonly Side[]} sides
 * @param {number} inFlight
 * @param {number} rounds
 * @param {number} seconds
 * @returns {Promise<number[][]>} transactions per second, for each side by round
 */
async function measure(sides, inFlight, rounds, seconds) {
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

/**
 * @param {readonly string[]} uris
 * @returns {Promise<Side>}
 */
async function ours(uris) {
  const { PgMultiverse } = await import('replicaverse');
  const db = new PgMultiverse();
  const [a, b] = uris.map(addressOf);
  if (a === undefined || b === undefined) throw new Error('two servers are needed');
  await db.initialize({ a: { schemas: ['a'], primary: a }, b: { schemas: ['b'], primary: b } });
  const transact = async (/** @type {number} */ account) => {
    await db.withTransaction(['a', 'b'], async (tx) => {
      await tx.query(UPDATE, [-1, account], { schema: 'a' });
      await tx.query(UPDATE, [1, account], { schema: 'b' });
    });
  };
  return { name: 'PgMultiverse', lane: () => Promise.resolve(transact), close: () => db.close() };
}

/**
 * @param {readonly string[]} uris
 * @returns {Side}
 */
function byHand(uris) {
  /** @type {pg.Client[]} */
  const clients = [];
  let number = 0;
  const lane = async () => {
    const [a, b] = uris.map((uri) => new pg.Client({ connectionString: uri }));
    if (a === undefined || b === undefined) throw new Error('two servers are needed');
    const both = (/** @type {string} */ sql) => Promise.all([a.query(sql), b.query(sql)]);
    clients.push(a, b);
    await Promise.all([a.connect(), b.connect()]);
    return async (/** @type {number} */ account) => {
      number += 1;
      const name = `by hand ${number}`;
      await both('BEGIN');
      await a.query({ name: 'update', text: UPDATE, values: [-1, account] });
      await b.query({ name: 'update', text: UPDATE, values: [1, account] });
      await both(`PREPARE TRANSACTION '${name}'`);
      await both(`COMMIT PREPARED '${name}'`);
    };
  };
  const close = async () => {
    await Promise.all(clients.map((client) => client.end()));
  };
  return { name: 'by hand', lane, close };
}

/** @param {string} uri */
function addressOf(uri) {
  const { hostname, port, pathname, username, password } = new URL(uri);
  return { host: hostname, port: Number(port), database: pathname.slice(1), user: username, password: decodeURIComponent(password) };
}

/** @param {readonly number[]} numbers */
function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** @param {number} share */
function percent(share) {
  return `${Math.round(share * 100)} %`;
}
