// From rounds to figures.

/**
 * @typedef {object} Figures
 * @property {number} oursRowsPerSecond of the median round
 * @property {number | undefined} peerRowsPerSecond of the median round
 * @property {{median: number, min: number, max: number} | undefined} ratio the library's speed in terms of the peer's,
 *   round by round
 * @property {number} cpuSeconds of the library's process, in the median round
 * @property {number | undefined} peakBytes the most resident memory above idle in any round
 */

/**
 * @param {import('./measure.mjs').Result} result
 * @returns {Figures}
 */
export function figuresOf({ rows, rounds }) {
  const peers = rounds.flatMap(({ peer }) => (peer === undefined ? [] : [peer.seconds]));
  const ratios = rounds.flatMap(({ ours, peer }) => (peer === undefined ? [] : [peer.seconds / ours.seconds]));
  const peaks = rounds.flatMap(({ ours }) => (ours.memory === undefined ? [] : [ours.memory.peak - ours.memory.idle]));
  return {
    oursRowsPerSecond: rows / median(rounds.map(({ ours }) => ours.seconds)),
    peerRowsPerSecond: peers.length === 0 ? undefined : rows / median(peers),
    ratio: ratios.length === 0 ? undefined : { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) },
    cpuSeconds: median(rounds.map(({ ours }) => ours.cpuSeconds)),
    peakBytes: peaks.length === 0 ? undefined : Math.max(...peaks),
  };
}

/**
 * @param {readonly number[]} values at least one
 * @returns {number} the middle one, or the mean of the two in the middle
 */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const [low, high] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  if (low === undefined || high === undefined) throw new RangeError('there is no median of nothing');
  return (low + high) / 2;
}
