// The file of projects: their settings and schemas as JSON, written whole or not at all.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { ReplicaverseError } from '../errors.js';
import { maskPassword } from '../orm/index.js';
import type { EntityDeclaration } from '../types/schema.js';
import type { ProjectConfig } from './types.js';

type Entry = Omit<ProjectConfig, 'name'>;

/** Whether a URI was written without its password. */
export function isMasked(uri: string): boolean {
  return uri.includes(':***@') || /(?:password\s*=\s*|=)\*\*\*(?:$|[\s&])/i.test(uri);
}

/**
 * Writes the file, and makes its folder. Only its owner can read it.
 *
 * @throws {ReplicaverseError} with code `ERR_PROJECT_FILE`.
 */
export function writeProjects(path: string, projects: readonly ProjectConfig[], keepsPassword: (project: ProjectConfig) => boolean): void {
  const entries = projects.map((project): [string, Entry] => {
    const { name, uri, ...settings } = project;
    return [name, { ...settings, uri: keepsPassword(project) ? uri : maskPassword(uri) }];
  });
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(temporary, `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`, { mode: 0o600 });
    renameSync(temporary, path);
  } catch (error) {
    removeTemporary(temporary);
    throw fileError(path, 'cannot be written', error);
  }
}

function removeTemporary(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // What kept the file from being written, as a folder that is none, keeps this too; the former is to be told.
  }
}

/**
 * Reads and checks the whole file before anything of it is used.
 *
 * @throws {ReplicaverseError} with code `ERR_PROJECT_FILE`.
 */
export function readProjects(path: string): ProjectConfig[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw fileError(path, 'cannot be read', error);
  }
  const projects = isObject(content) && isWrapper(content) ? content.projects : content;
  if (Array.isArray(projects)) return (projects as unknown[]).map((entry, index) => checked(path, nameOf(entry, index), entry));
  if (!isObject(projects)) throw fileError(path, 'is no file of projects');
  return Object.entries(projects).map(([name, entry]) => checked(path, name, entry));
}

/** Whether the projects stand in a member `projects`, which is no project of this name. */
function isWrapper(content: Record<string, unknown>): boolean {
  return 'projects' in content && !(isObject(content.projects) && typeof content.projects.dialect === 'string');
}

function checked(path: string, name: string, entry: unknown): ProjectConfig {
  if (!isObject(entry)) throw fileError(path, `is no file of projects: "${name}" is no object`);
  for (const setting of ['dialect', 'uri']) {
    if (typeof entry[setting] !== 'string') throw fileError(path, `is no file of projects: "${name}" has no ${setting}`);
  }
  const schemas = typeof entry.schemas === 'string' ? schemasIn(path, entry.schemas) : entry.schemas;
  if (schemas !== undefined && !Array.isArray(schemas)) {
    throw fileError(path, `is no file of projects: the schemas of "${name}" are no list`);
  }
  return { ...(entry as unknown as Entry), ...(schemas === undefined ? {} : { schemas: schemas as EntityDeclaration[] }), name };
}

/** The schemas in a file of their own, which is named from the working folder, or from the folder of the projects' file. */
function schemasIn(path: string, name: string): unknown {
  const file = existsSync(name) ? name : resolve(dirname(path), name);
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw fileError(path, `names a file of schemas, "${name}", that cannot be read`, error);
  }
}

function nameOf(entry: unknown, index: number): string {
  return isObject(entry) && typeof entry.name === 'string' ? entry.name : `#${index}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fileError(path: string, problem: string, cause?: unknown): ReplicaverseError {
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return new ReplicaverseError(`project file "${path}" ${problem}${reason}`, { kind: 'Config', code: 'ERR_PROJECT_FILE', cause });
}
