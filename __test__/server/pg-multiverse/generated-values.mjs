// Values of every built-in type as the server writes them, the same on every run.

/** A small generator of numbers (xorshift32). */
export class Numbers {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    this.#state = seed;
  }

  next() {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state;
  }

  /** @param {number} bound */
  below(bound) {
    return this.next() % bound;
  }

  /**
   * @template T
   * @param {readonly T[]} list
   * @returns {T}
   */
  of(list) {
    return /** @type {T} */ (list[this.below(list.length)]);
  }

  /** @param {number} digits */
  digits(digits) {
    return Array.from({ length: digits }, () => this.below(10)).join('');
  }
}

const LETTERS = ['a', 'Z', ' ', '"', '\\', "'", ',', '{', '}', '(', ')', '\n', '\t', 'é', 'ß', '€', '日本', '😀', '\u{10ffff}', '\u2028', '\u0301', 'NULL', 'null', '\ufeff', '0', '-'];

/** @param {Numbers} numbers */
function text(numbers) {
  return Array.from({ length: numbers.below(12) }, () => numbers.of(LETTERS)).join('');
}

/** @param {Numbers} numbers */
function float(numbers) {
  const mantissa = `${1 + numbers.below(9)}.${numbers.digits(numbers.below(17))}`;
  return `${numbers.of(['', '-'])}${mantissa}e${numbers.below(70) - 35}`;
}

/** @param {Numbers} numbers */
function numeric(numbers) {
  return `${numbers.of(['', '-'])}${numbers.digits(1 + numbers.below(40))}.${numbers.digits(numbers.below(30))}`;
}

/** @param {Numbers} numbers */
function day(numbers) {
  const year = numbers.of([1, 2, 44, 99, 100, 1582, 1883, 1900, 1969, 1970, 1999, 2000, 2004, 2024, 2037, 2038, 9999, 10000, 12345, 99999, 270000]);
  const month = 1 + numbers.below(12);
  const date = 1 + numbers.below(28);
  return `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}-${String(date).padStart(2, '0')}`;
}

/** @param {Numbers} numbers */
const era = (numbers) => (numbers.below(8) === 0 ? ' BC' : '');

/** @param {Numbers} numbers */
function clock(numbers) {
  const two = (/** @type {number} */ bound) => String(numbers.below(bound)).padStart(2, '0');
  const fraction = numbers.of(['', `.${numbers.digits(3)}`, `.${numbers.digits(6)}`, '.999999', '.000001']);
  return `${two(24)}:${two(60)}:${two(60)}${fraction}`;
}

/** A year before 4713 BC does not exist; 12345 BC would be one. */
const datable = (/** @type {string} */ value) => (/^\d{5,}.* BC$/.test(value) || /^(9999).* BC$/.test(value) ? value.replace(' BC', '') : value);

/** @param {Numbers} numbers */
const date = (numbers) => datable(`${day(numbers)}${era(numbers)}`);
/** @param {Numbers} numbers */
const timestamp = (numbers) => datable(`${day(numbers)} ${clock(numbers)}${era(numbers)}`);

/** @param {Numbers} numbers */
function interval(numbers) {
  const part = (/** @type {string} */ unit) => `${numbers.of(['', '-'])}${numbers.below(400)} ${unit}`;
  return [part('years'), part('months'), part('days'), part('hours'), part('minutes'), `${numbers.below(60)}.${numbers.digits(1 + numbers.below(6))} seconds`].filter(() => numbers.below(2) === 0).join(' ') || '0';
}

/**
 * @param {Numbers} numbers
 * @param {number} [depth]
 * @returns {unknown}
 */
function document(numbers, depth = 3) {
  switch (numbers.below(depth === 0 ? 5 : 7)) {
    case 0:
      return null;
    case 1:
      return numbers.below(2) === 1;
    case 2:
      return Number(float(numbers));
    case 3:
      return text(numbers);
    case 4:
      return numbers.next();
    case 5:
      return Array.from({ length: numbers.below(4) }, () => document(numbers, depth - 1));
    default:
      return Object.fromEntries(Array.from({ length: numbers.below(4) }, () => [numbers.of(['a', 'b', '', '__proto__', 'é"']), document(numbers, depth - 1)]));
  }
}

/** @param {Numbers} numbers */
const json = (numbers) => JSON.stringify(document(numbers));

/**
 * An array literal of some other values.
 *
 * @param {(numbers: Numbers) => string} element
 * @returns {(numbers: Numbers) => string}
 */
function arrayOf(element) {
  const one = (/** @type {Numbers} */ numbers) => (numbers.below(6) === 0 ? 'NULL' : `"${element(numbers).replace(/["\\]/g, '\\$&')}"`);
  return (numbers) => {
    const row = (/** @type {number} */ length) => `{${Array.from({ length }, () => one(numbers)).join(',')}}`;
    const length = numbers.below(4);
    if (length === 0 || numbers.below(4) > 0) return row(length);
    return `{${Array.from({ length: 1 + numbers.below(3) }, () => row(length)).join(',')}}`;
  };
}

/** @param {Numbers} numbers */
const integer = (numbers) => String((numbers.next() | 0) >> numbers.below(31));
/** @param {Numbers} numbers */
const smallint = (numbers) => String((numbers.next() << 16) >> (16 + numbers.below(15)));
/** @param {Numbers} numbers */
const bigint = (numbers) => String(BigInt.asIntN(64, (BigInt(numbers.next()) << 32n) | BigInt(numbers.next())) >> BigInt(numbers.below(63)));
/** @param {Numbers} numbers */
const point = (numbers) => `(${float(numbers)},${float(numbers)})`;
/** @param {Numbers} numbers */
const bytes = (numbers) => `\\x${Array.from({ length: numbers.below(20) }, () => numbers.below(256).toString(16).padStart(2, '0')).join('')}`;
/** @param {Numbers} numbers */
const bits = (numbers) => Array.from({ length: 1 + numbers.below(20) }, () => numbers.below(2)).join('');
/** @param {Numbers} numbers */
const hex = (/** @type {Numbers} */ numbers, /** @type {number} */ length) => Array.from({ length }, () => numbers.below(16).toString(16)).join('');
/** @param {Numbers} numbers */
const uuid = (numbers) => [8, 4, 4, 4, 12].map((length) => hex(numbers, length)).join('-');
/** @param {Numbers} numbers */
const inet = (numbers) => `${numbers.below(256)}.${numbers.below(256)}.0.${numbers.below(256)}${numbers.of(['', '/16'])}`;

/**
 * A range of two values in their order.
 *
 * @param {string} low
 * @param {string} high
 * @returns {(numbers: Numbers) => string}
 */
const range = (low, high) => (numbers) => numbers.of(['empty', `[${low},${high})`, `(${low},${high}]`, `[${low},)`, `(,${high})`, '(,)']);

/** @type {Record<string, { always: readonly string[], more?: (numbers: Numbers) => string }>} */
export const VALUES = {
  bool: { always: ['t', 'f'] },
  int2: { always: ['0', '-32768', '32767'], more: smallint },
  int4: { always: ['0', '-2147483648', '2147483647'], more: integer },
  int8: { always: ['0', '-1', '-9223372036854775808', '9223372036854775807', '9007199254740993'], more: bigint },
  oid: { always: ['0', '4294967295'], more: (numbers) => String(numbers.next()) },
  float4: { always: ['0', '-0', 'NaN', 'Infinity', '-Infinity', '3.4028235e38', '1e-45', '1.1754944e-38', '0.1', '16777216', '67108896', '9.5367431640625e-7'], more: float },
  float8: { always: ['0', '-0', 'NaN', 'Infinity', '-Infinity', '1.7976931348623157e308', '5e-324', '0.1', '9007199254740993', '1e21', '1e-7'], more: float },
  numeric: { always: ['0', 'NaN', 'Infinity', '-Infinity', '0.00', '1e400', '1e-400', '-0.0'], more: numeric },
  money: { always: ['0', '-1.5', '92233720368547758.07'] },
  text: { always: ['', ' ', 'NULL'], more: text },
  varchar: { always: [''], more: text },
  bpchar: { always: ['', 'a  '], more: text },
  name: { always: ['', 'a'] },
  '"char"': { always: ['', 'a'] },
  bytea: { always: ['', '\\x', '\\x00ff'], more: bytes },
  date: { always: ['infinity', '-infinity', '0001-01-01', '0001-12-31 BC', '4713-01-01 BC', '5874897-12-31', '275760-09-13', '0099-12-31', '0100-01-01', '1582-10-15'], more: date },
  timestamp: { always: ['infinity', '-infinity', '0001-01-01 00:00:00', '0001-02-29 12:00:00 BC', '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59.999999', '1969-12-31 23:59:59.999999', '2024-03-10 02:30:00', '2024-11-03 01:30:00'], more: timestamp },
  timestamptz: { always: ['infinity', '-infinity', '0001-06-01 00:00:00+00', '4713-06-01 00:00:00+00 BC', '1969-12-31 23:59:59.999999+00', '2024-03-10 02:30:00-03:30', '1880-01-01 00:00:00+00'], more: (numbers) => timestamp(numbers).replace(/( BC)?$/, `${numbers.of(['+00', '-03:30', '+05:30', '+14'])}$1`) },
  time: { always: ['00:00:00', '24:00:00'], more: clock },
  timetz: { always: ['00:00:00+00'], more: (numbers) => `${clock(numbers)}${numbers.of(['+00', '-03:30', '+05:30'])}` },
  interval: { always: ['0', '-1 day', '1.5 seconds', '-00:00:00.000001', '178000000 years'], more: interval },
  json: { always: ['null', '""', '{}', '[]', ' [1 , 2]\n', '1e400', '{"a":1,"a":2}', '"\\ud83d"', '{"__proto__": 1}'], more: json },
  jsonb: { always: ['null', '""', '{}', '[]', '{"b":1,"a":2}', '{"__proto__": {"x": 1}}'], more: json },
  uuid: { always: ['00000000-0000-0000-0000-000000000000'], more: uuid },
  xml: { always: ['<a>é</a>'] },
  inet: { always: ['127.0.0.1', '::1', '10.0.0.0/8'], more: inet },
  cidr: { always: ['10.0.0.0/8', '2001:db8::/32'] },
  macaddr: { always: ['08:00:2b:01:02:03'] },
  macaddr8: { always: ['08:00:2b:01:02:03:04:05'] },
  bit: { always: ['1', '0'] },
  varbit: { always: ['', '101'], more: bits },
  point: { always: ['(0,0)', '(-0,NaN)', '(Infinity,1e300)'], more: point },
  circle: { always: ['<(1,2),3>', '<(-1.5,2e10),0>'], more: (numbers) => `<${point(numbers)},${numbers.below(1000)}.5>` },
  line: { always: ['{1,2,3}'] },
  lseg: { always: ['[(1,2),(3,4)]'] },
  box: { always: ['(3,4),(1,2)'] },
  path: { always: ['[(1,2),(3,4)]', '((1,2),(3,4))'] },
  polygon: { always: ['((1,2),(3,4),(5,6))'] },
  tsvector: { always: ["'a':1 'b':2"] },
  tsquery: { always: ["'a' & 'b'"] },
  pg_lsn: { always: ['0/0', 'FFFFFFFF/FFFFFFFF'] },
  regclass: { always: ['pg_class'] },
  int4range: { always: [], more: range('1', '10') },
  int8range: { always: [], more: range('-5', '9223372036854775806') },
  numrange: { always: [], more: range('1.5', '2.25') },
  daterange: { always: [], more: range('2020-01-01', '2021-01-01') },
  tsrange: { always: [], more: range('"2020-01-01 00:00:00"', '"2021-01-01 00:00:00"') },
  tstzrange: { always: [], more: range('"2020-01-01 00:00:00+00"', '"2021-01-01 00:00:00+00"') },
  int4multirange: { always: ['{}', '{[1,3),[5,9)}'] },
  'bool[]': { always: ['{}', '{t,f,NULL}'], more: arrayOf((numbers) => numbers.of(['t', 'f'])) },
  'int2[]': { always: ['{}'], more: arrayOf(smallint) },
  'int4[]': { always: ['{}', '[0:1]={1,2}', '{{{1}}}'], more: arrayOf(integer) },
  'int8[]': { always: ['{}'], more: arrayOf(bigint) },
  'oid[]': { always: ['{}'], more: arrayOf((numbers) => String(numbers.next())) },
  'float4[]': { always: ['{NaN,Infinity,-0}'], more: arrayOf(float) },
  'float8[]': { always: ['{NaN,Infinity,-0}'], more: arrayOf(float) },
  'numeric[]': { always: ['{}'], more: arrayOf(numeric) },
  'text[]': { always: ['{}', '{"","NULL",NULL}'], more: arrayOf(text) },
  'varchar[]': { always: ['{}'], more: arrayOf(text) },
  'bytea[]': { always: ['{}'], more: arrayOf(bytes) },
  'date[]': { always: ['{infinity}'], more: arrayOf(date) },
  'timestamp[]': { always: ['{infinity}'], more: arrayOf(timestamp) },
  'timestamptz[]': { always: ['{infinity}'], more: arrayOf((numbers) => `${timestamp(numbers)}`) },
  'interval[]': { always: ['{}'], more: arrayOf(interval) },
  'json[]': { always: ['{}'], more: arrayOf(json) },
  'jsonb[]': { always: ['{}'], more: arrayOf(json) },
  'uuid[]': { always: ['{}'], more: arrayOf(uuid) },
  'point[]': { always: ['{}'], more: arrayOf(point) },
  'inet[]': { always: ['{}'], more: arrayOf(inet) },
  'money[]': { always: ['{1,2}'] },
  'int4range[]': { always: ['{}'], more: arrayOf(range('1', '10')) },
  'circle[]': { always: ['{"<(1,2),3>"}'] },
};

/**
 * Literals of a type, NULL among them.
 *
 * @param {string} type
 * @param {number} count how many there are besides those that are always there
 * @returns {(string | null)[]}
 */
export function literalsOf(type, count) {
  const { always, more } = /** @type {NonNullable<typeof VALUES[string]>} */ (VALUES[type]);
  const numbers = new Numbers(0x9e3779b9);
  const generated = more === undefined ? [] : Array.from({ length: count }, () => more(numbers));
  return [...always, null, ...generated, null];
}
