// The entity that is read and written, and its rows.

/** How many rows the table holds, which is also what a list returns. */
export const ROWS = 10_000;

/** @type {import('replicaverse').EntityDeclaration} */
export const PERSON = {
  name: 'BenchPerson',
  collection: 'bench_people',
  fields: {
    name: { type: 'string', required: true },
    email: { type: 'string' },
    age: { type: 'number' },
    score: { type: 'number' },
    active: { type: 'boolean' },
    born: { type: 'date' },
    bio: { type: 'text' },
    city: { type: 'string' },
    address: { type: 'json' },
  },
};

/** The columns of the table, in its order. */
export const COLUMNS = ['id', ...Object.keys(PERSON.fields ?? {})];

/** @typedef {{id: string, name: string, email: string, age: number, score: number, active: boolean, born: Date, bio: string, city: string, address: object}} Person */

/**
 * @param {number} number
 * @returns {Person}
 */
export function person(number) {
  return {
    id: idOf(number),
    name: `Zoë Müller ${number}`,
    email: `zoe.${number}@example.org`,
    age: number % 90,
    score: number / 7,
    active: number % 3 === 0,
    born: new Date(Date.UTC(1950, 0, 1) + number * 86_400_000),
    bio: 'She reads, writes and reckons; and on Sundays she does none of these.',
    city: ['Oran', 'Lyon', 'Kraków', 'Graz'][number % 4] ?? '',
    address: { street: `Lindenallee ${number % 200}`, code: String(10_000 + (number % 90_000)) },
  };
}

/**
 * @param {number} number
 * @returns {string}
 */
export function idOf(number) {
  return `person-${String(number).padStart(9, '0')}`;
}

let lastId = ROWS;

/** A row that no table holds yet. */
export function newPerson() {
  lastId += 1;
  return person(lastId);
}
