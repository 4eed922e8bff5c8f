// Reads the headers of ELF, Mach-O and PE files: for which platform a binary was built, and its ELF interpreter.
import { closeSync, openSync, readSync } from 'node:fs';

/** The platform a binary was built for, in the terms of `process.platform` and `process.arch`. */
export interface BinaryTarget {
  platform: string;
  arch: string;
}

const HEADER_BYTES = 4096;
const PROGRAM_HEADER_INTERPRETER = 3;

const ELF_MACHINES: Readonly<Record<number, string>> = { 0x03: 'ia32', 0x28: 'arm', 0x3e: 'x64', 0xb7: 'arm64', 0xf3: 'riscv64' };
const MACH_O_CPUS: Readonly<Record<number, string>> = { 0x01000007: 'x64', 0x0100000c: 'arm64' };
const PE_MACHINES: Readonly<Record<number, string>> = { 0x014c: 'ia32', 0x8664: 'x64', 0xaa64: 'arm64' };

/**
 * Says for which platform the file was built; `null` when it is no ELF, Mach-O or PE file.
 *
 * @throws the file system's error when the file cannot be read.
 */
export function readBinaryTarget(path: string): BinaryTarget | null {
  const header = readHeader(path);
  if (isElf(header) && header.length >= 20) {
    return { platform: 'linux', arch: nameOf(ELF_MACHINES, header.readUInt16LE(18)) };
  }
  if (header.length >= 8 && header.readUInt32LE(0) === 0xfeedfacf) {
    return { platform: 'darwin', arch: nameOf(MACH_O_CPUS, header.readUInt32LE(4)) };
  }
  if (header.length >= 64 && header.toString('latin1', 0, 2) === 'MZ') {
    const pe = header.readUInt32LE(60);
    if (pe + 6 <= header.length && header.toString('latin1', pe, pe + 4) === 'PE\0\0') {
      return { platform: 'win32', arch: nameOf(PE_MACHINES, header.readUInt16LE(pe + 4)) };
    }
  }
  return null;
}

/**
 * The path of the dynamic loader that a 64-bit little-endian ELF executable asks for, such as
 * `/lib/ld-musl-x86_64.so.1`; `null` for any other file and for a static executable.
 *
 * @throws the file system's error when the file cannot be read.
 */
export function readElfInterpreter(path: string): string | null {
  const header = readHeader(path);
  if (!isElf(header) || header.length < 64 || header[4] !== 2 || header[5] !== 1) return null;
  const tableOffset = Number(header.readBigUInt64LE(32));
  const entrySize = header.readUInt16LE(54);
  const entryCount = header.readUInt16LE(56);
  for (let index = 0; index < entryCount; index++) {
    const entry = tableOffset + index * entrySize;
    if (entry + 56 > header.length) return null;
    if (header.readUInt32LE(entry) !== PROGRAM_HEADER_INTERPRETER) continue;
    const start = Number(header.readBigUInt64LE(entry + 8));
    const end = start + Number(header.readBigUInt64LE(entry + 32));
    return end <= header.length ? header.toString('latin1', start, end).replace(/\0+$/, '') : null;
  }
  return null;
}

function readHeader(path: string): Buffer {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(HEADER_BYTES);
    return buffer.subarray(0, readSync(file, buffer, 0, HEADER_BYTES, 0));
  } finally {
    closeSync(file);
  }
}

function isElf(header: Buffer): boolean {
  return header.toString('latin1', 0, 4) === '\x7fELF';
}

function nameOf(names: Readonly<Record<number, string>>, id: number): string {
  return names[id] ?? `machine type 0x${id.toString(16)}`;
}
