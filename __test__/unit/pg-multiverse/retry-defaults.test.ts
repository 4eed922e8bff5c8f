// How often a query is tried again: as the instance says, unless the call does.
import { expect, it } from 'vitest';
import type { EngineClient } from '../../../dist/pg-multiverse/engine-client.js';
import { QueryRunner } from '../../../dist/pg-multiverse/query-running.js';
import type { RequestParts } from '../../../dist/pg-multiverse/request-writer.js';
import type { QueryOptions } from '../../../dist/pg-multiverse/types.js';

it.each<{ options: QueryOptions | undefined; attempts: number; delay: number }>([
  { options: undefined, attempts: 7, delay: 250 },
  { options: { timeout: 5 }, attempts: 7, delay: 250 },
  { options: { retryAttempts: 0 }, attempts: 0, delay: 250 },
  { options: { retryAttempts: 2, retryDelay: 0 }, attempts: 2, delay: 0 },
])('asks for retryAttempts and retryDelay of the instance or of the call: $options', ({ options, attempts, delay }) => {
  const sent: RequestParts[] = [];
  const engine = { submit: (_query: unknown, _text: string, _values: unknown, _route: unknown, parts: RequestParts) => sent.push(parts) };
  const runner = new QueryRunner(engine as unknown as EngineClient, { retryAttempts: 7, retryDelay: 250 }, () => undefined);
  void runner.query('SELECT 1', [], options);
  expect(sent).toMatchObject([{ retryAttempts: attempts, retryDelay: delay }]);
});
