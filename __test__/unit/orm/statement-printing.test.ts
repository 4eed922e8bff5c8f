// What formatSql makes of a statement.
import { expect, test } from 'vitest';
import { formatStatement } from '../../../dist/orm/statement-printing.js';

test('each clause stands on a line of its own', () => {
  expect(formatStatement('SELECT "a" FROM "t" WHERE "b" = $1 ORDER BY "a" LIMIT 5')).toBe(
    'SELECT "a"\nFROM "t"\nWHERE "b" = $1\nORDER BY "a"\nLIMIT 5',
  );
});

test('quoted names and texts are left alone', () => {
  const statement = `UPDATE "from"\n  SET "where" = 'x FROM ''y'' LIMIT'`;
  expect(formatStatement(statement)).toBe(`UPDATE "from"\nSET "where" = 'x FROM ''y'' LIMIT'`);
});

test('a MongoDB command is left alone', () => {
  expect(formatStatement('{"find":"values"}')).toBe('{"find":"values"}');
});
