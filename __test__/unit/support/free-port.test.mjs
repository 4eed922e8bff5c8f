// Free ports for test servers.
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { exists } from '../../../scripts/servers/cache.mjs';
import { eventually } from '../../support/eventually.mjs';
import { reservePort } from '../../support/free-port.mjs';
import { isRunning } from '../../support/processes.mjs';
import { firstLine } from './child-output.mjs';

const module_ = new URL('../../support/free-port.mjs', import.meta.url).href;
const guardianModule = new URL('../../support/guardian.mjs', import.meta.url).href;

describe('a reserved port', () => {
  it('can be listened on', async () => {
    const { port, release } = await reservePort();
    const server = createServer();
    await new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => resolve(undefined));
    });
    await new Promise((resolve) => server.close(resolve));
    await release();
  });

  it('is given to one process only, also when nobody listens on it yet', async () => {
    const code = `import { reservePort } from ${JSON.stringify(module_)};
      const reserved = await Promise.all(Array.from({ length: 100 }, () => reservePort()));
      console.log(JSON.stringify(reserved.map(({ port }) => port)));
      process.stdin.resume();`;
    const children = [1, 2, 3].map(() => spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['pipe', 'pipe', 'inherit'] }));
    try {
      const lines = await Promise.all(children.map((child) => firstLine(child.stdout)));
      /** @type {number[]} */
      const ports = lines.flatMap((line) => JSON.parse(line));
      expect(ports).toHaveLength(300);
      expect(new Set(ports).size).toBe(300);
    } finally {
      for (const child of children) child.kill('SIGKILL');
    }
  });

  it('stays reserved when another thread of the same process ends', async () => {
    const { port, release } = await reservePort();
    const code = `import(${JSON.stringify(module_)}).then(async ({ reservePort }) => {
      const { guardian } = await import(${JSON.stringify(guardianModule)});
      const { port } = await reservePort();
      const { parentPort } = require('node:worker_threads');
      // Listening keeps the thread alive until it is terminated.
      parentPort.on('message', () => undefined);
      parentPort.postMessage([port, guardian().pid]);
    });`;
    const worker = new Worker(code, { eval: true });
    /** @type {[number, number]} */
    const [other, guardianPid] = await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    expect(await exists(reservation(other))).toBe(true);
    await worker.terminate();
    await eventually(() => !isRunning(guardianPid), { what: "the end of the other thread's guardian" });
    expect(await exists(reservation(other))).toBe(false);
    expect(await exists(reservation(port))).toBe(true);
    await release();
    expect(await exists(reservation(port))).toBe(false);
  });
});

/** @param {number} port */
function reservation(port) {
  return path.join(tmpdir(), `replicaverse-ports-${userInfo().uid}`, String(port));
}
