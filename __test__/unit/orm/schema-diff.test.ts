// What has changed between two versions of entities, and the statements for it.
import { diffSchemas, generateMigrationSQL } from 'replicaverse';
import type { EntityDeclaration } from 'replicaverse';
import { expect, test } from 'vitest';

const user: EntityDeclaration = {
  name: 'User',
  collection: 'users',
  fields: { email: { type: 'string', required: true }, age: { type: 'string' }, old: { type: 'number' } },
  indexes: [{ fields: ['email'], unique: true }],
};
const later: EntityDeclaration = {
  ...user,
  collection: 'people',
  fields: { email: { type: 'string', required: true }, age: { type: 'number' }, note: { type: 'text', required: true, default: "it's" } },
  indexes: [{ fields: { email: 'asc' }, unique: true }, { fields: { age: 'desc' } }],
  timestamps: true,
  softDelete: true,
  discriminator: 'kind',
};

test('every difference is one operation', () => {
  expect(diffSchemas([user, { name: 'Gone' }], [later, { name: 'New' }]).map(({ type }) => type)).toEqual([
    'addEntity',
    'removeEntity',
    'renameCollection',
    'alterField',
    'addField',
    'removeField',
    'addIndex',
    'addTimestamps',
    'addSoftDelete',
    'addDiscriminator',
  ]);
  expect(diffSchemas([later], [user]).map(({ type }) => type)).toEqual(
    expect.arrayContaining(['removeTimestamps', 'removeSoftDelete', 'removeDiscriminator', 'removeIndex']),
  );
});

test('what is the same is no difference', () => {
  expect(diffSchemas([user, later], [user, later])).toEqual([]);
  expect(diffSchemas([{ name: 'A' }], [{ name: 'A', collection: 'a', fields: {}, relations: {}, indexes: [], timestamps: false }])).toEqual([]);
});

test('statements name the table, and quote names and texts', () => {
  const statements = generateMigrationSQL(diffSchemas([user], [later]));
  expect(statements).toContain('ALTER TABLE "users" RENAME TO "people";');
  expect(statements).toContain(`ALTER TABLE "people" ADD COLUMN "note" TEXT NOT NULL DEFAULT 'it''s';`);
  expect(statements).toContain('ALTER TABLE "people" DROP COLUMN "old";');
  expect(statements).toContain('CREATE INDEX IF NOT EXISTS "idx_people_age" ON "people" ("age");');
  expect(statements).toContain('ALTER TABLE "people" ADD COLUMN "deletedAt" TIMESTAMP;');
  expect(generateMigrationSQL(diffSchemas([], [{ name: 'A', collection: 'x\n; DROP TABLE y' }]))).toEqual([
    '-- CREATE TABLE x ; DROP TABLE y: made by initSchema',
  ]);
  expect(generateMigrationSQL(diffSchemas([{ name: 'A', collection: 'a"b' }], []))).toEqual(['DROP TABLE IF EXISTS "a""b";']);
});
