// How values lie in Redis: serialised, perhaps compressed, and marked with both, so that processes with other settings read them.
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { ReplicaverseError } from '../../../errors.js';
import { native } from '../../../native.js';
import type { RedisConfig } from '../config.js';

const zip = promisify(gzip);
const unzip = promisify(gunzip);

/** The first byte: the upper half tells the serialisation, the lower half the compression. */
const SERIALIZATIONS = ['json', 'msgpack'] as const;
const COMPRESSIONS = ['none', 'gzip', 'lz4'] as const;
const DEFAULT_THRESHOLD = 1024;

/** Writes values as a configuration says, and reads them whatever another one said. */
export class ValueCoding {
  readonly #serialization: (typeof SERIALIZATIONS)[number];
  readonly #compression: (typeof COMPRESSIONS)[number];
  readonly #threshold: number;

  constructor({ serialization = 'json', compression = 'none', compressionThreshold = DEFAULT_THRESHOLD }: RedisConfig) {
    this.#serialization = serialization;
    this.#compression = compression;
    this.#threshold = compressionThreshold;
  }

  async encode(value: unknown): Promise<Buffer> {
    const plain = await serialize(value, this.#serialization);
    const compression = plain.length >= this.#threshold ? this.#compression : 'none';
    const mark = (SERIALIZATIONS.indexOf(this.#serialization) << 4) | COMPRESSIONS.indexOf(compression);
    return Buffer.concat([Buffer.from([mark]), await compress(plain, compression)]);
  }

  async decode(bytes: Buffer): Promise<unknown> {
    const mark = bytes[0] ?? 0xff;
    const serialization = SERIALIZATIONS[mark >> 4];
    const compression = COMPRESSIONS[mark & 15];
    if (serialization === undefined || compression === undefined) {
      throw new ReplicaverseError('a value in Redis was written by something else', { kind: 'Format', code: 'ERR_FORMAT' });
    }
    return deserialize(await decompress(bytes.subarray(1), compression), serialization);
  }
}

async function serialize(value: unknown, serialization: (typeof SERIALIZATIONS)[number]): Promise<Buffer> {
  if (serialization === 'json') return Buffer.from(JSON.stringify(value, markBytes) ?? 'null');
  const { encode } = await import('@msgpack/msgpack');
  const bytes = encode(value);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

async function deserialize(bytes: Buffer, serialization: (typeof SERIALIZATIONS)[number]): Promise<unknown> {
  if (serialization === 'json') return JSON.parse(bytes.toString(), readBytes) as unknown;
  const { decode } = await import('@msgpack/msgpack');
  return decode(bytes);
}

/** As JSON, bytes would be a list of numbers. A buffer has become an object before it gets here. */
function markBytes(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('type' in value) || !('data' in value)) return value;
  const { type, data } = value;
  if (type !== 'Buffer' || !Array.isArray(data)) return value;
  return { type: 'Buffer', data: Buffer.from(data as number[]).toString('base64') };
}

function readBytes(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('type' in value) || !('data' in value)) return value;
  const { type, data } = value;
  return type === 'Buffer' && typeof data === 'string' ? Buffer.from(data, 'base64') : value;
}

function compress(bytes: Buffer, compression: (typeof COMPRESSIONS)[number]): Promise<Buffer> | Buffer {
  if (compression === 'gzip') return zip(bytes);
  return compression === 'lz4' ? native.lz4Compress(bytes) : bytes;
}

function decompress(bytes: Buffer, compression: (typeof COMPRESSIONS)[number]): Promise<Buffer> | Buffer {
  if (compression === 'gzip') return unzip(bytes);
  return compression === 'lz4' ? native.lz4Decompress(bytes) : bytes;
}
