// Lock files between processes, and cache entries that are made once.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cached } from '../../../scripts/servers/cache.mjs';
import { tryLock, withLock } from '../../../scripts/servers/lock.mjs';
import { firstLine } from './child-output.mjs';

const lockModule = new URL('../../../scripts/servers/lock.mjs', import.meta.url).href;
const cacheModule = new URL('../../../scripts/servers/cache.mjs', import.meta.url).href;

/** @type {string} */
let folder;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'lock-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** @param {string} code */
function startNode(code) {
  return spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['pipe', 'pipe', 'inherit'] });
}

describe('a lock file', () => {
  it('is held by one at a time', async () => {
    const file = path.join(folder, 'lock');
    const lock = await tryLock(file);
    expect(lock).toBeDefined();
    expect(await tryLock(file)).toBeUndefined();
    await lock?.release();
    expect(await tryLock(file)).toBeDefined();
  });

  it('excludes another process while its owner lives, and is free once the owner was killed', async () => {
    const file = path.join(folder, 'lock');
    const owner = startNode(
      `import { tryLock } from ${JSON.stringify(lockModule)};
       console.log((await tryLock(${JSON.stringify(file)})) !== undefined);
       process.stdin.resume();`,
    );
    expect(await firstLine(owner.stdout)).toBe('true');
    expect(await tryLock(file)).toBeUndefined();
    const ended = new Promise((resolve) => owner.once('exit', resolve));
    owner.kill('SIGKILL');
    await ended;
    expect(await tryLock(file)).toBeDefined();
  });

  it('runs the work of those who wait one after the other', async () => {
    const file = path.join(folder, 'lock');
    let inside = 0;
    let most = 0;
    const work = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 4 }, () => withLock(file, work)));
    expect(most).toBe(1);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('a cache entry', () => {
  it('is made once by processes that want it at the same time', async () => {
    const code = `import { appendFile, writeFile } from 'node:fs/promises';
      import { cached } from ${JSON.stringify(cacheModule)};
      const entry = await cached(${JSON.stringify(path.join(folder, 'cache'))}, 'entry', async (draft) => {
        await appendFile(${JSON.stringify(path.join(folder, 'made'))}, 'x');
        await writeFile(draft + '/file', 'content');
      });
      console.log(entry);`;
    const entries = await Promise.all([1, 2, 3, 4].map(() => firstLine(startNode(code).stdout)));
    expect(new Set(entries)).toEqual(new Set([path.join(folder, 'cache', 'entry')]));
    expect(await readFile(path.join(folder, 'made'), 'utf8')).toBe('x');
    expect(await readFile(path.join(folder, 'cache', 'entry', 'file'), 'utf8')).toBe('content');
  });

  it('does not exist when making it failed, and is made by the next who wants it', async () => {
    const fail = () => Promise.reject(new Error('no network'));
    await expect(cached(folder, 'entry', fail)).rejects.toThrow('no network');
    expect(await readdir(folder)).toEqual([]);
    const entry = await cached(folder, 'entry', (draft) => writeFile(path.join(draft, 'file'), 'content'));
    expect(await readdir(entry)).toEqual(['file']);
  });
});
