// Vitest for the smoke suite, which is run once with `--pool threads` and once with `--pool forks`.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['__test__/smoke/*.test.mjs'],
    testTimeout: 30_000,
    // The built package is loaded by Node.js itself, as in an application, and not transformed by Vite.
    server: { deps: { external: [/\/dist\//] } },
  },
});
