// `npm run bench:cache`: hits beside lru-cache, invalidation by tag, and a trace under writes with a cache that follows the log.
import { runBenchmark } from '../program.mjs';
import { count, renderTable } from '../readme-figures.mjs';
import { median } from '../snapshot/figures.mjs';
import { readMachine } from '../snapshot/surroundings.mjs';
import { ENTRIES, measureHits, measureInvalidation } from './hits.mjs';
import { HELP, readOptions } from './options.mjs';
import { SCHEMA, measureTrace } from './trace.mjs';

await runBenchmark({
  script: 'bench:cache',
  help: HELP,
  readOptions,
  servers: () => ['postgres'],
  async measure({ rounds }, { undo, log }) {
    const { startPostgres } = await import('../../__test__/support/index.mjs');
    const { PgMultiverse } = await import('replicaverse/pg-multiverse');
    const server = await startPostgres({ settings: { wal_level: 'logical', shared_buffers: '256MB' } });
    undo.add(() => server.remove());
    await server.psql(SCHEMA);
    const { host, port, database, user, password } = server;
    /** @param {import('replicaverse/pg-multiverse').CacheConfig} cache */
    const open = async (cache) => {
      const db = new PgMultiverse({ cache: { maxSize: 2 * ENTRIES, maxBytes: 1 << 30, ...cache } });
      undo.add(() => db.close());
      await db.initialize({ main: { schemas: ['public'], primary: { host, port, database, user, password } } });
      // A cache that follows the log keeps nothing before it does.
      while ((db.getMetrics().cache?.hits ?? 0) === 0) await db.query('SELECT 1 AS warm', [], { cache: true });
      return db;
    };
    const db = await open({});
    const rates = await measureHits(db, rounds);
    log('hits');
    const invalidation = await measureInvalidation(db);
    log('invalidation');
    const trace = await measureTrace(await open({ invalidate: 'wal', ttl: 0 }));
    return renderReport(rates, invalidation, trace, rounds);
  },
});

/**
 * @param {Awaited<ReturnType<typeof measureHits>>} rates
 * @param {Awaited<ReturnType<typeof measureInvalidation>>} invalidation
 * @param {import('./trace.mjs').Trace} trace
 * @param {number} rounds
 */
function renderReport(rates, { grown, dropped, ms }, { reads, writes, hits, stale, oldest }, rounds) {
  const line = (/** @type {string} */ name, /** @type {readonly number[]} */ each) => {
    const ratios = each.map((rate, round) => rate / (rates.peer[round] ?? Number.NaN));
    return [name, count(median(each)), `${median(ratios).toFixed(2)} [${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}]`];
  };
  const { date, machine } = readMachine();
  return [
    ...renderTable([
      ['hits of a result of 10 rows', 'hits/s', 'times lru-cache with structuredClone'],
      line('replicaverse, one after the other', rates.one),
      line('replicaverse, 64 at a time', rates.many),
      line('lru-cache with structuredClone', rates.peer),
    ]),
    '',
    `The heap grew by ${grown.toFixed(1)} MB for ${count(ENTRIES)} entries; ${count(dropped)} of them were dropped by their tag in ${ms.toFixed(2)} ms.`,
    '',
    `Zipf trace with \`invalidate: 'wal'\`: ${count(reads)} reads, ${count(writes)} writes, ${(100 * hits).toFixed(1)} % hits; ${count(stale)} reads were older than a write that had been`,
    `acknowledged, the oldest by ${oldest.toFixed(1)} ms.`,
    '',
    `Medians of ${rounds} rounds [lowest–highest], ${date}.`,
    `Machine: ${machine}; the server runs on it as well.`,
  ].join('\n');
}
