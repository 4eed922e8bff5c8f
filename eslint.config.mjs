// ESLint: the type-checked rules of typescript-eslint over the library, its tests and the scripts.
import eslint from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  {
    ignores: ['dist/', 'target/', 'node_modules/', 'coverage/', 'npm/', 'native.d.ts', '.servers/'],
  },
  eslint.configs.recommended,
  tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: './tsconfig.json',
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { prefer: 'type-imports', disallowTypeAnnotations: false }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // Implementing a promise-returning interface with a body that has nothing to await is ordinary.
      '@typescript-eslint/require-await': 'off',
      // TypeScript itself reports undefined names, and knows Node's globals.
      'no-undef': 'off',
    },
  },
  {
    // What a command prints is its product; tests start processes that report by printing.
    files: ['scripts/**', 'examples/**', 'bench/**', '__test__/**'],
    rules: { 'no-console': 'off' },
  },
  {
    // JSDoc cannot narrow what JSON.parse gives without a cast at every use, and tests look at values from outside
    // the type system and pass wrong ones on purpose.
    files: ['**/*.mjs', '**/*.cjs', '__test__/**'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
  {
    files: ['**/*.cjs', '__test__/**'],
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
);
