// A server that listens on one reserved port: started, stopped, killed and started again on the same port.
import { eventually } from './eventually.mjs';
import { reservePort } from './free-port.mjs';
import { PortTakenError, launch } from './server-process.mjs';

/**
 * @typedef {object} ServerDescription
 * @property {string} name for error messages
 * @property {import('./server-folder.mjs').ServerFolder} folder
 * @property {import('./account.mjs').Account | undefined} account the server runs as, if it is another
 * @property {NodeJS.Signals} endSignal what ends it at once without leaving anything outside its folder
 * @property {(port: number) => {program: string, args: string[]}} command
 * @property {(port: number, pid: number) => Promise<boolean>} isReady
 */

const PORT_ATTEMPTS = 5;

/** A server process with its port and its folder. */
export class ServerOnPort {
  /** @type {ServerDescription} */
  #description;
  /** @type {import('./server-process.mjs').ServerProcess | undefined} */
  #process;
  /** @type {import('./free-port.mjs').ReservedPort | undefined} */
  #reserved;

  host = '127.0.0.1';

  /** @param {ServerDescription} description */
  constructor(description) {
    this.#description = description;
  }

  /** @returns {number} the TCP port; zero before the first start */
  get port() {
    return this.#reserved?.port ?? 0;
  }

  /** The data folder. */
  get dataDir() {
    return this.#description.folder.data;
  }

  /** The file that gets the server's output. */
  get logFile() {
    return this.#description.folder.log;
  }

  /** The server's process id; undefined while it is stopped. */
  get pid() {
    return this.#process?.isRunning() === true ? this.#process.pid : undefined;
  }

  /**
   * Starts the server and waits until it accepts connections.
   * @returns {Promise<void>}
   * @throws {Error} with the last lines of the log when it does not start
   */
  async start() {
    if (this.pid !== undefined) return;
    if (this.#reserved === undefined) await this.#startOnNewPort();
    else await this.#startOnPort(this.#reserved.port);
  }

  /**
   * Kills the server and its children at once; its data stay, as after a power failure.
   * @returns {Promise<void>}
   */
  async kill() {
    await this.#process?.kill();
  }

  /** Stops the server where it is: it keeps its connections but answers nothing. */
  pause() {
    this.#process?.pause();
  }

  /** Lets a paused server go on. */
  resume() {
    this.#process?.resume();
  }

  /**
   * Ends the server and removes its folder.
   * @returns {Promise<void>}
   */
  async remove() {
    // What it has in memory goes with its folder, so nothing needs to be written any more.
    await this.end(this.#description.endSignal, 10_000);
    await this.#description.folder.remove();
    await this.#reserved?.release();
    this.#reserved = undefined;
  }

  /** @returns {Promise<void>} */
  [Symbol.asyncDispose]() {
    return this.remove();
  }

  /**
   * Sends the signal and waits for the end; after the time the server is killed.
   * @protected
   * @param {NodeJS.Signals} signal
   * @param {number} graceMs
   */
  async end(signal, graceMs) {
    await this.#process?.stop(signal, graceMs);
  }

  async #startOnNewPort() {
    for (let attempt = 1; ; attempt += 1) {
      this.#reserved = await reservePort();
      try {
        await this.#launch(this.#reserved.port);
        return;
      } catch (error) {
        await this.#reserved.release();
        this.#reserved = undefined;
        if (!(error instanceof PortTakenError) || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  /**
   * Others know the server's address by now, so it waits for its port instead of taking another.
   * @param {number} port
   */
  async #startOnPort(port) {
    /** @type {Error | undefined} */
    let failure;
    const started = async () => {
      try {
        await this.#launch(port);
      } catch (error) {
        if (error instanceof PortTakenError) throw error;
        failure = /** @type {Error} */ (error);
      }
      return true;
    };
    await eventually(started, { deadlineMs: 10_000, intervalMs: 200, what: `the start of ${this.#description.name}` });
    if (failure !== undefined) throw failure;
  }

  /** @param {number} port */
  async #launch(port) {
    const { name, folder, account, endSignal, command, isReady } = this.#description;
    this.#process = await launch({
      name,
      ...command(port),
      cwd: folder.data,
      log: folder.log,
      account,
      endSignal,
      isReady: (pid) => isReady(port, pid),
    });
  }
}
