// What formatSql makes of a statement.
import { expect, test } from 'vitest';
import { formatStatement, highlightStatement } from '../../../dist/orm/statement-printing.js';

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

test('keywords are in a colour, quoted names and texts are not', () => {
  expect(highlightStatement(`SELECT "from" FROM t WHERE a = 'and'`)).toBe(
    `\u001b[34mSELECT\u001b[39m "from" \u001b[34mFROM\u001b[39m t \u001b[34mWHERE\u001b[39m a = 'and'`,
  );
  expect(highlightStatement('{"find":"values"}')).toBe('{"find":"values"}');
});
