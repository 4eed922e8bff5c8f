// What can be done from the dashboard: run a rule, promote a replica. Only with a token.
import type { IncomingMessage } from 'node:http';
import type { MonitoredManager } from './types.js';

const MOST_BYTES = 16 * 1024;

/** The answer to an action. */
export interface ActionOutcome {
  status: number;
  body: { ok: true } | { error: string };
}

type Action = (manager: MonitoredManager, request: Record<string, unknown>) => Promise<void> | undefined;

const ACTIONS: Readonly<Record<string, Action>> = {
  '/api/actions/sync': (manager, { rule }) => manager.sync?.(text('rule', rule)).then(() => undefined),
  '/api/actions/promote': (manager, { project, name }) => manager.promoteToMaster?.(text('project', project), text('name', name)),
};

/** Whether an action has this path. */
export function isAction(path: string): boolean {
  return Object.hasOwn(ACTIONS, path);
}

/** Carries out an action; what goes wrong is an answer. */
export async function act(manager: MonitoredManager, path: string, request: IncomingMessage): Promise<ActionOutcome> {
  try {
    const done = ACTIONS[path]?.(manager, await bodyOf(request));
    if (done === undefined) return { status: 501, body: { error: 'what this dashboard shows cannot be acted upon' } };
    await done;
    return { status: 200, body: { ok: true } };
  } catch (error) {
    return { status: 400, body: { error: error instanceof Error ? error.message : String(error) } };
  }
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += chunk as string;
    if (body.length > MOST_BYTES) throw new Error('the request is too long');
  }
  const parsed: unknown = JSON.parse(body);
  if (typeof parsed !== 'object' || parsed === null) throw new Error('expected an object');
  return parsed as Record<string, unknown>;
}

function text(name: string, value: unknown): string {
  if (typeof value !== 'string') throw new Error(`${name}: expected a text`);
  return value;
}
