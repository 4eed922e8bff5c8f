// The figures of the migrations benchmark as a table.
import { count, renderTable } from '../readme-figures.mjs';
import { median } from '../snapshot/figures.mjs';

/**
 * @typedef {object} Result
 * @property {import('./measure.mjs').Case} measured
 * @property {import('./measure.mjs').Run[]} runs
 */

const HEADINGS = ['tool', 'clusters', 'seconds', 'ms per migration and cluster', 'peak memory', 'times the peer’s time'];

/**
 * @param {readonly Result[]} results
 * @param {number} migrations
 * @param {readonly string[]} surroundings lines that say where the figures come from
 * @returns {string} in Markdown
 */
export function renderReport(results, migrations, surroundings) {
  const peer = results.find(({ measured }) => measured.side === 'peer');
  const lines = results.map((result) => cells(result, migrations, peer));
  return [...renderTable([HEADINGS, ...lines]), '', ...surroundings].join('\n');
}

/**
 * @param {Result} result
 * @param {number} migrations
 * @param {Result | undefined} peer
 */
function cells({ measured, runs }, migrations, peer) {
  const each = runs.map(({ milliseconds }) => milliseconds / migrations / measured.clusters);
  const ratios = each.map((time, round) => time / ((peer?.runs[round]?.milliseconds ?? Number.NaN) / migrations));
  const [low, middle, high] = [Math.min(...ratios), median(ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2));
  const bytes = runs.flatMap((run) => run.bytes ?? []);
  return [
    measured.name,
    String(measured.clusters),
    (median(runs.map(({ milliseconds }) => milliseconds)) / 1000).toFixed(1),
    median(each).toFixed(2),
    bytes.length === 0 ? 'not known' : `${count(median(bytes) / 2 ** 20)} MiB`,
    measured.side === 'peer' ? '1' : `${middle} [${low}–${high}]`,
  ];
}
