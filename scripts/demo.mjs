// `npm run demo`: makes the clone ready, finds PostgreSQL and MongoDB, and runs the demo of examples/demo.
import { prepare } from './prepare.mjs';
import { describeMissing, ensureServers, serverEnvironment } from './servers/index.mjs';
import { startProgress } from './servers/progress.mjs';

/** The demo's entry: it reads its own arguments from process.argv, and finds the servers by the environment. */
const DEMO = new URL('../examples/demo/run.mjs', import.meta.url);

try {
  await prepare({ log: console.log, profile: 'release' });
  if (startsServers()) Object.assign(process.env, await findServers());
  await import(DEMO.href);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

/** Nothing is started when both ends are databases of the user's own, or when only the help is wanted. */
function startsServers() {
  const given = (/** @type {string} */ name) => process.argv.some((arg) => arg === name || arg.startsWith(`${name}=`));
  return !given('--help') && !(given('--source') && given('--target'));
}

/** The demo cannot do without PostgreSQL; without MongoDB it replicates to SQLite only. */
async function findServers() {
  const progress = startProgress();
  const found = await ensureServers({ need: ['postgres', 'mongodb'], log: progress.step }).finally(() => progress.done());
  const postgres = found.missing.filter(({ server }) => server === 'postgres');
  if (postgres.length > 0) throw new Error(describeMissing(postgres));
  if (found.missing.length > 0) {
    console.log(describeMissing(found.missing));
    console.log('MongoDB is missing: the demo goes on with SQLite as its only target.');
  }
  return serverEnvironment(found);
}
