// The health endpoint of the service: whether everything that is to run does, for a supervisor that asks over HTTP.
import { createServer } from 'node:http';
import { close, listen } from '../listening.js';
import type { ReplicaInfo } from './types.js';
import type { RuleState } from './stream-types.js';

/** What the health is made of. */
export interface Health {
  ok: boolean;
  /** Milliseconds since 1970 at which the last pass ended; null before the first. */
  lastPass: number | null;
  /** What is not as it should be. */
  problems: string[];
}

interface Observed {
  listProjects(): string[];
  getReplicaStatus(project: string): ReplicaInfo[];
  getRuleStates(): RuleState[];
}

/** A health endpoint that runs. */
export interface HealthEndpoint {
  url: string;
  stop(): Promise<void>;
}

/** Says how everything is; `failed` names rules whose last run failed. */
export function healthOf(manager: Observed, failed: ReadonlySet<string>, lastPass: number | null): Health {
  const replicas = manager
    .listProjects()
    .flatMap((project) => manager.getReplicaStatus(project).map((replica) => ({ ...replica, project })));
  const problems = [
    ...replicas.filter(({ status }) => status !== 'connected').map(({ project, name, status }) => `replica ${project}/${name} is ${status}`),
    ...manager.getRuleStates().filter(({ state }) => state === 'lost' || state === 'stopped').map(({ rule, state }) => `rule ${rule} is ${state}`),
    ...[...failed].map((rule) => `the last run of rule ${rule} failed`),
    ...(lastPass === null ? ['the first pass has not ended'] : []),
  ];
  return { ok: problems.length === 0, lastPass, problems };
}

/** Answers `GET /health` with 200 when all is well, else with 503, both with the health as JSON. */
export async function startHealthEndpoint(port: number, host: string, health: () => Health): Promise<HealthEndpoint> {
  const server = createServer((request, response) => {
    const isAsked = request.method === 'GET' && request.url?.split('?')[0] === '/health';
    const told = isAsked ? health() : { error: 'not found' };
    const status = 'ok' in told ? (told.ok ? 200 : 503) : 404;
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' });
    response.end(JSON.stringify(told));
  });
  const url = await listen(server, port, host);
  return { url, stop: () => close(server) };
}
