// HTTP servers that listen, or say why they cannot.
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/**
 * Waits until a server listens.
 *
 * @returns its address as a URL
 * @throws an error of Node.js when the port is taken.
 */
export async function listen(server: Server, port: number, host: string): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const { port: bound } = server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
}

/** Ends a server and the connections to it. */
export async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => { resolve(); });
    server.closeAllConnections();
  });
}
