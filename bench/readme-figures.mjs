// Tables of figures: for a terminal, and in their places in bench/README.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { median } from './snapshot/figures.mjs';

const README = new URL('README.md', import.meta.url);
const END = '<!-- end of figures -->';

/**
 * A Markdown table with its columns aligned; the first line holds the headings.
 * @param {readonly (readonly string[])[]} lines
 * @returns {string[]}
 */
export function renderTable(lines) {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const rendered = lines.map((line) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  rendered.splice(1, 0, `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`);
  return rendered;
}

/**
 * Replaces the figures of one benchmark in bench/README.md.
 * @param {string} script the npm script that writes them
 * @param {string} report
 * @throws {Error} when the file has lost the place for them
 */
export function writeReadme(script, report) {
  const marker = `<!-- figures: written by npm run ${script} -- --write -->`;
  const text = readFileSync(README, 'utf8');
  const begin = text.indexOf(marker);
  const end = begin < 0 ? -1 : text.indexOf(END, begin);
  if (end < 0) throw new Error(`bench/README.md has no place for the figures of ${script}`);
  writeFileSync(README, `${text.slice(0, begin)}${marker}\n${report}\n${text.slice(end)}`);
}

/** @param {number} value */
export function count(value) {
  return Math.round(value).toLocaleString('en-US');
}

/** @param {number} ratio */
export function percent(ratio) {
  return `${Math.round(ratio * 100)} %`;
}

/**
 * The median, with the lowest and the highest.
 *
 * @param {readonly number[]} values
 */
export function spread(values, digits = 0) {
  return `${median([...values]).toFixed(digits)} [${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)}]`;
}
