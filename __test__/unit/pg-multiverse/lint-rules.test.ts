// The rules of lint in the guide of migrations.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { lintRules } from '../../../dist/pg-multiverse.js';

it('the guide names every rule with its severity and its reason', () => {
  const guide = readFileSync(join(__dirname, '../../../docs/migrations.md'), 'utf8');
  const rows = lintRules().map(({ id, severity, reason }) => `| \`${id}\` | ${severity} | ${reason} |`);
  expect(rows.length).toBeGreaterThanOrEqual(30);
  expect(rows.filter((row) => !guide.includes(row))).toEqual([]);
});
