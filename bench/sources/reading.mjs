// A backlog of a source: applied to SQLite by this library, and read by a peer that applies nothing, in turns.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ours } from '../cdc/ours-process.mjs';
import { TABLE } from '../cdc/workload.mjs';
import { runProgram } from '../snapshot/peer-program.mjs';

/**
 * @typedef {object} Reading
 * @property {import('./databases.mjs').Source} source
 * @property {number} events
 * @property {{ours: import('../cdc/ours.mjs').CaughtUp, peerSeconds: number}[]} rounds
 */

/**
 * @param {import('./databases.mjs').Source} source
 * @param {number} events
 * @param {number} rounds
 * @param {(message: string) => void} log
 * @returns {Promise<Reading>}
 */
export async function measureReading(source, events, rounds, log) {
  const folder = await mkdtemp(join(tmpdir(), 'replicaverse-bench-'));
  try {
    /** @type {Reading} */
    const reading = { source, events, rounds: [] };
    for (let round = 1; round <= rounds; round += 1) {
      const uri = await source.next();
      const ours = new Ours();
      await ours.open({ dialect: source.dialect, uri }, { dialect: 'sqlite', uri: join(folder, `${String(round)}.db`) });
      const from = await source.position();
      await source.write(uri, events);
      const measured = await ours.catchUp();
      if (measured.changes === 0) throw new Error('no change was applied');
      await ours.end();
      const peer = await runProgram({ do: 'read', source: { dialect: source.dialect, uri }, table: TABLE, events, from });
      if (peer.rows < events) throw new Error(`the peer has read ${String(peer.rows)} changes of ${String(events)}`);
      reading.rounds.push({ ours: measured, peerSeconds: peer.seconds });
      log(`${source.dialect}, round ${String(round)} of ${String(rounds)}: library ${measured.seconds.toFixed(2)} s, peer ${peer.seconds.toFixed(2)} s`);
    }
    return reading;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
