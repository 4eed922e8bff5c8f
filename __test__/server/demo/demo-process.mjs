// Runs the demo as a child process, with all its temporary files in a folder of the test's own.
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { requireServer, serverEnvironment } from '../../../scripts/servers/index.mjs';
import { eventually } from '../../support/eventually.mjs';
import { belongsTo, listProcesses } from '../../support/processes.mjs';

const DEMO = fileURLToPath(new URL('../../../examples/demo/run.mjs', import.meta.url));

/**
 * @typedef {object} Outcome
 * @property {number | null} code
 * @property {NodeJS.Signals | null} signal
 * @property {string} stdout
 * @property {string} stderr
 */

/**
 * @typedef {object} Servers
 * @property {string} [mongodb] `own` to let the demo start one, `none`, or the URI of one that is running
 */

/** A folder that takes the temporary files of demos, and shows what they leave. */
export class DemoFolder {
  /** @type {Set<import('node:child_process').ChildProcess>} */
  #running = new Set();

  /** @param {string} path */
  constructor(path) {
    this.path = path;
  }

  static async make() {
    // A short path that servers running as another account may pass through.
    const path = await mkdtemp('/tmp/demo-test-');
    await chmod(path, 0o711);
    return new DemoFolder(path);
  }

  /**
   * Starts a demo.
   * @param {readonly string[]} args
   * @param {Servers} [servers]
   */
  async start(args, { mongodb = 'own' } = {}) {
    /** @type {import('../../../scripts/servers/index.mjs').FoundServers} */
    const found = { postgres: await requireServer('postgres'), missing: [] };
    if (mongodb === 'own') found.mongodb = await requireServer('mongodb');
    else if (mongodb !== 'none') found.mongodb = { uri: mongodb, source: 'the test' };
    const none = { PG_BIN: undefined, MONGOD_BINARY: undefined, MONGODB_URI: undefined };
    const env = { ...process.env, ...none, ...serverEnvironment(found), TMPDIR: this.path };
    const child = spawn(process.execPath, [DEMO, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => (stderr += text));
    const ended = new Promise((/** @type {(outcome: Outcome) => void} */ resolve) => {
      child.on('close', (code, signal) => {
        this.#running.delete(child);
        resolve({ code, signal, stdout, stderr });
      });
    });
    this.#running.add(child);
    return {
      ended,
      kill: (/** @type {NodeJS.Signals} */ signal) => child.kill(signal),
      /** Waits until the demo has printed the text. */
      async printed(/** @type {string} */ text) {
        await eventually(() => stdout.includes(text) || !this.isRunning(), { deadlineMs: 50_000, what: `the demo's text "${text}"` });
        if (!stdout.includes(text)) throw new Error(`the demo ended without the text "${text}":\n${stdout}${stderr}`);
      },
      isRunning: () => this.#running.has(child),
    };
  }

  /**
   * Runs a demo to its end.
   * @param {readonly string[]} args
   * @param {Servers} [servers]
   */
  async run(args, servers) {
    return (await this.start(args, servers)).ended;
  }

  /** What is left of the demos: processes that work in the folder, and files. */
  async leftovers() {
    const processes = listProcesses().filter((entry) => belongsTo(entry, [this.path]));
    // While it changes, reading may fail.
    const files = await readdir(this.path, { recursive: true }).catch(() => ['unreadable']);
    return [...processes.map(({ command }) => command), ...files];
  }

  /**
   * Right after a demo that ended in order: its servers and folders are gone. The reservations of ports are the
   * guardian's, who removes them when it has seen the process end.
   * @throws {Error} when something is left
   */
  async expectUndone() {
    const left = (await this.leftovers()).filter((name) => !name.startsWith('replicaverse-ports-'));
    if (left.length > 0) throw new Error(`left by the demo itself: ${left.slice(0, 10).join(', ')}`);
    await this.expectNothingLeft();
  }

  /** @throws {Error} when something stays */
  async expectNothingLeft() {
    const isEmpty = async () => {
      const left = await this.leftovers();
      if (left.length > 0) throw new Error(`left: ${left.slice(0, 10).join(', ')}`);
      return true;
    };
    await eventually(isEmpty, { deadlineMs: 20_000, what: 'the end of every server and the removal of every file' });
  }

  /** Ends the demos of a test that failed, and removes the folder. */
  async remove() {
    for (const child of this.#running) child.kill('SIGKILL');
    if (this.#running.size > 0) await this.expectNothingLeft();
    await rm(this.path, { recursive: true, force: true });
  }
}
