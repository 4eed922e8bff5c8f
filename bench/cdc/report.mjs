// The figures as tables: for a terminal, and for bench/README.md.
import { count, percent, renderTable } from '../readme-figures.mjs';
import { median } from '../snapshot/figures.mjs';

/** @typedef {{backlogs: import('./backlog.mjs').Backlog[], latencies: import('./latency.mjs').Latency[], larges: import('./large-transaction.mjs').Large[]}} Measured */

/**
 * @param {Measured} measured
 * @param {{date: string, machine: string}} surroundings
 * @returns {string} in Markdown
 */
export function renderReport({ backlogs, latencies, larges }, { date, machine }) {
  const sections = [
    table(['target', 'events', 'events/s', 'peer events/s', 'of the peer’s speed', 'CPU µs per event', 'memory above idle', 'peer'], backlogs.map(backlogCells)),
    table(['target', 'events/s written', 'commit to visible, p50', 'p99'], latencies.map(latencyCells)),
    table(['target', 'rows of one transaction', 'rows/s', 'resident memory', 'above idle'], larges.map(largeCells)),
  ];
  return [...sections.flat(), `Medians [lowest–highest], ${date}.`, `Machine: ${machine}.`].join('\n');
}

/**
 * @param {readonly string[]} headings
 * @param {readonly (readonly string[])[]} lines
 */
function table(headings, lines) {
  return lines.length === 0 ? [] : [...renderTable([headings, ...lines]), ''];
}

/** @param {import('./backlog.mjs').Backlog} backlog */
function backlogCells({ target, events, rounds, peer }) {
  const seconds = median(rounds.map(({ ours }) => ours.seconds));
  const peers = rounds.flatMap(({ peerSeconds }) => (peerSeconds === undefined ? [] : [peerSeconds]));
  const ratios = rounds.flatMap(({ ours, peerSeconds }) => (peerSeconds === undefined ? [] : [peerSeconds / ours.seconds]));
  const memories = rounds.flatMap(({ ours: { memory } }) => (memory === undefined ? [] : [memory.peak - memory.idle]));
  return [
    target,
    count(events),
    count(events / seconds),
    peers.length === 0 ? '–' : count(events / median(peers)),
    ratios.length === 0 ? '–' : `${percent(median(ratios))} [${percent(Math.min(...ratios))}–${percent(Math.max(...ratios))}]`,
    ((median(rounds.map(({ ours }) => ours.cpuSeconds)) / events) * 1e6).toFixed(1),
    memories.length === 0 ? '–' : megabytes(Math.max(...memories)),
    peer ?? '–',
  ];
}

/** @param {import('./latency.mjs').Latency} latency */
function latencyCells({ target, eventsPerSecond, p50, p99 }) {
  return [target, count(eventsPerSecond), `${p50.toFixed(0)} ms`, `${p99.toFixed(0)} ms`];
}

/** @param {import('./large-transaction.mjs').Large} large */
function largeCells({ target, rows, ours: { seconds, memory } }) {
  const [peak, above] = memory === undefined ? ['–', '–'] : [megabytes(memory.peak), megabytes(memory.peak - memory.idle)];
  return [target, count(rows), count(rows / seconds), peak, above];
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${String(Math.round(bytes / 1e6))} MB`;
}
