// The figures as tables: for a terminal, and for bench/README.md.
import { count, percent, renderTable } from '../readme-figures.mjs';
import { median } from '../snapshot/figures.mjs';

/**
 * @param {readonly import('./reading.mjs').Reading[]} readings
 * @param {readonly import('./fan-out.mjs').Fan[]} fans
 * @param {{date: string, machine: string}} surroundings
 * @returns {string} in Markdown
 */
export function renderReport(readings, fans, { date, machine }) {
  const reading = [['source', 'events', 'applied to SQLite, events/s', 'read by the peer, events/s', 'of the peer’s speed', 'CPU µs per event', 'peer'], ...readings.map(readingCells)];
  const fan = [['rules of one PostgreSQL', 'readers of its log', 'events/s to each', 'CPU of the readers, µs per event'], ...fans.map(fanCells)];
  return [...renderTable(reading), '', ...renderTable(fan), '', `Medians [lowest–highest], ${date}.`, `Machine: ${machine}; the servers run on it as well.`].join('\n');
}

/** @param {import('./reading.mjs').Reading} reading */
function readingCells({ source, events, rounds }) {
  const ratios = rounds.map(({ ours, peerSeconds }) => peerSeconds / ours.seconds);
  return [
    source.dialect,
    count(events),
    count(events / median(rounds.map(({ ours }) => ours.seconds))),
    count(events / median(rounds.map(({ peerSeconds }) => peerSeconds))),
    `${percent(median(ratios))} [${percent(Math.min(...ratios))}–${percent(Math.max(...ratios))}]`,
    ((median(rounds.map(({ ours }) => ours.cpuSeconds)) / events) * 1e6).toFixed(1),
    source.peer,
  ];
}

/** @param {import('./fan-out.mjs').Fan} fan */
function fanCells({ rules, readers, events, seconds, readerSeconds }) {
  const cost = readerSeconds === undefined ? '–' : ((readerSeconds / events) * 1e6).toFixed(1);
  return [String(rules), String(readers), count(events / seconds), cost];
}
