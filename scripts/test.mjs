// `npm test`: makes the clone ready, finds the servers, runs every suite and totals the results.
import { parseArgs } from 'node:util';
import { prepare } from './prepare.mjs';
import { describeMissing, ensureServers, serverEnvironment } from './servers/index.mjs';
import { startProgress } from './servers/progress.mjs';
import { GROUPS, SUITES } from './test-suites.mjs';

const HELP = `Usage: npm test -- [options]

Installs the npm packages and builds the addon and dist/ where they are missing or stale, finds or installs
PostgreSQL, MongoDB, MariaDB, Redis and Chromium, then runs all suites. The last line is the total.

  --only NAME    run only ${GROUPS.join(', ')}; may be given several times
  --debug        build the addon with Cargo's dev profile
  --built        test the addon and dist/ that are there, even if they are older than their sources
  --help         this text

Servers of your own: PG_BIN (folder of the binaries), MONGOD_BINARY or MONGODB_URI, MARIADBD, REDIS_SERVER, CHROMIUM.`;

/**
 * @typedef {import('./test-suites.mjs').Result & { name: string }} NamedResult
 */

try {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      debug: { type: 'boolean', default: false },
      built: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) console.log(HELP);
  else report(await runAll(selectSuites(values.only), values));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  // Nothing ran, and what comes last is still the total.
  console.log('0 passed, 1 failed');
  process.exitCode = 1;
}

/** @param {readonly string[]} only */
function selectSuites(only) {
  const unknown = only.find((name) => !GROUPS.some((group) => group === name));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: there is ${GROUPS.join(', ')}`);
  return only.length === 0 ? SUITES : SUITES.filter(({ group }) => only.includes(group));
}

/**
 * Runs every suite, also after one has failed.
 *
 * @param {readonly import('./test-suites.mjs').Suite[]} suites
 * @param {{ debug: boolean, built: boolean }} options
 */
async function runAll(suites, { debug, built }) {
  await prepare({ log: console.log, profile: debug ? 'debug' : undefined, built });
  /** @type {NamedResult[]} */
  const results = [];
  /** @type {Record<string, string>} */
  let env = {};
  if (suites.some(({ needsServers }) => needsServers)) {
    const found = await findServers();
    env = serverEnvironment(found);
    for (const missing of found.missing) {
      const remark = `missing: ${missing.reason}`;
      results.push({ name: `server ${missing.server}`, passed: 0, failed: 1, failures: [], remark });
    }
  }
  for (const suite of suites) {
    console.log(`\n=== ${suite.name}`);
    results.push({ name: suite.name, ...(await suite.run(env)) });
  }
  return results;
}

async function findServers() {
  const progress = startProgress();
  try {
    const need = /** @type {const} */ (['postgres', 'mongodb', 'mariadb', 'redis', 'chromium']);
    const found = await ensureServers({ need, log: progress.step });
    progress.done(describeMissing(found.missing) || undefined);
    return found;
  } catch (error) {
    progress.done();
    throw error;
  }
}

/** @param {readonly NamedResult[]} results */
function report(results) {
  const width = Math.max(...results.map(({ name }) => name.length));
  console.log('\n=== summary');
  for (const { name, passed, failed, failures, remark } of results) {
    console.log(`${name.padEnd(width)}  ${passed} passed, ${failed} failed${remark === undefined ? '' : ` (${remark})`}`);
    // The end of a long output is what people see.
    for (const failure of failures) console.log(`  failed: ${failure}`);
  }
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
