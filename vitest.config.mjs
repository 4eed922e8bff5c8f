// Vitest: the unit suite needs no server; the server suite starts real ones, so it gets longer deadlines.
import { defineConfig } from 'vitest/config';

/** The built package is loaded by Node.js itself, as in an application, and not transformed by Vite. */
const server = { deps: { external: [/\/dist\//] } };

// A .ts file counts as CommonJS for the type check; a test that needs top-level await or a support module is .mts.
const tests = (/** @type {string} */ folder) => [`__test__/${folder}/**/*.test.{ts,mts,mjs}`];

export default defineConfig({
  test: {
    projects: [
      {
        test: { name: 'unit', include: tests('unit'), pool: 'forks', testTimeout: 20_000, server },
      },
      {
        test: {
          name: 'server',
          include: tests('server'),
          pool: 'forks',
          testTimeout: 60_000,
          hookTimeout: 120_000,
          server,
        },
      },
    ],
  },
});
