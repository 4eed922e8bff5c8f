// The command or function of an application that brings a master of before back as a standby, as the core calls it.

import { spawn, type ChildProcess } from 'node:child_process';
import { configError } from '../errors.js';
import type { RewindCommand, RewindFunction, RewindRequest } from './types.js';

/** How long a command may take when nothing else is said. */
const TIMEOUT_MS = 600_000;

/** The function as the core calls it: the answer is why the server could not be rewound. It does not reject. */
export function rewinder(rewind: RewindCommand | RewindFunction): (request: string) => Promise<string | null> {
  const carryOut = typeof rewind === 'function' ? rewind : commandOf(rewind);
  return async (request) => {
    try {
      await carryOut(JSON.parse(request) as RewindRequest);
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
}

function commandOf({ command, args = [], timeoutMs = TIMEOUT_MS }: RewindCommand): RewindFunction {
  if (typeof command !== 'string' || command === '') throw configError('rewind.command: expected the path of a program');
  if (!Array.isArray(args) || args.some((arg) => typeof arg !== 'string')) throw configError('rewind.args: expected an array of strings');
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1) throw configError(`rewind.timeoutMs: expected milliseconds from 1, found ${String(timeoutMs)}`);
  return async ({ project, name, newMaster }) => {
    const env = { ...process.env, REPLICATOR_PROJECT: project, REPLICATOR_REPLICA: name, REPLICATOR_NEW_MASTER: newMaster };
    await new Promise<void>((resolve, reject) => {
      // What the command prints may hold a password, and may be more than anybody wants to keep. It leads a process group of its own,
      // so that what it has started can be ended with it.
      const child = spawn(command, args, { env, stdio: 'ignore', detached: process.platform !== 'win32' });
      // Nobody would end it afterwards, and the next process may begin another one.
      const end = () => endGroup(child);
      process.once('exit', end);
      let isLate = false;
      const deadline = setTimeout(() => {
        isLate = true;
        endGroup(child);
      }, timeoutMs);
      child.once('error', ({ code }: NodeJS.ErrnoException) => {
        clearTimeout(deadline);
        process.off('exit', end);
        reject(new Error(`the rewind command could not be run (${String(code)})`));
      });
      child.once('exit', (code, signal) => {
        clearTimeout(deadline);
        process.off('exit', end);
        if (code === 0 && !isLate) resolve();
        else reject(new Error(outcome(code, signal, isLate, timeoutMs)));
      });
    });
  };
}

/** Ends a command with everything that it has started. */
function endGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // There are no process groups here, or nothing of it runs any more.
    child.kill('SIGKILL');
  }
}

function outcome(code: number | null, signal: string | null, isLate: boolean, timeoutMs: number): string {
  if (isLate) return `the rewind command did not end within ${timeoutMs} ms`;
  return signal === null ? `the rewind command ended with exit code ${code}` : `the rewind command was ended by ${signal}`;
}
