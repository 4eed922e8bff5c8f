// What can be done from the dashboard: run, stream and compare rules, promote a replica. Only with a token.
import type { IncomingMessage } from 'node:http';
import type { Activity } from './activity.js';
import type { Verifications } from './concerns.js';
import type { MonitoredManager } from './types.js';

const MOST_BYTES = 16 * 1024;

/** The answer to an action. */
export interface ActionOutcome {
  status: number;
  body: { ok: true } | { error: string };
}

/** What actions work on. */
export interface ActedOn {
  manager: MonitoredManager;
  verifications: Verifications;
  activity: Activity;
}

type Action = (on: ActedOn, request: Record<string, unknown>) => Promise<unknown> | undefined;

const ACTIONS: Readonly<Record<string, Action>> = {
  '/api/actions/sync': ({ manager }, { rule }) => manager.sync?.(text('rule', rule)),
  '/api/actions/resync': ({ manager }, { rule }) => manager.resync?.(text('rule', rule)),
  '/api/actions/start': ({ manager }, { rule }) => manager.start?.(text('rule', rule)),
  '/api/actions/stop': ({ manager }, { rule }) => (manager.start === undefined ? undefined : stop(manager, text('rule', rule))),
  '/api/actions/verify': (on, { rule }) => (on.manager.verify === undefined ? undefined : verify(on, text('rule', rule))),
  '/api/actions/promote': ({ manager }, { project, name }) => manager.promoteToMaster?.(text('project', project), text('name', name)),
};

async function stop(manager: MonitoredManager, rule: string): Promise<void> {
  await manager.stop?.(rule);
}

/** Compares both ends of a rule; nothing is repaired. */
async function verify({ manager, verifications, activity }: ActedOn, rule: string): Promise<void> {
  const verdict = await manager.verify?.(rule);
  if (verdict === undefined) return;
  const { equal, different, missing, extra } = verifications.add(rule, verdict);
  activity.tell({ type: 'rule.verified', rule, equal, different, missing, extra });
}

/** Whether an action has this path. */
export function isAction(path: string): boolean {
  return Object.hasOwn(ACTIONS, path);
}

/** Carries out an action; what goes wrong is an answer. */
export async function act(on: ActedOn, path: string, request: IncomingMessage): Promise<ActionOutcome> {
  try {
    const done = ACTIONS[path]?.(on, await bodyOf(request));
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
