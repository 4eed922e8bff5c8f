// The folder of migrations: reading all of its files, and making a new one.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { configError } from '../../errors.js';
import { type FoundMigration, loadMigration, moduleLoader } from './migration-file.js';
import type { MigrationLogger } from './types.js';

const EXTENSIONS = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs', '.sql'];
const TYPE_SCRIPT = new Set(['.ts', '.mts', '.cts']);

/** What a new migration is about. */
export interface NewMigration {
  targetSchemas: string[];
  targetClusters?: string[];
  description?: string;
  tags?: string[];
  /** Makes a file of SQL. */
  sql?: boolean;
}

/**
 * Loads all files of a folder, in the order of their names. A folder that does not exist has none.
 *
 * @throws {ReplicaverseError} for the first file that cannot be loaded, or whose version another has.
 */
export async function loadFolder(folder: string, logger: MigrationLogger): Promise<FoundMigration[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    logger.warn(`Migrations directory does not exist: ${folder}`);
    return [];
  });
  const load = await moduleLoader();
  const found: FoundMigration[] = [];
  for (const name of migrationFiles(names)) {
    const migration = await loadMigration(join(folder, name), load);
    if (migration === undefined) logger.warn(`Migration ${name} does not export a migration`);
    else found.push(migration);
  }
  refuseTwins(found);
  return found;
}

/** The files that hold migrations: no declarations, tests or hidden files, and no JavaScript made of TypeScript beside it. */
export function migrationFiles(names: readonly string[]): string[] {
  const stem = (name: string) => name.slice(0, -extname(name).length);
  const typed = new Set(names.filter((name) => TYPE_SCRIPT.has(extname(name))).map(stem));
  return names
    .filter((name) => EXTENSIONS.includes(extensionOf(name)) && !/^[._]|\.d\.[mc]?ts$|\.(test|spec)\.[^.]+$/.test(name))
    .filter((name) => TYPE_SCRIPT.has(extname(name)) || extensionOf(name) === '.sql' || !typed.has(stem(name)))
    .sort();
}

/** Files of SQL are often written `.SQL` elsewhere. */
function extensionOf(name: string): string {
  const extension = extname(name);
  return extension.toLowerCase() === '.sql' ? '.sql' : extension;
}

function refuseTwins(found: readonly FoundMigration[]): void {
  const files = new Map<string, string>();
  for (const { migration, file = '' } of found) {
    const other = files.get(migration.version);
    if (other !== undefined) throw configError(`Failed to load migration ${file}: ${other} has the version ${migration.version} too`);
    files.set(migration.version, file);
  }
}

/** Makes a file for a new migration; gives its path. */
export async function createFile(folder: string, name: string, options: NewMigration): Promise<string> {
  const plain = name.trim().replace(/\s+/g, '_');
  if (plain === '' || /[^\p{L}\p{N}_.-]/u.test(plain)) throw configError(`A migration cannot be called ${JSON.stringify(name)}: use letters, digits, _ and -`);
  if (!Array.isArray(options.targetSchemas) || options.targetSchemas.length === 0) throw configError('Migration must target at least one schema');
  for (let moment = Date.now(); ; moment += 1000) {
    const version = `${new Date(moment).toISOString().replace(/[-:T]/g, '').slice(0, 14)}_${plain}`;
    const file = `${version}.${options.sql === true ? 'sql' : 'ts'}`;
    if (migrationFiles([file]).length === 0) throw configError(`A migration cannot be called ${JSON.stringify(name)}: a file of that name would be taken for something else`);
    const path = join(folder, file);
    await mkdir(folder, { recursive: true });
    const text = options.sql === true ? sqlTemplate(options) : typeScriptTemplate(version, plain, new Date(moment), options);
    try {
      await writeFile(path, text, { flag: 'wx' });
      return path;
    } catch (error) {
      // Two migrations of one second keep their order.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function typeScriptTemplate(version: string, name: string, createdAt: Date, { targetSchemas, targetClusters, description = '', tags }: NewMigration): string {
  const text = (value: string) => `'${value.replace(/[\\']/g, '\\$&').replace(/\r?\n/g, ' ')}'`;
  const optional = (field: string, value: readonly string[] | undefined) => (value === undefined || value.length === 0 ? '' : `  ${field}: ${JSON.stringify(value)},\n`);
  return `import { Migration, MigrationContext } from 'pg-multiverse';

const migration: Migration = {
  version: ${text(version)},
  name: ${text(name)},
  description: ${text(description)},
  targetSchemas: ${JSON.stringify(targetSchemas)},
${optional('targetClusters', targetClusters)}${optional('tags', tags)}  createdAt: new Date('${createdAt.toISOString()}'),

  // Both functions run in a transaction, with the schema first on the search path.
  async up(context: MigrationContext): Promise<void> {
    context.logger.info(\`Applying \${context.version} to \${context.schema} on \${context.cluster}\`);
  },

  async down(context: MigrationContext): Promise<void> {
    context.logger.info(\`Taking \${context.version} back from \${context.schema} on \${context.cluster}\`);
  },
};

export default migration;
`;
}

function sqlTemplate({ targetSchemas, targetClusters, description }: NewMigration): string {
  const clusters = targetClusters === undefined || targetClusters.length === 0 ? '' : `-- clusters: ${targetClusters.join(', ')}\n`;
  const about = description === undefined ? '' : `-- description: ${description.replace(/\s+/g, ' ')}\n`;
  return `-- schemas: ${targetSchemas.join(', ')}\n${clusters}${about}\n-- up\n\n-- down\n`;
}
