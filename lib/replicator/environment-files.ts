// Variables that stand in files, such as .env, for processes that nobody gives an environment.
import { readFileSync } from 'node:fs';

/**
 * Takes over the variables of these files that are not set yet; of a variable in several files the first counts. A file that
 * does not exist is left out.
 */
export function loadEnvironmentFiles(files: readonly string[], environment: NodeJS.ProcessEnv = process.env): void {
  for (const file of files) {
    for (const [name, value] of variablesIn(textOf(file))) environment[name] ??= value;
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

/** Lines of `NAME=value`, the value perhaps in quotes. A `#` behind a value belongs to it, as passwords have one. */
function variablesIn(text: string): [name: string, value: string][] {
  const lines = text.matchAll(/^[ \t]*(?:export[ \t]+)?(?<name>[A-Za-z_]\w*)[ \t]*=(?<value>.*)$/gm);
  return [...lines].map(({ groups = {} }) => [groups['name'] ?? '', unquoted((groups['value'] ?? '').trim())]);
}

function unquoted(value: string): string {
  const quote = value.at(0);
  return value.length > 1 && (quote === '"' || quote === "'") && value.endsWith(quote) ? value.slice(1, -1) : value;
}
