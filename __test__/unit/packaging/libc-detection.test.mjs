// The C library of the process decides which Linux binary fits; it is read from the executable's interpreter.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createApplication, packedFiles } from './installed-package.mjs';

/** @type {Awaited<ReturnType<typeof createApplication>>} */
let application;

beforeEach(async () => {
  application = await createApplication(await packedFiles());
});

afterEach(() => application.remove());

/**
 * Loads the package, without a binary, in a process that takes the given file for its executable on Linux x64.
 *
 * @param {Buffer} executable
 * @returns {Promise<{ host: { libc: string | null }, candidates: string[] }>}
 */
async function loadWithExecutable(executable) {
  const path = join(application.folder, 'executable');
  await writeFile(path, executable);
  return application.evaluate(`
    Object.defineProperty(process, 'platform', { value: 'linux' });
    Object.defineProperty(process, 'arch', { value: 'x64' });
    process.execPath = ${JSON.stringify(path)};
    process.report.getReport = () => ({ header: {} });
    try {
      require('replicaverse');
    } catch ({ host, attempts }) {
      console.log(JSON.stringify({ host, candidates: attempts.map(({ candidate }) => candidate) }));
    }`);
}

/**
 * The headers of a 64-bit ELF executable.
 *
 * @param {string} interpreter
 */
function elfExecutable(interpreter) {
  const file = Buffer.alloc(512);
  file.write('\x7fELF\x02\x01\x01', 'latin1');
  file.writeUInt16LE(0x3e, 18);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(3, 64);
  file.writeBigUInt64LE(200n, 72);
  file.writeBigUInt64LE(BigInt(interpreter.length + 1), 96);
  file.write(interpreter, 200, 'latin1');
  return file;
}

test('an executable linked with musl gets the musl binary', async () => {
  const { host, candidates } = await loadWithExecutable(elfExecutable('/lib/ld-musl-x86_64.so.1'));
  expect(host.libc).toBe('musl');
  expect(candidates.at(-1)).toBe('package @replicaverse/binding-linux-x64-musl');
  expect(candidates).toHaveLength(2);
});

test('an executable linked with glibc gets the glibc binary', async () => {
  const { host, candidates } = await loadWithExecutable(elfExecutable('/lib64/ld-linux-x86-64.so.2'));
  expect(host.libc).toBe('glibc');
  expect(candidates.at(-1)).toBe('package @replicaverse/binding-linux-x64-gnu');
  expect(candidates).toHaveLength(2);
});

test('both binaries are tried when the C library cannot be told', async () => {
  const { host, candidates } = await loadWithExecutable(Buffer.from('#!/bin/sh'));
  expect(host.libc).toBeNull();
  expect(candidates.slice(2)).toEqual([
    'package @replicaverse/binding-linux-x64-gnu',
    'package @replicaverse/binding-linux-x64-musl',
  ]);
});
