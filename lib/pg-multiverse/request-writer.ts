// Requests are written into one buffer, which goes to the native core once per turn of the event loop.
import { type ParameterContent, parameterContent } from './parameter-text.js';

/** Kinds of records; src/multiverse/submission.rs reads them. */
const RECORD_STATEMENT = 1;
const RECORD_ROUTE = 2;
const RECORD_REQUEST = 3;

/** Says which optional parts a request has. */
const HAS_SESSION = 1;
const HAS_TIMEOUT = 2;
const HAS_RETRY = 4;
/** The rows go to a reader at its own pace. */
const IS_STREAM = 8;

const FIRST_SIZE = 16 << 10;
/** A buffer that grew beyond this for a large request is let go. */
const LARGEST_KEPT = 1 << 20;
/** Shorter texts are mostly ASCII, and copied faster here than by a call into the engine. */
const SHORT_TEXT = 24;

/** What a request says, besides its statement and parameters. */
export interface RequestParts {
  readonly session: number;
  /** Milliseconds, 0 for no limit. */
  readonly timeout: number;
  readonly retryAttempts: number;
  readonly retryDelay: number;
  readonly isStream: boolean;
}

/** The buffer of requests. */
export class RequestWriter {
  #buffer = Buffer.allocUnsafeSlow(FIRST_SIZE);
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** What was written, as the buffer and its length. The buffer is written to again only after `clear`. */
  get buffer(): Buffer {
    return this.#buffer;
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
    if (this.#buffer.length > LARGEST_KEPT) this.#buffer = Buffer.allocUnsafeSlow(FIRST_SIZE);
  }

  /** From here on, the slot stands for the text of a statement. */
  writeStatement(slot: number, text: string): void {
    this.#writeDefinition(RECORD_STATEMENT, slot, text);
  }

  /** From here on, the slot stands for a route, as JSON. */
  writeRoute(slot: number, route: string): void {
    this.#writeDefinition(RECORD_ROUTE, slot, route);
  }

  #writeDefinition(kind: number, slot: number, text: string): void {
    this.#ensure(9 + text.length * 3);
    this.#buffer[this.#length] = kind;
    this.#length += 1;
    this.#writeWord(slot);
    const lengthAt = this.#length;
    this.#length += 4;
    this.#length += this.#buffer.write(text, this.#length, 'utf8');
    this.#buffer.writeUInt32LE(this.#length - lengthAt - 4, lengthAt);
  }

  /**
   * Writes a request. If a parameter cannot be written, nothing is.
   *
   * @throws whatever a parameter's own `toPostgres` or `toJSON` throws
   */
  writeRequest(slot: number, epoch: number, statement: number, route: number, values: readonly unknown[] | undefined, parts: RequestParts | undefined): void {
    const start = this.#length;
    this.#ensure(64);
    const buffer = this.#buffer;
    buffer[start] = RECORD_REQUEST;
    buffer[start + 1] = parts === undefined ? 0 : flagsOf(parts);
    this.#length = start + 2;
    this.#writeWord(slot);
    this.#writeWord(epoch);
    this.#writeWord(statement);
    this.#writeWord(route);
    if (parts !== undefined) this.#writeParts(parts);
    try {
      this.#writeParameters(values ?? []);
    } catch (error) {
      this.#length = start;
      throw error;
    }
  }

  #writeParts(parts: RequestParts): void {
    if (parts.session !== 0) this.#writeWord(parts.session);
    if (parts.timeout !== 0) this.#writeWord(parts.timeout);
    if (parts.retryAttempts !== 0) {
      this.#writeWord(parts.retryAttempts);
      this.#writeWord(parts.retryDelay);
    }
  }

  /** The part of a Bind message that holds the parameters, after its length. Its numbers have the network's byte order. */
  #writeParameters(values: readonly unknown[]): void {
    const lengthAt = this.#length;
    const count = values.length;
    // The formats come first. They are needed only if there are bytes among the parameters, which are found out on the way.
    this.#ensure(8 + count * 2);
    this.#length += 4;
    const formatsAt = this.#length;
    this.#length += 2;
    this.#buffer.writeUInt16BE(0, formatsAt);
    let binary: number[] | undefined;
    this.#length = this.#buffer.writeUInt16BE(count, this.#length);
    for (let at = 0; at < count; at += 1) {
      const value = values[at];
      const content = typeof value === 'string' ? value : parameterContent(value);
      if (content !== null && typeof content !== 'string') (binary ??= []).push(at);
      this.#writeContent(content);
    }
    if (binary !== undefined) this.#insertFormats(formatsAt, count, binary);
    this.#buffer.writeUInt32LE(this.#length - lengthAt - 4, lengthAt);
  }

  #writeContent(content: ParameterContent): void {
    if (content === null) {
      this.#ensure(4);
      this.#length = this.#buffer.writeInt32BE(-1, this.#length);
    } else if (typeof content === 'string') {
      this.#writeText(content);
    } else {
      this.#ensure(4 + content.length);
      this.#length = this.#buffer.writeInt32BE(content.length, this.#length);
      this.#buffer.set(content, this.#length);
      this.#length += content.length;
    }
  }

  #writeText(text: string): void {
    this.#ensure(4 + text.length * 3);
    const buffer = this.#buffer;
    const at = this.#length + 4;
    let size = 0;
    if (text.length <= SHORT_TEXT) {
      while (size < text.length) {
        const unit = text.charCodeAt(size);
        if (unit > 0x7f) break;
        buffer[at + size] = unit;
        size += 1;
      }
    }
    if (size < text.length || text.length > SHORT_TEXT) size = buffer.write(text, at, 'utf8');
    buffer[at - 4] = size >>> 24;
    buffer[at - 3] = size >>> 16;
    buffer[at - 2] = size >>> 8;
    buffer[at - 1] = size;
    this.#length = at + size;
  }

  #insertFormats(formatsAt: number, count: number, binary: readonly number[]): void {
    this.#ensure(count * 2);
    const from = formatsAt + 2;
    this.#buffer.copyWithin(from + count * 2, from, this.#length);
    this.#buffer.fill(0, from, from + count * 2);
    this.#buffer.writeUInt16BE(count, formatsAt);
    for (const at of binary) this.#buffer.writeUInt16BE(1, from + at * 2);
    this.#length += count * 2;
  }

  #writeWord(word: number): void {
    const buffer = this.#buffer;
    const at = this.#length;
    buffer[at] = word;
    buffer[at + 1] = word >>> 8;
    buffer[at + 2] = word >>> 16;
    buffer[at + 3] = word >>> 24;
    this.#length = at + 4;
  }

  #ensure(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

function flagsOf(parts: RequestParts): number {
  return (
    (parts.session === 0 ? 0 : HAS_SESSION) |
    (parts.timeout === 0 ? 0 : HAS_TIMEOUT) |
    (parts.retryAttempts === 0 ? 0 : HAS_RETRY) |
    (parts.isStream ? IS_STREAM : 0)
  );
}
