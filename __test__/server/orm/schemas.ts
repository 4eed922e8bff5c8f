// The entities of the ORM suites.
import type { EntityDeclaration } from 'replicaverse';

/** A person, with a field of every type. */
export const person: EntityDeclaration = {
  name: 'Person',
  collection: 'people',
  timestamps: true,
  fields: {
    name: { type: 'string', required: true },
    email: { type: 'string', unique: true, lowercase: true, trim: true },
    bio: { type: 'text' },
    age: { type: 'number' },
    active: { type: 'boolean', default: true },
    born: { type: 'date' },
    profile: { type: 'json' },
    tags: { type: 'array', arrayOf: 'string' },
    role: { type: 'string', enum: ['user', 'admin'], default: 'user' },
  },
  indexes: [{ fields: { name: 'asc', age: 'desc' }, unique: true }],
};

/** An entity whose rows are deleted softly. */
export const note: EntityDeclaration = {
  name: 'Note',
  collection: 'notes',
  softDelete: true,
  fields: { title: { type: 'string' }, pinned: { type: 'boolean' } },
};
