// The dashboard over HTTP: its page, what it shows as JSON, and its events as they happen.
import { randomBytes } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { configError } from '../errors.js';
import { close, listen } from '../listening.js';
import { act, isAction } from './actions.js';
import { Activity } from './activity.js';
import { Verifications, concernsOf } from './concerns.js';
import { History } from './history.js';
import { bringsToken, bringsTokenByHeader, checkBinding, isAddressedHere } from './authorisation.js';
import { managerOf } from './clusters.js';
import { metricsOf } from './metrics.js';
import { pageOf } from './page.js';
import type { MonitorConfig, MonitorHandle, MonitoredManager } from './types.js';
import { replicasOf, routingOf, rulesOf } from './views.js';
import { watchManager } from './watching.js';

const DEFAULT_PORT = 14_499;
const DEFAULT_POLL_MS = 2000;
/** The longest delay that timers know; beyond it they fire at once. */
const LONGEST_MS = 2_147_483_647;
const DEFAULT_BUFFER = 200;
/** How often a stream without events is written to, so that no proxy takes it for dead. */
const KEEP_ALIVE_MS = 20_000;

/**
 * Starts the dashboard. It does not keep the manager connected, nor is it ended with it: call `stop`.
 *
 * @throws {ReplicaverseError} of kind `Config` for a host that others can reach without a token; an error of Node.js when the
 *   port is taken.
 */
export async function startMonitor(config: MonitorConfig): Promise<MonitorHandle> {
  const { port = DEFAULT_PORT, host = '127.0.0.1', authToken, activityBufferSize = DEFAULT_BUFFER } = config;
  checkBinding(host, authToken);
  const pollMs = pollMsOf(config);
  const manager = managerOf(config.manager);
  const activity = new Activity(activityBufferSize);
  if (config.onEvent !== undefined) activity.listen(config.onEvent);
  const history = new History();
  const dashboard = new Dashboard({ ...config, manager, pollMs }, activity, history);
  const server = createServer((request, response) => { dashboard.answer(request, response); });
  const url = await listen(server, port, host);
  let unwatch: () => void;
  try {
    unwatch = watchManager(manager, activity, history, pollMs);
  } catch (error) {
    // Nobody would get a handle to end it by.
    await close(server);
    throw error;
  }
  let stopped: Promise<void> | undefined;
  return {
    url,
    stop: () => {
      if (stopped === undefined) unwatch();
      stopped ??= close(server);
      return stopped;
    },
  };
}

function pollMsOf({ pollMs = DEFAULT_POLL_MS }: MonitorConfig): number {
  if (!(pollMs >= 10)) throw configError(`pollMs: expected milliseconds from 10, found ${String(pollMs)}`);
  return Math.min(pollMs, LONGEST_MS);
}

type Settings = Omit<MonitorConfig, 'manager'> & { manager: MonitoredManager; pollMs: number };

class Dashboard {
  readonly #config: Settings;
  readonly #activity: Activity;
  readonly #history: History;
  readonly #verifications = new Verifications();

  constructor(config: Settings, activity: Activity, history: History) {
    this.#config = config;
    this.#activity = activity;
    this.#history = history;
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const url = targetOf(request);
    if (url === undefined) {
      send(response, 400, 'text/plain', 'bad request');
      return;
    }
    response.setHeader('cache-control', 'no-store');
    response.setHeader('referrer-policy', 'no-referrer');
    response.setHeader('x-content-type-options', 'nosniff');
    const { authToken } = this.#config;
    if (authToken === undefined ? !isAddressedHere(request) : !bringsToken(request, url, authToken)) {
      response.setHeader('www-authenticate', 'Bearer');
      send(response, 401, 'text/plain', 'unauthorized');
      return;
    }
    try {
      if (request.method === 'POST') this.#act(request, response, url.pathname);
      else if (request.method === 'GET' || request.method === 'HEAD') this.#show(request, response, url.pathname);
      else sendJson(response, 405, { error: 'method not allowed' });
    } catch (error) {
      sendJson(response, 500, { error: error instanceof Error ? error.message : String(error) });
    }
  }

  #show(request: IncomingMessage, response: ServerResponse, path: string): void {
    const { manager } = this.#config;
    switch (path) {
      case '/':
        this.#showPage(response);
        break;
      case '/api/health':
        sendJson(response, 200, { ok: true, ts: Date.now() });
        break;
      case '/api/replicas':
        sendJson(response, 200, replicasOf(manager));
        break;
      case '/api/rules':
        sendJson(response, 200, rulesOf(manager));
        break;
      case '/api/routing':
        sendJson(response, 200, routingOf(manager));
        break;
      case '/api/history':
        sendJson(response, 200, this.#history.view());
        break;
      case '/api/concerns':
        this.#showConcerns(response);
        break;
      case '/api/events':
        sendJson(response, 200, this.#activity.events);
        break;
      case '/api/stream':
        this.#stream(request, response);
        break;
      case '/metrics':
        send(response, 200, 'text/plain; version=0.0.4', metricsOf(manager));
        break;
      default:
        sendJson(response, 404, { error: 'not found' });
    }
  }

  #showPage(response: ServerResponse): void {
    const nonce = randomBytes(16).toString('base64');
    response.setHeader(
      'content-security-policy',
      `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; connect-src 'self'; img-src data:; ` +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    const { authToken, manager, pollMs } = this.#config;
    const canAct = authToken !== undefined && manager.promoteToMaster !== undefined;
    send(response, 200, 'text/html', pageOf({ nonce, pollMs, canAct }));
  }

  #showConcerns(response: ServerResponse): void {
    concernsOf(this.#config.manager, this.#verifications).then(
      (concerns) => { sendJson(response, 200, concerns); },
      (error: unknown) => { sendJson(response, 500, { error: error instanceof Error ? error.message : String(error) }); },
    );
  }

  #stream(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    response.write(':connected\n\n');
    const unlisten = this.#activity.listen((event) => response.write(`data: ${JSON.stringify(event)}\n\n`));
    const alive = setInterval(() => response.write(':alive\n\n'), KEEP_ALIVE_MS);
    alive.unref();
    request.once('close', () => {
      clearInterval(alive);
      unlisten();
    });
  }

  #act(request: IncomingMessage, response: ServerResponse, path: string): void {
    const { authToken, manager } = this.#config;
    if (!isAction(path)) return sendJson(response, 404, { error: 'not found' });
    if (authToken === undefined || !bringsTokenByHeader(request, authToken)) {
      return sendJson(response, 403, { error: 'actions need a dashboard with a token, brought by the header Authorization' });
    }
    const on = { manager, verifications: this.#verifications, activity: this.#activity };
    void act(on, path, request).then(({ status, body }) => { sendJson(response, status, body); });
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, 'application/json', JSON.stringify(body));
}

/** What is asked for; nothing if that is no address, as `//`: it comes from anybody, and must not end the process. */
function targetOf({ url = '/' }: IncomingMessage): URL | undefined {
  try {
    return new URL(url, 'http://dashboard');
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8` });
  response.end(body);
}
