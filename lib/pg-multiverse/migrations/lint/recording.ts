// Running the function of a migration without a database, to see the SQL that it would send.
import type { QueryResult } from '../../types.js';
import type { Migration, MigrationContext } from '../types.js';
import type { ScriptText } from './script-statements.js';

/** More statements than any migration has: a loop that waits for rows to run out would go on for ever. */
const MOST = 10_000;

/** Thrown into the function where it asks for what only a database could answer. */
class NotKnown extends Error {}

const SILENT = { info() {}, warn() {}, error() {}, debug() {} };

/**
 * What `up` sends, as long as it does not look at any answer; `undefined` where it does, or fails. Call it only for functions that
 * reach nothing but their context.
 *
 * @param file the name of the file, by which lines are found; without it all statements have line 1.
 */
export async function recorded(migration: Migration, file: string | undefined): Promise<ScriptText[] | undefined> {
  const texts: ScriptText[] = [];
  let isRefused = false;
  const refuse = (): never => {
    isRefused = true;
    throw new NotKnown();
  };
  const answer = new Proxy({} as QueryResult<never>, {
    // A promise looks whether what it is given is one too.
    get: (_, name) => (name === 'then' ? undefined : refuse()),
    has: refuse,
    ownKeys: refuse,
  });
  const query = async (sql: unknown): Promise<QueryResult<never>> => {
    if (typeof sql !== 'string' || texts.length >= MOST) return refuse();
    texts.push({ sql, line: callingLine(file), isPartial: false });
    return answer;
  };
  const [schema = 'public'] = migration.targetSchemas;
  const context: MigrationContext = { query, schema, cluster: migration.targetClusters?.[0] ?? 'cluster', version: migration.version, logger: SILENT };
  try {
    await migration.up(context);
  } catch {
    return undefined;
  }
  return isRefused ? undefined : texts;
}

/** The line of the file that called, from the stack. */
function callingLine(file: string | undefined): number {
  const { stack = '' } = new Error();
  const at = file === undefined ? -1 : stack.indexOf(`${file}:`);
  const line = file === undefined || at === -1 ? undefined : /^:(\d+)/.exec(stack.slice(at + file.length))?.[1];
  return line === undefined ? 1 : Number(line);
}
