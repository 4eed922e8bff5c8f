// One line of progress: what a bar says at a width, and what remains of a collection when it is finished.
import { counted, duration, rate } from './formatting.mjs';

/**
 * How far one collection has come.
 * @typedef {object} Step
 * @property {string} collection
 * @property {number} rows so far
 * @property {number} [estimate] rows in all, where that is known
 * @property {boolean} done whether it is finished
 */

const NAME_WIDTH = 12;
const LONGEST_BAR = 30;
const SHORTEST_BAR = 6;
const GREEN = 32;

/**
 * A collection at work. What a narrow terminal has no room for is left out, the bar first.
 * @param {Step} step
 * @param {number} seconds since its start
 * @param {object} look
 * @param {number} look.width of the terminal, in characters
 * @param {boolean} [look.colors]
 * @returns {string}
 */
export function barLine({ collection, rows, estimate }, seconds, { width, colors = false }) {
  const name = `  ${collection.padEnd(NAME_WIDTH)}`.slice(0, width - 1);
  const speed = [counted(rows, 'row'), rate(rows, seconds)];
  // Estimates may be too low; what exceeds them is shown without an end.
  const hasEnd = estimate !== undefined && estimate > 0 && rows <= estimate;
  const part = hasEnd ? rows / estimate : 0;
  const percent = `${Math.floor(part * 100)} %`.padStart(5);
  const end = hasEnd ? [percent, ...speed, ...timeLeft(rows, estimate, seconds)] : speed;
  const text = fitting([name, ...end], width);
  const room = Math.min(LONGEST_BAR, width - text.length - 3);
  if (!hasEnd || room < SHORTEST_BAR) return text;
  const filled = Math.round(part * room);
  const bar = `${painted('█'.repeat(filled), colors)}${'░'.repeat(room - filled)}`;
  return `${name}  ${bar}${text.slice(name.length)}`;
}

/**
 * A finished collection. What a narrow terminal has no room for is left out.
 * @param {Step} step
 * @param {number} seconds it took
 * @param {object} [look]
 * @param {number} [look.width] of the terminal, in characters
 * @param {boolean} [look.colors]
 * @returns {string}
 */
export function summaryLine({ collection, rows }, seconds, { width = Infinity, colors = false } = {}) {
  const count = `${collection}: ${counted(rows, 'row')}`;
  const time = `in ${duration(seconds)}`;
  const line = [`${count} ${time} (${rate(rows, seconds)})`, `${count} ${time}`].find((text) => text.length + 2 < width) ?? count;
  return `${painted('✔', colors)} ${line}`;
}

/**
 * @param {number} rows
 * @param {number} estimate
 * @param {number} seconds
 * @returns {string[]}
 */
function timeLeft(rows, estimate, seconds) {
  return rows === 0 ? [] : [`ETA ${duration(((estimate - rows) * seconds) / rows)}`];
}

/**
 * As many of the parts, from the first, as the width holds.
 * @param {readonly string[]} parts
 * @param {number} width
 */
function fitting(parts, width) {
  let text = '';
  for (const part of parts) {
    const longer = text === '' ? part : `${text}  ${part}`;
    if (longer.length >= width) break;
    text = longer;
  }
  return text;
}

/**
 * @param {string} text
 * @param {boolean} colors
 */
function painted(text, colors) {
  return colors && text !== '' ? `\x1b[${GREEN}m${text}\x1b[39m` : text;
}
