// The rows of both ends of a soak run in one form, read without the replication that is tested.

/**
 * @typedef {Record<string, unknown>} Row
 * @typedef {Map<string, string>} Rows each row as text, by its key
 */

/**
 * @param {string} table
 * @param {readonly Row[]} rows with values as JSON has them
 * @returns {Rows}
 */
export function normalRows(table, rows) {
  return new Map(
    rows.map((row) => {
      const key = table === 'item' ? String(row.id) : `${String(row.a)},${String(row.b)}`;
      const fields = Object.entries(row).filter(([name, value]) => value !== null && value !== undefined && name !== '_id');
      const normal = fields.map(([name, value]) => [name, normalValue(name, value)]).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
      return [key, JSON.stringify(Object.fromEntries(normal))];
    }),
  );
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function normalValue(name, value) {
  switch (name) {
    case 'id':
    case 'b':
    case 'amount':
      return Number(value);
    case 'flag':
      return Boolean(value);
    case 'at':
      return instant(value);
    case 'data':
      return sorted(typeof value === 'string' ? JSON.parse(value) : value);
    default:
      return value;
  }
}

/** @param {unknown} value */
function instant(value) {
  if (value instanceof Date) return value.toISOString();
  const text = String(value).replace(' ', 'T');
  return new Date(/[zZ]$|[+-]\d\d(:?\d\d)?$/.test(text) ? text.replace(/([+-]\d\d)$/, '$1:00') : `${text}Z`).toISOString();
}

/**
 * JSON with its fields in order.
 * @param {unknown} value
 * @returns {unknown}
 */
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, part]) => /** @type {const} */ ([name, sorted(part)]));
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * The first difference between two sets of rows, in words; nothing if they are equal.
 * @param {Rows} source
 * @param {Rows} target
 * @returns {string | undefined}
 */
export function firstDifference(source, target) {
  for (const [key, row] of source) {
    const own = target.get(key);
    if (own === undefined) return `${key} is missing at the target`;
    if (own !== row) return `${key} is ${own.slice(0, 300)} and should be ${row.slice(0, 300)}`;
  }
  const extra = [...target.keys()].find((key) => !source.has(key));
  return extra === undefined ? undefined : `${extra} is only at the target`;
}
