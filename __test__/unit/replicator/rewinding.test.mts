// The command that brings a master of before back as a standby: what comes of it, and that nothing of it is left behind.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rewinder } from '../../../dist/replicator/rewinding.js';
import { eventually } from '../../support/index.mjs';

const request = JSON.stringify({ project: 'p', name: 'm', newMaster: 's' });
const told = 'test "$REPLICATOR_PROJECT/$REPLICATOR_REPLICA/$REPLICATOR_NEW_MASTER" = p/m/s';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'rewinding-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Whether a process runs; one that has ended and that nobody has asked for has no command line any more. */
async function runs(pid: string): Promise<boolean> {
  const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return line !== '';
}

describe('a command that rewinds a server', () => {
  it('is told which server it is about, and has met the request when it ends with 0', async () => {
    expect(await rewinder({ command: '/bin/sh', args: ['-c', told] })(request)).toBeNull();
    expect(await rewinder({ command: '/bin/sh', args: ['-c', 'exit 3'] })(request)).toBe('the rewind command ended with exit code 3');
    expect(await rewinder({ command: '/bin/sh', args: ['-c', 'kill -TERM $$'] })(request)).toBe('the rewind command was ended by SIGTERM');
    expect(await rewinder({ command: path.join(folder, 'missing') })(request)).toBe('the rewind command could not be run (ENOENT)');
  });

  it('is ended with everything that it has started when it takes too long', async () => {
    const file = path.join(folder, 'pid');
    // What it has started goes on by itself when only the shell is ended.
    const script = `sleep 600 & echo $! > ${file}.new; mv ${file}.new ${file}; wait`;
    const outcome = rewinder({ command: '/bin/sh', args: ['-c', script], timeoutMs: 2000 })(request);
    const pid = await eventually(async () => (await readFile(file, 'utf8').catch(() => '')).trim());
    expect(await outcome).toBe('the rewind command did not end within 2000 ms');
    await eventually(async () => !(await runs(String(pid))));
  });
});
