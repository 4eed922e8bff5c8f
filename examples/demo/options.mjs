// The demo's command line.
import { parseArgs } from 'node:util';
import { DATASETS } from './datasets.mjs';

export const HELP = `Usage: npm run demo
       npm run demo -- --source URI --target URI [--target URI …] [--tables a,b] [--yes]

Without arguments: starts a PostgreSQL of its own, loads real data into it, replicates them to a MongoDB and an SQLite of
its own, compares source and targets row by row, and removes everything again.

With --source and --target it does the same between databases of yours:

  --source URI   replicated from; nothing is changed there
  --target URI   becomes a full mirror: in the tables replicated, rows that the source does not have are deleted.
                 May be given several times
  --tables a,b   only these tables
  --yes          do not ask before changing a target that is not empty; needed where there is no terminal
  --help         this text

URI is postgresql://…, mongodb://…, mysql://…, mariadb://…, or the path of an SQLite file (also as sqlite:PATH or file:PATH).`;

/** The command line cannot be understood, or asks for what cannot be done. */
export class UsageError extends Error {
  name = 'UsageError';
}

/**
 * @typedef {object} Options
 * @property {boolean} help
 * @property {{source: string, targets: string[]} | undefined} own the user's databases, else those of the demo's own
 * @property {string[] | undefined} tables all when undefined
 * @property {boolean} yes
 */

/**
 * @param {readonly string[]} args without the program's name
 * @returns {Options}
 * @throws {UsageError}
 */
export function readOptions(args) {
  const { source, target: targets, tables: tableList, yes, help } = parse(args);
  const tables = tableList === undefined ? undefined : readTables(tableList);
  if (help) return { help, own: undefined, tables, yes };
  if ((source === undefined) !== (targets.length === 0)) throw new UsageError('--source and --target belong together');
  if (source !== undefined) return { help, own: { source, targets }, tables, yes };
  if (yes) throw new UsageError('--yes only makes sense with --source and --target');
  const known = DATASETS.map(({ table }) => table);
  const unknown = tables?.find((table) => !known.includes(table));
  if (unknown !== undefined) throw new UsageError(`--tables: there is no data set "${unknown}", only ${known.join(', ')}`);
  return { help, own: undefined, tables, yes };
}

/** @param {readonly string[]} args */
function parse(args) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        source: { type: 'string' },
        target: { type: 'string', multiple: true, default: [] },
        tables: { type: 'string' },
        yes: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(`${/** @type {Error} */ (error).message}\nnpm run demo -- --help lists what there is.`);
  }
}

/** @param {string} list */
function readTables(list) {
  const tables = [...new Set(list.split(',').map((name) => name.trim()).filter((name) => name !== ''))];
  if (tables.length === 0) throw new UsageError('--tables names no table');
  return tables;
}
