// Decodes three rows and prints their entries; run by the test of row decoding.
const { generateDecoder } = require('../../../dist/pg-multiverse/row-decoding.js');
const { Packing } = require('../../../dist/pg-multiverse/shapes.js');

const column = (/** @type {string} */ name, /** @type {number} */ packing, /** @type {((text: string) => unknown) | undefined} */ parser = undefined) => ({ name, packing, dataTypeID: 0, parser });
const columns = [
  column('a', Packing.int),
  column('__proto__', Packing.text),
  column('"]: 1', Packing.bool),
  column('constructor', Packing.oid),
  column('twice', Packing.text),
  column('twice', Packing.text, (text) => text.toLowerCase()),
  column('j', Packing.json),
  column('b', Packing.bytes),
];
// A word of null bits, then a word for each column but the JSON.
const words = Int32Array.from([
  [0, 1, 1, 1, -1, 6, 10, 2],
  [0b111, 0, -1, 0, 0, -1, -1, -1],
  [0, -5, 10, 0, 0, 10, 11, 2],
].flat());
const packed = {
  count: 3,
  words,
  word: 0,
  doubles: new Float64Array(0),
  double: 0,
  bytes: Buffer.from([1, 2]),
  byte: 0,
  text: 'xFIRSTLASTÉ',
  json: [{ k: 1 }, null, [2]],
};
/** @type {object[]} */
const rows = [];
generateDecoder(/** @type {never} */ (columns), false)(packed, rows);
const shown = (/** @type {unknown} */ value) => (typeof value === 'number' && (value >= 0 && value !== 1) ? `Number ${value}` : Buffer.isBuffer(value) ? `Buffer ${value.toString('hex')}` : value);
console.log(JSON.stringify(rows.map((row) => Object.entries(row).map(([name, value]) => [name, shown(value)]))));
