// Compares dates and times of both clients in the time zone of this process, and prints what differs.
import { deepStrictEqual } from 'node:assert/strict';
import { Clients } from './clients.mjs';
import { literalsOf } from './generated-values.mjs';

const [uri = ''] = process.argv.slice(2);
const clients = await Clients.open(uri);
const differences = [];
let compared = 0;
for (const session of ['UTC', 'America/St_Johns', 'Asia/Kolkata', 'Europe/Berlin', 'Africa/Monrovia']) {
  await clients.set('TimeZone', session);
  for (const type of ['date', 'timestamp', 'timestamptz', 'timestamp[]', 'timestamptz[]', 'date[]']) {
    const literals = literalsOf(type, 300);
    compared += literals.length;
    const outcomes = await clients.outcomes(`SELECT literal::${type} AS value FROM unnest($1::text[]) AS literal`, [literals]);
    try {
      deepStrictEqual(outcomes.first, outcomes.theirs);
      deepStrictEqual(outcomes.later, outcomes.theirs);
    } catch (error) {
      differences.push({ session, type, difference: String(error).slice(0, 2000) });
    }
  }
  // A date as parameter is written in the process's time zone.
  const moments = [0, -1, 946_684_800_123, 1_710_052_200_000, -62_135_596_800_001, -2_208_988_800_000, 8_640_000_000_000].map((time) => new Date(time));
  const values = moments.map((moment) => [moment, moment, [moment]]);
  for (const triple of values) {
    const outcomes = await clients.outcomes('SELECT $1::timestamptz AS a, $2::timestamp AS b, $3::timestamptz[] AS c', triple);
    compared += 3;
    try {
      deepStrictEqual(outcomes.later, outcomes.theirs);
    } catch (error) {
      differences.push({ session, type: 'parameter', difference: String(error).slice(0, 2000) });
    }
  }
}
await clients.close();
console.log(JSON.stringify({ zone: Intl.DateTimeFormat().resolvedOptions().timeZone, compared, differences }));
