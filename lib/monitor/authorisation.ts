// Who may use the dashboard: those with its token, or without one those on this machine.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { configError } from '../errors.js';

const LOOPBACK = new Set(['localhost', '127.0.0.1', '::1']);

/**
 * Checks that a dashboard without a token is for this machine alone.
 *
 * @throws {ReplicaverseError} of kind `Config`.
 */
export function checkBinding(host: string, token: string | undefined): void {
  if (token === '') throw configError('authToken: expected a text that is not empty');
  if (token === undefined && !isLoopback(host)) {
    throw configError(`host: a dashboard on "${host}" can be reached by others; set authToken, or leave it on 127.0.0.1`);
  }
}

/** Whether a request brings the token, by header or in its address; the comparison takes the same time for every text. */
export function bringsToken(request: IncomingMessage, url: URL, token: string): boolean {
  return bringsTokenByHeader(request, token) || isEqual(url.searchParams.get('token') ?? '', token);
}

/** Whether a request brings the token by header, which a page of somebody else cannot make a browser do. */
export function bringsTokenByHeader(request: IncomingMessage, token: string): boolean {
  const given = (request.headers.authorization ?? '').replace(/^bearer /i, '');
  // Node.js reads headers as Latin-1, and most programs write them in UTF-8.
  return isEqual(given, token) || isEqual(Buffer.from(given, 'latin1').toString(), token);
}

/** Whether a request was addressed to this machine, and not to a name that somebody has made to lead here. */
export function isAddressedHere(request: IncomingMessage): boolean {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  return isLoopback(host);
}

function isLoopback(host: string): boolean {
  return LOOPBACK.has(host) || (isIP(host) === 4 && host.startsWith('127.'));
}

function isEqual(given: string, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}
