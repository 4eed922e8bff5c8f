// An entity with a field of every type, and rows with the values that are easily lost on the way.
import type { EntityDeclaration } from 'replicaverse';

export const THING: EntityDeclaration = {
  name: 'Thing',
  collection: 'things',
  fields: {
    name: { type: 'string' },
    note: { type: 'text' },
    amount: { type: 'number' },
    ok: { type: 'boolean' },
    born: { type: 'date' },
    extra: { type: 'json' },
    tags: { type: 'array' },
  },
  timestamps: true,
};

export interface Thing {
  id: string;
  name: string | null;
  note: string | null;
  amount: number | null;
  ok: boolean | null;
  born: Date | null;
  extra: unknown;
  tags: unknown[] | null;
  createdAt: Date;
  updatedAt: Date;
}

const at = new Date('2024-02-29T12:34:56.789Z');

/** Rows that hold what is easily lost: empty texts beside NULL, quotes, line breaks, old dates, long numbers. */
export const THINGS: Thing[] = [
  thing('a', { name: '', note: 'two\r\nlines, "quoted"; and a comma', amount: 0.1 + 0.2, ok: true, born: new Date(-1), extra: { deep: [{ a: null, b: '' }] }, tags: ['', 'x,y', 1] }),
  thing('b', { name: null, note: '', amount: -0.5, ok: false, born: new Date('1066-10-14T00:00:00.000Z'), extra: [], tags: [] }),
  thing('c', { name: ' spaced ', note: '\\N \\. \' " ` $$ \t', amount: 1e300, ok: null, born: null, extra: 'text', tags: null }),
  thing('d', { name: '007', note: 'base64:AA==', amount: 9007199254740991, ok: true, born: new Date(8.64e15), extra: 12.5, tags: [[1, [2]]] }),
  thing('é😀', { name: 'null', note: 'NULL', amount: null, ok: null, born: at, extra: null, tags: null }),
  thing("o'b;--", { name: '{"a":1}', note: '[1,2]', amount: 5e-324, ok: false, born: at, extra: { 'k"': 'é\u2028' }, tags: [{}] }),
];

/** The last moment that a DATETIME of MariaDB holds. */
const LAST_OF_MARIADB = new Date('9999-12-31T23:59:59.999Z');

/** The rows as databases of these dialects can all hold them. */
export function thingsFor(dialects: readonly string[]): Thing[] {
  if (!dialects.includes('mariadb')) return THINGS;
  return THINGS.map((row) => (row.born !== null && row.born > LAST_OF_MARIADB ? { ...row, born: LAST_OF_MARIADB } : row));
}

function thing(id: string, fields: Omit<Thing, 'id' | 'createdAt' | 'updatedAt'>): Thing {
  return { id, ...fields, createdAt: at, updatedAt: at };
}
