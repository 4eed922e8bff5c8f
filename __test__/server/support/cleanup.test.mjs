// Nothing of a test process is left when it was killed: no server, no folder, no reserved port.
import { spawn, spawnSync } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from '../../support/eventually.mjs';
import { belongsTo, listProcesses } from '../../support/processes.mjs';

/** @type {string} */
let folder;
beforeEach(async () => {
  // A short path that servers running as another account may pass through.
  folder = await mkdtemp('/tmp/cleanup-test-');
  await chmod(folder, 0o711);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Starts the owner with all its temporary files in the test's folder. */
function startOwner() {
  const script = fileURLToPath(new URL('./owner.mjs', import.meta.url));
  // A mongod that was running before would be none of its business.
  const env = { ...process.env, TMPDIR: folder, MONGODB_URI: '' };
  return spawn(process.execPath, [script], { env, stdio: ['ignore', 'pipe', 'inherit'] });
}

/** The servers that work in the test's folder. */
function servers() {
  return listProcesses().filter((entry) => belongsTo(entry, [folder]));
}

/** Everything in the test's folder; while it changes, reading may fail. */
function files() {
  return readdir(folder, { recursive: true }).catch(() => ['unreadable']);
}

/** Shared memory segments of the whole machine, as the system lists them. */
function sharedMemory() {
  return new Set(spawnSync('ipcs', ['-m'], { encoding: 'utf8' }).stdout?.match(/^(?:m\s+\d+|0x\w+ \d+)/gm) ?? []);
}

async function expectNothingLeft() {
  const leftovers = async () => {
    const left = [...servers().map((entry) => entry.command), ...(await files())];
    if (left.length > 0) throw new Error(`left: ${left.slice(0, 10).join(', ')}`);
    return true;
  };
  await eventually(leftovers, { deadlineMs: 20_000, what: 'the end of every server and the removal of every file' });
}

describe('after kill -9 of the process that started them', () => {
  it('all servers are gone, paused and busy ones too', async () => {
    const before = sharedMemory();
    const owner = startOwner();
    for await (const line of createInterface({ input: owner.stdout })) {
      expect(line).toBe('started');
      break;
    }
    const commands = servers().map((entry) => path.basename(entry.command.split(' ')[0] ?? ''));
    expect(commands).toEqual(expect.arrayContaining(['postgres', 'mongod', 'mariadbd', 'redis-server']));
    const during = [...sharedMemory()].filter((segment) => !before.has(segment));
    expect(during.length).toBeGreaterThanOrEqual(2);
    owner.kill('SIGKILL');
    await expectNothingLeft();
    // Others may have started servers in the meantime, but those of ours are released.
    await eventually(() => during.every((segment) => !sharedMemory().has(segment)), { what: 'the release of shared memory' });
  });

  it.each([
    ['reserves ports', /ports-\d+\/\d+$/],
    ['copies a data folder', /data\/PG_VERSION$/],
    ['starts PostgreSQL', /data\/postmaster\.pid$/],
    ['starts mongod', /data\/WiredTiger$/],
    ['starts MariaDB', /socket\/mariadb\.pid$/],
    ['makes a standby', /data\/standby\.signal$/],
  ])('nothing is left when it %s at that moment', async (moment, trace) => {
    const owner = startOwner();
    await eventually(async () => (await files()).some((file) => trace.test(file)), { intervalMs: 1, deadlineMs: 20_000, what: moment });
    owner.kill('SIGKILL');
    await expectNothingLeft();
  });
});
