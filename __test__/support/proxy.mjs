// A proxy before a server, by which a test cuts the way to it: a network partition without touching the server.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** A proxy on a port of its own. */
export class Proxy {
  /** @type {import('node:net').Server} */
  #server;
  /** @type {Set<import('node:net').Socket>} */
  #sockets = new Set();
  #isCut = false;
  /** @type {string | undefined} */
  #refused;
  /** How many connections have been ended for the sake of what was said on them. */
  refusals = 0;

  /**
   * @param {number} port of the server
   * @param {string} host
   */
  constructor(port, host) {
    this.#server = createServer((client) => {
      this.#keep(client);
      if (this.#isCut) {
        client.destroy();
        return;
      }
      const server = this.#keep(connect({ port, host }));
      client.on('data', (bytes) => {
        if (this.#refused === undefined || !bytes.includes(this.#refused)) return;
        this.refusals += 1;
        client.destroy();
      });
      client.pipe(server);
      server.pipe(client);
      client.once('close', () => server.destroy());
      server.once('close', () => client.destroy());
    });
  }

  /**
   * Starts a proxy before a server of this machine.
   * @param {number} port
   * @param {string} [host]
   * @returns {Promise<Proxy>}
   */
  static async start(port, host = '127.0.0.1') {
    const proxy = new Proxy(port, host);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** The port at which the server is reached through it. */
  get port() {
    return /** @type {import('node:net').AddressInfo} */ (this.#server.address()).port;
  }

  /**
   * A URI of the server, led through the proxy.
   * @param {string} uri
   * @returns {string}
   */
  through(uri) {
    const led = new URL(uri);
    led.host = `127.0.0.1:${String(this.port)}`;
    return led.href;
  }

  /** Ends every connection and lets no new one through. */
  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /**
   * From now on, ends each connection on which a client says these words.
   * @param {string} words
   */
  cutAt(words) {
    this.#refused = words;
  }

  /** Lets connections, and all that is said on them, through again. */
  heal() {
    this.#isCut = false;
    this.#refused = undefined;
  }

  /** @returns {Promise<void>} */
  async stop() {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /**
   * @param {import('node:net').Socket} socket
   * @returns {import('node:net').Socket}
   */
  #keep(socket) {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    // Whoever holds the other end hears of it by the close.
    socket.on('error', () => socket.destroy());
    return socket;
  }
}
