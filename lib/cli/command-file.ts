// Arguments that stand in files: several per line, in double quotes where they hold spaces, behind # a comment.
import { readFileSync } from 'node:fs';
import { configError } from '../errors.js';

const FLAG = '--commandFile';

/**
 * The arguments with those of every command file before them, so that what stands on the command line wins.
 *
 * @throws {ReplicaverseError} of kind `Config` if a file is not there.
 */
export function withCommandFiles(argv: readonly string[]): string[] {
  const place = argv.findIndex((argument) => argument === FLAG || argument.startsWith(`${FLAG}=`));
  if (place === -1) return [...argv];
  const flag = argv[place] ?? '';
  const isJoined = flag.startsWith(`${FLAG}=`);
  const file = isJoined ? flag.slice(FLAG.length + 1) : argv[place + 1];
  if (file === undefined || file === '') throw configError(`${FLAG}: a file is required`);
  const rest = argv.filter((_, index) => index !== place && (isJoined || index !== place + 1));
  return [...argumentsIn(textOf(file)), ...rest];
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw configError(`Command file not found: ${file}`);
    throw error;
  }
}

/** A comment begins at a # before which there is space: one within a URI belongs to it. */
function argumentsIn(text: string): string[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const tokens = line.match(/"[^"]*"|\S+/g) ?? [];
    const comment = tokens.findIndex((token) => token.startsWith('#'));
    const kept = comment === -1 ? tokens : tokens.slice(0, comment);
    return kept.map((token) => (token.startsWith('"') && token.endsWith('"') && token.length > 1 ? token.slice(1, -1) : token));
  });
}
