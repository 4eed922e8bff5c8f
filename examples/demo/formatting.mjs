// How numbers, durations, lists and tables are written for a person.
const NUMBERS = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/**
 * @param {number} value
 * @returns {string} such as `231,083`
 */
export function number(value) {
  return NUMBERS.format(value);
}

/**
 * @param {number} count
 * @param {string} singular
 * @returns {string} such as `1 row` or `5 rows`
 */
export function counted(count, singular) {
  return `${number(count)} ${singular}${count === 1 ? '' : 's'}`;
}

/**
 * @param {number} seconds
 * @returns {string} such as `0.4 s`, `12 s` or `3 min 5 s`
 */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${number(Math.floor(whole / 60))} min ${whole % 60} s`;
}

/**
 * @param {number} rows
 * @param {number} seconds
 * @returns {string} such as `84,000 rows/s`
 */
export function rate(rows, seconds) {
  return `${number(rows / Math.max(seconds, 0.001))} rows/s`;
}

/**
 * @param {readonly string[]} items
 * @returns {string} such as `a, b and c`
 */
export function listed(items) {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/**
 * Lines of cells with aligned columns: numbers to the right, everything else to the left.
 * @param {readonly (readonly (string | number)[])[]} rows the first one is the heading
 * @returns {string[]} without trailing spaces
 */
export function alignedTable(rows) {
  const texts = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? number(cell) : cell)));
  const columns = (rows[0] ?? []).map((_, column) => ({
    width: Math.max(...texts.map((row) => (row[column] ?? '').length)),
    isNumeric: rows.slice(1).some((row) => typeof row[column] === 'number'),
  }));
  return texts.map((row) => {
    const cells = columns.map(({ width, isNumeric }, column) => {
      const text = row[column] ?? '';
      return isNumeric ? text.padStart(width) : text.padEnd(width);
    });
    return `  ${cells.join('  ')}`.trimEnd();
  });
}
