// The figures as a table: for a terminal, and for bench/README.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { figuresOf } from './figures.mjs';

/** @typedef {import('./measure.mjs').Result} Result */
/** @typedef {import('./surroundings.mjs').Surroundings} Surroundings */

const README = new URL('../README.md', import.meta.url);
const MARKERS = { begin: '<!-- figures: written by npm run bench:snapshot -- --write -->', end: '<!-- end of figures -->' };

const HEADINGS = ['pair', 'rows', 'rows/s', 'peer rows/s', 'of the peer’s speed', 'CPU s', 'memory above idle', 'peer'];

/**
 * @param {readonly Result[]} results
 * @param {Surroundings} surroundings
 * @returns {string} in Markdown, with columns aligned
 */
export function renderReport(results, surroundings) {
  const lines = [HEADINGS, ...results.map(cells)];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const rendered = lines.map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  rendered.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  const rounds = Math.min(...results.map((result) => result.rounds.length));
  return [
    ...rendered,
    '',
    `Medians of ${rounds} rounds [lowest–highest], ${surroundings.date}.`,
    `Machine: ${surroundings.machine}.`,
    `Versions: ${surroundings.versions.join(', ')}.`,
  ].join('\n');
}

/**
 * Replaces the figures in bench/README.md.
 * @param {string} report
 * @throws {Error} when the file has lost the place for them
 */
export function writeReadme(report) {
  const text = readFileSync(README, 'utf8');
  const [begin, end] = [text.indexOf(MARKERS.begin), text.indexOf(MARKERS.end)];
  if (begin < 0 || end < begin) throw new Error('bench/README.md has no place for the figures');
  writeFileSync(README, `${text.slice(0, begin)}${MARKERS.begin}\n${report}\n${text.slice(end)}`);
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

/** @param {number} value */
function count(value) {
  return Math.round(value).toLocaleString('en-US');
}

/** @param {number} value */
function percent(value) {
  return `${Math.round(value * 100)} %`;
}
