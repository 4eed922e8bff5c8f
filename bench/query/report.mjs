// The figures of the query benchmark as tables.
import { count, renderTable } from '../readme-figures.mjs';
import { median } from '../snapshot/figures.mjs';
import { CLIENTS } from './clients.mjs';

/**
 * @typedef {object} Result
 * @property {import('./cases.mjs').Case} measured
 * @property {import('./measure.mjs').Turn[][]} turns for each client
 */

/**
 * @param {readonly Result[]} results
 * @param {readonly number[]} memory of each client, in megabytes
 * @param {readonly string[]} surroundings lines that say where the figures come from
 * @returns {string} in Markdown
 */
export function renderReport(results, memory, surroundings) {
  const rates = [['case', 'in flight', ...CLIENTS.map((name) => `${name}, calls/s`), ...CLIENTS.slice(1).map((name) => `times ${name}`)], ...results.map(rateCells)];
  const costs = [
    ['case', 'in flight', ...CLIENTS.map((name) => `${name}: µs of main thread / of process`), ...CLIENTS.map((name) => `${name}: longest gap, ms`)],
    ...results.map(costCells),
  ];
  const peaks = memory.length === 0 ? [] : ['', `Peak memory above idle while 100,000 rows are read: ${CLIENTS.map((name, at) => `${name} ${Math.round(memory[at] ?? 0)} MB`).join(', ')}.`];
  return [...renderTable(rates), '', ...renderTable(costs), ...peaks, '', ...surroundings].join('\n');
}

/** @param {Result} result */
function rateCells({ measured, turns }) {
  const [ours = [], ...others] = turns;
  const ratios = others.map((theirs) => {
    const each = ours.map(({ rate }, round) => rate / (theirs[round]?.rate ?? Number.NaN));
    const [low, middle, high] = [Math.min(...each), median(each), Math.max(...each)].map((ratio) => ratio.toFixed(2));
    return `${middle} [${low}–${high}]`;
  });
  return [measured.name, String(measured.inFlight), ...turns.map((own) => short(median(own.map(({ rate }) => rate)))), ...ratios];
}

/** @param {number} rate */
function short(rate) {
  return rate < 100 ? rate.toFixed(1) : count(rate);
}

/** @param {Result} result */
function costCells({ measured, turns }) {
  const cpu = turns.map((own) => `${short(median(own.map(({ mainCpu }) => mainCpu)))} / ${short(median(own.map(({ processCpu }) => processCpu)))}`);
  const gaps = turns.map((own) => median(own.map(({ longestGap }) => longestGap)).toFixed(1));
  return [measured.name, String(measured.inFlight), ...cpu, ...gaps];
}
