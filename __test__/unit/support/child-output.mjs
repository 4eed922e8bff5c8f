// Reading what a child process prints.
import { createInterface } from 'node:readline';

/**
 * Gives the lines of a stream one by one.
 * @param {import('node:stream').Readable} stream
 * @returns {() => Promise<string>} the next line; rejected when there is none
 */
export function lineReader(stream) {
  const lines = createInterface({ input: stream })[Symbol.asyncIterator]();
  return async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('the process ended without printing another line');
    return value;
  };
}

/**
 * The first line of a stream.
 * @param {import('node:stream').Readable} stream
 * @returns {Promise<string>}
 */
export function firstLine(stream) {
  return lineReader(stream)();
}
