// A plan of ten migrations whose runner is killed at every statement: what is known of it then, and the command that continues.
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, startPostgres } from '../../../support/index.mjs';
import { addressOf } from '../clients.mjs';
import { withFolder, withMigrations } from './folder.mjs';
import { pgm } from './pgm-process.mjs';

/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let server;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.remove());

const RUNNER = fileURLToPath(new URL('killed-runner.mjs', import.meta.url));
const MIGRATIONS = 10;
const AT_ONCE = 4;

// Waits where a test wants it to. It is no function of its arguments alone, but an index needs one that says so.
const GATE = `CREATE TABLE stop (at text); CREATE FUNCTION gate(at text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
  BEGIN IF EXISTS (SELECT FROM stop AS s WHERE s.at = gate.at) THEN PERFORM pg_sleep(60); END IF; RETURN 1; END $$`;

/** @param {number} step */
const statements = (step) => [`CREATE TABLE t${step} AS SELECT gate('${step}.1') AS a`, `INSERT INTO t${step} SELECT gate('${step}.2')`];

/**
 * By turns: SQL in a transaction, SQL outside of any with an index that is built concurrently, and a function.
 *
 * @param {number} step
 * @returns {{ file: string, text: string, stops: string[] }}
 */
function migrationOf(step) {
  const version = `${String(step).padStart(2, '0')}_step`;
  const stops = [`${step}.1`, `${step}.2`];
  if (step % 3 === 0) {
    const body = statements(step).map((sql) => `await query(${JSON.stringify(sql)});`).join('\n');
    const text = `module.exports = { version: '${version}', name: 'step', targetSchemas: ['public'], createdAt: new Date(0), async up({ query }) { ${body} }, async down() {} };`;
    return { file: `${version}.cjs`, text, stops };
  }
  const isOutside = step % 3 === 2;
  const index = `CREATE INDEX CONCURRENTLY i${step} ON t${step} ((a + gate('${step}.3')))`;
  const sql = isOutside ? [...statements(step), index] : statements(step);
  const text = `-- schemas: public\n${isOutside ? '-- no-transaction\n' : ''}-- up\n${sql.join(';\n')};\n`;
  return { file: `${version}.sql`, text, stops: isOutside ? [...stops, `${step}.3`] : stops };
}

const plan = Array.from({ length: MIGRATIONS }, (_, at) => migrationOf(at + 1));

it('a runner of ten migrations that is killed at any statement leaves a state that is classified, and pgm migrate --resume continues', async () => {
  await withFolder(Object.fromEntries(plan.map(({ file, text }) => [file, text])), async (folder) => {
    const template = await server.createDatabase('killed_template');
    await withMigrations({ main: { uri: template, schemas: ['public'] } }, {}, (db) => db.query(GATE));
    const left = plan.flatMap(({ stops }, at) => stops.map((stop) => ({ at, stop })));
    // Each has a database of its own, and mostly waits.
    const worker = async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) await killedAt(folder, next.at, next.stop);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  });
}, 600_000);

/**
 * @param {string} folder
 * @param {number} at the number of the migration that is killed, from 0
 * @param {string} stop
 */
async function killedAt(folder, at, stop) {
  const name = `killed_at_${stop.replace('.', '_')}`;
  await server.psql(`CREATE DATABASE ${name} TEMPLATE killed_template`, 'postgres');
  const uri = server.uriOf(name);
  const config = `${name}.json`;
  await writeFile(join(folder, config), JSON.stringify({ main: { schemas: ['public'], primary: addressOf(uri) } }));
  await withMigrations({ main: { uri, schemas: ['public'] } }, { migrationsPath: folder }, async (db, manager) => {
    await db.query('INSERT INTO stop VALUES ($1)', [stop]);
    const child = spawn(process.execPath, [RUNNER, uri, folder], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('exit', resolve));
    const sleeping = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    await eventually(async () => (await db.query(sleeping)).rows.length === 1, { deadlineMs: 60_000, what: `statement ${stop} to run` });
    child.kill('SIGKILL');
    await ended;
    await db.query('TRUNCATE stop');

    // What was applied before stays applied, what comes later is pending; only one outside of a transaction may be half-way.
    const states = (await manager.getStates()).map(({ state }) => state);
    expect(states.slice(0, at)).toEqual(Array(at).fill('applied'));
    expect(states.slice(at + 1)).toEqual(Array(MIGRATIONS - at - 1).fill('pending'));
    expect(states[at], stop).toBe(stop.startsWith('2.') || stop.startsWith('5.') || stop.startsWith('8.') ? 'running' : 'pending');

    const resumed = await pgm(folder, ['migrate', '--resume', '-c', config, '-m', '.', '--json']);
    expect(resumed.code, resumed.errors).toBe(0);
    expect(JSON.parse(resumed.output)).toMatchObject({ appliedMigrations: MIGRATIONS, pendingMigrations: 0, failedMigrations: 0 });
    for (let step = 1; step <= MIGRATIONS; step += 1) expect((await db.query(`SELECT count(*)::int AS rows FROM t${step}`)).rows, `t${step} after ${stop}`).toEqual([{ rows: 2 }]);
    const { rows } = await db.query("SELECT count(*)::int AS valid FROM pg_index WHERE indisvalid AND indexrelid::regclass::text IN ('i2', 'i5', 'i8')");
    expect(rows).toEqual([{ valid: 3 }]);
  });
}
