// The guardian: nothing a test process started outlives it, however it ends.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { exists } from '../../../scripts/servers/cache.mjs';
import { eventually } from '../../support/eventually.mjs';
import { isRunning, signalProcess } from '../../support/processes.mjs';
import { lineReader } from './child-output.mjs';

const guardianModule = new URL('../../support/guardian.mjs', import.meta.url).href;

/** @type {string[]} */
const folders = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

/**
 * Starts a process that registers a folder and a process that ignores SIGTERM, and starts one more that works
 * in the folder.
 * @param {string} [afterwards] code to run then
 * @param {NodeJS.Signals} [signal] what the guardian sends to the registered process first
 */
async function startOwner(afterwards = 'process.stdin.resume();', signal = 'SIGKILL') {
  const folder = await mkdtemp(path.join(tmpdir(), 'guardian-test-'));
  folders.push(folder);
  const code = `import { spawn } from 'node:child_process';
    import { writeFileSync } from 'node:fs';
    import { guardian } from ${JSON.stringify(guardianModule)};
    const folder = ${JSON.stringify(folder)};
    const options = { detached: true, stdio: 'ignore' };
    guardian().addPath(folder);
    writeFileSync(folder + '/data', 'x');
    const stubborn = spawn('sh', ['-c', 'trap "" TERM; while :; do sleep 1; done'], options);
    guardian().addProcess(stubborn.pid, ${JSON.stringify(signal)});
    const unregistered = spawn('sh', ['-c', 'while :; do sleep 1; done', folder], options);
    for (const child of [stubborn, unregistered]) child.unref();
    console.log(JSON.stringify([stubborn.pid, unregistered.pid, guardian().pid]));
    ${afterwards}`;
  const owner = spawn(process.execPath, ['--input-type=module', '-e', code], { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
  const nextLine = lineReader(owner.stdout);
  /** @type {number[]} */
  const pids = JSON.parse(await nextLine());
  return { owner, pids, folder, nextLine };
}

/**
 * @param {readonly number[]} pids
 * @param {string} folder
 */
async function expectNothingLeft(pids, folder) {
  await eventually(() => !pids.some(isRunning), { deadlineMs: 15_000, what: 'the end of every process' });
  await eventually(async () => !(await exists(folder)), { what: 'the removal of the folder' });
}

describe('when the test process ends, its processes and folders are gone', () => {
  it('after kill -9', async () => {
    const { owner, pids, folder } = await startOwner();
    expect(pids.every(isRunning)).toBe(true);
    owner.kill('SIGKILL');
    await expectNothingLeft(pids, folder);
  });

  it('after kill -9, when a process does not follow the signal it is asked with', async () => {
    const { owner, pids, folder } = await startOwner(undefined, 'SIGTERM');
    owner.kill('SIGKILL');
    await expectNothingLeft(pids, folder);
  });

  it('after Ctrl-C, which the terminal sends to the whole process group', async () => {
    const { owner, pids, folder } = await startOwner();
    process.kill(-(owner.pid ?? Number.NaN), 'SIGINT');
    await expectNothingLeft(pids, folder);
  });

  it('after it ran to its end, which the guardian does not delay', async () => {
    const { pids, folder } = await startOwner('');
    await expectNothingLeft(pids, folder);
  });

  it('after an exception that nobody caught', async () => {
    const { pids, folder } = await startOwner('throw new Error("as intended");');
    await expectNothingLeft(pids, folder);
  });

  it('also when somebody killed the guardian before', async () => {
    const { owner, pids, folder, nextLine } = await startOwner(`
      const first = guardian().pid;
      setInterval(() => guardian().pid !== first && console.log(guardian().pid), 5);`);
    signalProcess(pids[2] ?? Number.NaN, 'SIGKILL');
    const second = Number(await nextLine());
    expect(isRunning(second)).toBe(true);
    owner.kill('SIGKILL');
    await expectNothingLeft([...pids, second], folder);
  });
});

describe('what was taken back', () => {
  it('is left alone', async () => {
    const { owner, pids, folder, nextLine } = await startOwner('guardian().removePath(folder); console.log("taken back"); process.stdin.resume();');
    expect(await nextLine()).toBe('taken back');
    owner.kill('SIGKILL');
    const [stubborn = 0, unregistered = 0, guardianPid = 0] = pids;
    await eventually(() => !isRunning(stubborn) && !isRunning(guardianPid), { deadlineMs: 15_000, what: 'the end of the guardian' });
    expect(isRunning(unregistered)).toBe(true);
    expect(await exists(folder)).toBe(true);
    signalProcess(unregistered, 'SIGKILL');
  });
});
