// Loading the native addon: where it is looked for, and what the error says when it cannot be loaded.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { builtAddon, createApplication, packedFiles } from './installed-package.mjs';

/** Loads the package and prints the error's fields as JSON, `null` when it loads. */
const LOAD = `
  let failure = null;
  try {
    require('replicaverse');
  } catch (error) {
    const { name, code, message, host, attempts, cause, retryable } = error;
    failure = { name, code, message, host, retryable, cause: { code: cause?.code, message: cause?.message },
      isError: error instanceof Error, reasons: attempts.map(({ candidate, reason }) => [candidate, reason]) };
  }
  console.log(JSON.stringify(failure));`;

/** Where a header says for which machine the file was built, and a machine other than those there are binaries for. */
const FOREIGN_ELF = { machineOffset: 18, machine: 0xf3, name: 'linux riscv64' };

/** @type {string[]} */
let files;
/** @type {Awaited<ReturnType<typeof createApplication>>} */
let application;

beforeAll(async () => {
  files = await packedFiles();
});

beforeEach(async () => {
  application = await createApplication(files);
});

afterEach(() => application.remove());

describe('the addon', () => {
  test('loads from the installed platform package', async () => {
    await application.installPlatformPackage(builtAddon.platform);
    expect(await application.evaluate(LOAD)).toBeNull();
  });

  test('loads from the package folder, where a build from source puts it', async () => {
    const binary = await readFile(builtAddon.path);
    await writeFile(join(application.installed, `replicaverse.${builtAddon.platform}.node`), binary);
    expect(await application.evaluate(LOAD)).toBeNull();
  });

  test('loads from the path in REPLICAVERSE_NATIVE_PATH', async () => {
    expect(await application.evaluate(LOAD, { REPLICAVERSE_NATIVE_PATH: builtAddon.path })).toBeNull();
  });
});

describe('the error of an addon that does not load', () => {
  test('names the platform, every place tried and how to install what is missing', async () => {
    const failure = await application.evaluate(LOAD);
    expect(failure).toMatchObject({ name: 'NativeLoadError', code: 'ERR_NATIVE_LOAD', isError: true, retryable: false });
    expect(failure.host).toMatchObject({ platform: process.platform, arch: process.arch });
    expect(failure.reasons).toEqual([
      [join(application.installed, `replicaverse.${builtAddon.platform}.node`), 'there is no such file'],
      [`package @replicaverse/binding-${builtAddon.platform}`, 'it is not installed'],
    ]);
    expect(failure.cause.code).toBe('MODULE_NOT_FOUND');
    for (const text of [`${process.platform} ${process.arch}`, process.version, '--omit=optional', 'package-lock.json']) {
      expect(failure.message).toContain(text);
    }
  });

  test('says that a damaged binary is none, with the message of the dynamic loader as its cause', async () => {
    await application.installPlatformPackage(builtAddon.platform, { binary: Buffer.from('not a binary') });
    const failure = await application.evaluate(LOAD);
    expect(failure.reasons[1][1]).toContain('the file is not a native binary');
    expect(failure.cause.code).toBe('ERR_DLOPEN_FAILED');
    expect(failure.reasons[1][1]).toContain(failure.cause.message);
    expect(failure.message).not.toContain('--omit=optional');
  });

  test('says for which machine the binary was built, if it is another', async () => {
    const binary = Buffer.alloc(4096);
    binary.write('\x7fELF\x02\x01\x01', 'latin1');
    binary.writeUInt16LE(FOREIGN_ELF.machine, FOREIGN_ELF.machineOffset);
    await application.installPlatformPackage(builtAddon.platform, { binary });
    const failure = await application.evaluate(LOAD);
    expect(failure.reasons[1][1]).toContain(
      `built for ${FOREIGN_ELF.name}, this process is ${process.platform} ${process.arch}`,
    );
  });

  test('names the override, and tries nothing else', async () => {
    await application.installPlatformPackage(builtAddon.platform);
    const missing = join(application.folder, 'missing.node');
    const failure = await application.evaluate(LOAD, { REPLICAVERSE_NATIVE_PATH: missing });
    expect(failure.reasons).toEqual([[`REPLICAVERSE_NATIVE_PATH=${missing}`, 'there is no such file']]);
    expect(failure.cause.code).toBe('ENOENT');
    expect(failure.message).toContain('REPLICAVERSE_NATIVE_PATH is set, so nothing else was tried');
  });

  test('says that an override is a folder', async () => {
    const folder = join(application.folder, 'folder.node');
    await mkdir(folder);
    const failure = await application.evaluate(LOAD, { REPLICAVERSE_NATIVE_PATH: folder });
    expect(failure.reasons[0][1]).toBe('it is not a file');
  });

  test('names the versions of a platform package of another version', async () => {
    await application.installPlatformPackage(builtAddon.platform, { version: '0.0.1' });
    const failure = await application.evaluate(LOAD);
    expect(failure.reasons[1][1]).toMatch(/^version 0\.0\.1 is installed, version \d+\.\d+\.\d+\S* is needed$/);
  });

  test('says that node_modules came from another platform', async () => {
    const other = builtAddon.platform === 'darwin-x64' ? 'win32-x64-msvc' : 'darwin-x64';
    await application.installPlatformPackage(other);
    const failure = await application.evaluate(LOAD);
    expect(failure.message).toContain(`Installed, but for another platform: @replicaverse/binding-${other}.`);
  });

  test('lists the platforms there are binaries for, on one that has none', async () => {
    const script = `Object.defineProperty(process, 'platform', { value: 'freebsd' });${LOAD}`;
    const failure = await application.evaluate(script);
    expect(failure.reasons.map((/** @type {string[]} */ [candidate]) => candidate)).toEqual([
      join(application.installed, `replicaverse.freebsd-${process.arch}.node`),
    ]);
    expect(failure.message).toContain('No binary is published for this platform; there are binaries for linux-x64-gnu,');
  });
});
