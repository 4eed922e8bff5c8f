// Reads one large result by one client, and prints the peak of the process's memory above what it was before.
import { readFileSync } from 'node:fs';
import { CASES } from './cases.mjs';
import { openClient } from './clients.mjs';

const [uri = '', name] = process.argv.slice(2);
const client = await openClient(/** @type {never} */ (name), uri, 2);
await client.rows('SELECT 1', []);
globalThis.gc?.();
const before = resident('VmRSS');
const large = CASES.find((one) => one.rows >= 100_000);
if (large === undefined) throw new Error('no case has a large result');
await client.rows(large.sql, []);
const peak = resident('VmHWM') - before;
await client.close();
console.log(JSON.stringify({ megabytes: peak / 1024 }));

/** @param {string} line of /proc/self/status, in kilobytes */
function resident(line) {
  return Number(new RegExp(`^${line}:\\s+(\\d+)`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}
