// The figures of the entity benchmark as a table.
import { count, renderTable } from '../readme-figures.mjs';
import { median } from '../snapshot/figures.mjs';

/**
 * @typedef {object} Result
 * @property {string} dialect
 * @property {string} operation
 * @property {number} inFlight
 * @property {string} peer
 * @property {import('./measure.mjs').Measured} rates
 */

const HEADINGS = ['dialect', 'operation', 'in flight', 'calls/s', 'peer', 'peer calls/s', 'times the peer’s rate'];

/**
 * @param {readonly Result[]} results
 * @param {readonly string[]} surroundings lines that say where the figures come from
 * @returns {string} in Markdown
 */
export function renderReport(results, surroundings) {
  return [...renderTable([HEADINGS, ...results.map(cells)]), '', ...surroundings].join('\n');
}

/** @param {Result} result */
function cells({ dialect, operation, inFlight, peer, rates }) {
  const ratios = rates.ours.map((ours, round) => ours / (rates.peer[round] ?? Number.NaN));
  const [low, middle, high] = [Math.min(...ratios), median(ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2));
  return [
    dialect,
    operation,
    String(inFlight),
    count(median(rates.ours)),
    peer,
    count(median(rates.peer)),
    `${middle} [${low}–${high}]`,
  ];
}
