// What must hold wherever the package is loaded: each behaviour runs under Vitest (threads and forks) and under Jest.
const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const path = require('node:path');
const { promisify } = require('node:util');
const { Worker } = require('node:worker_threads');

const ROOT = path.join(__dirname, '..', '..');
const { exports: EXPORTS, name: PACKAGE } = require('../../package.json');
const ENTRIES = Object.entries(EXPORTS)
  .filter(([, target]) => typeof target === 'object')
  .map(([path]) => path.replace(/^\./, PACKAGE));

/** @type {Record<string, string[]>} */
const NAMES = {
  mproject: ['ProjectManager'],
  orm: ['EntityService', 'BaseRepository', 'createConnection', 'getDialect', 'registerDialect', 'createDatabase', 'getConfigFromEnv'],
  replicator: ['ReplicationManager', 'SyncEngine', 'CDCListener', 'SchemaMapper'],
};

/** A process still alive after this many milliseconds is held by the addon. */
const EXIT_DEADLINE = 20_000;

const run = promisify(execFile);

/**
 * Runs a script in a Node.js process of its own and gives what it printed.
 *
 * @param {'commonjs' | 'module'} type
 * @param {string} script
 */
async function nodeOutput(type, script) {
  const { stdout } = await run(process.execPath, [`--input-type=${type}`, '--eval', script], {
    cwd: ROOT,
    timeout: EXIT_DEADLINE,
  });
  return stdout.trim();
}

/** @param {string} script */
function workerMessage(script) {
  return new Promise((settle, fail) => {
    const worker = new Worker(script, { eval: true });
    /** @type {unknown} */
    let message;
    worker.on('message', (value) => (message = value));
    worker.on('error', fail);
    worker.on('exit', (code) => (code === 0 ? settle(message) : fail(new Error(`the worker ended with ${code}`))));
  });
}

/**
 * Each behaviour by its name, with the function that throws when it does not hold.
 *
 * @type {Record<string, () => Promise<void>>}
 */
module.exports = {
  'require() gives the package and each of its sub-paths': async () => {
    for (const entry of ENTRIES) assert.equal(typeof require(entry), 'object', entry);
    assert.ok(Object.keys(require(PACKAGE)).length > 0);
  },

  'import() gives the same names as require(), for the package and each of its sub-paths': async () => {
    for (const entry of ENTRIES) {
      const names = Object.keys(require(entry)).filter((name) => name !== '__esModule');
      assert.deepEqual(Object.keys(await import(entry)).sort(), names.sort(), entry);
    }
  },

  'a class is the same class by import() and by require(), from the package and from its sub-paths': async () => {
    const root = require(PACKAGE);
    for (const entry of ENTRIES) {
      const required = require(entry);
      const imported = await import(entry);
      for (const name of Object.keys(imported)) {
        assert.equal(imported[name], required[name], `${entry}: ${name}`);
        if (name !== 'default' && name in root) assert.equal(required[name], root[name], `${entry}: ${name}`);
      }
    }
  },

  'each sub-path has the names that applications import from it': async () => {
    for (const [entry, names] of Object.entries(NAMES)) {
      const exported = require(`${PACKAGE}/${entry}`);
      for (const name of names) {
        assert.equal(typeof exported[name], 'function', `${entry}: ${name}`);
        assert.equal(require(PACKAGE)[name], exported[name], name);
      }
    }
  },

  'the addon loads in several worker threads, and each of them ends': async () => {
    const script = `require('node:worker_threads').parentPort.postMessage(Object.keys(require('${PACKAGE}')).length)`;
    const counts = await Promise.all([1, 2, 3].map(() => workerMessage(script)));
    for (const count of counts) assert.ok(Number(count) > 0);
  },

  'the addon loads in a worker thread after the main thread has loaded it': async () => {
    const script = `
      const { Worker } = require('node:worker_threads');
      const names = Object.keys(require('${PACKAGE}')).join();
      const worker = new Worker("require('node:worker_threads').parentPort.postMessage(Object.keys(require('${PACKAGE}')).join())", { eval: true });
      worker.on('message', (inWorker) => console.log(inWorker === names));`;
    assert.equal(await nodeOutput('commonjs', script), 'true');
  },

  'a CommonJS process that has loaded the package exits by itself': async () => {
    assert.equal(await nodeOutput('commonjs', `require('${PACKAGE}'); console.log('loaded')`), 'loaded');
  },

  'an ES module process that has loaded the package exits by itself': async () => {
    assert.equal(await nodeOutput('module', `await import('${PACKAGE}'); console.log('loaded')`), 'loaded');
  },
};
