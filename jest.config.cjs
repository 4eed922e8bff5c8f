// Jest for the smoke suite: the package must also load inside Jest's own module system.
/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  // Nothing else is searched for tests or modules: the platform packages and build folders are none of Jest's.
  roots: ['<rootDir>/__test__/smoke'],
  testMatch: ['<rootDir>/__test__/smoke/*.jest.cjs'],
  transform: {},
  testTimeout: 30_000,
};
