// The figures as a table: for a terminal, and for bench/README.md.
import { count, percent, renderTable } from '../readme-figures.mjs';
import { figuresOf } from './figures.mjs';

/** @typedef {import('./measure.mjs').Result} Result */
/** @typedef {import('./surroundings.mjs').Surroundings} Surroundings */

const HEADINGS = ['pair', 'rows', 'rows/s', 'peer rows/s', 'of the peer’s speed', 'CPU s', 'memory above idle', 'peer'];

/**
 * @param {readonly Result[]} results
 * @param {Surroundings} surroundings
 * @returns {string} in Markdown, with columns aligned
 */
export function renderReport(results, surroundings) {
  const rounds = Math.min(...results.map((result) => result.rounds.length));
  return [
    ...renderTable([HEADINGS, ...results.map(cells)]),
    '',
    `Medians of ${rounds} rounds [lowest–highest], ${surroundings.date}.`,
    `Machine: ${surroundings.machine}.`,
    `Versions: ${surroundings.versions.join(', ')}.`,
  ].join('\n');
}

/** @param {Result} result */
function cells(result) {
  const { oursRowsPerSecond, peerRowsPerSecond, ratio, cpuSeconds, peakBytes } = figuresOf(result);
  return [
    result.pair,
    count(result.rows),
    count(oursRowsPerSecond),
    peerRowsPerSecond === undefined ? '–' : count(peerRowsPerSecond),
    ratio === undefined ? '–' : `${percent(ratio.median)} [${percent(ratio.min)}–${percent(ratio.max)}]`,
    cpuSeconds.toFixed(2),
    peakBytes === undefined ? '–' : `${Math.round(peakBytes / 1e6)} MB`,
    result.peer ?? '–',
  ];
}
