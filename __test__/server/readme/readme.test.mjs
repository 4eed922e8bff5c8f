// Every snippet of the README is run, and prints what the README says.
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMongo, startPostgres } from '../../support/index.mjs';
import { commandsOf, runSnippet, snippetsOf } from './snippets.mjs';

const snippets = await snippetsOf('README.md');
/** @type {Awaited<ReturnType<typeof startPostgres>>} */
let postgres;
/** @type {Awaited<ReturnType<typeof startMongo>>} */
let mongo;

beforeAll(async () => {
  [postgres, mongo] = await Promise.all([startPostgres(), startMongo()]);
});

afterAll(async () => {
  await Promise.all([postgres.remove(), mongo.remove()]);
});

describe('the README', () => {
  it('has snippets to run', () => {
    expect(snippets.length).toBeGreaterThan(4);
  });

  it.each(snippets)('prints what it says under $title', async (snippet) => {
    const environment = { POSTGRES_URI: postgres.uri, MONGODB_URI: mongo.uri };
    const { status, output, errors } = await runSnippet(snippet, environment);
    expect({ status, output, errors }).toEqual({ status: 0, output: snippet.output, errors: '' });
  });

  it('names only npm scripts that exist', async () => {
    const { scripts } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'));
    const called = (await commandsOf('README.md')).flatMap((line) => /npm (?:run )?(test|demo|bench\S*)/.exec(line)?.[1] ?? []);
    expect(called.length).toBeGreaterThan(1);
    expect(Object.keys(scripts)).toEqual(expect.arrayContaining(called));
  });
});
