// The code blocks of a Markdown file, and running one as a program of its own.
import { spawn } from 'node:child_process';
import { mkdtemp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * @typedef {object} Snippet
 * @property {string} title the heading above it
 * @property {string} code
 * @property {string} output what the `text` block after it says it prints
 */

/**
 * The `js` blocks of a file of the package, each with the `text` block that follows it.
 *
 * @param {string} file its path from the package's folder
 * @returns {Promise<Snippet[]>}
 */
export async function snippetsOf(file) {
  const markdown = await readFile(join(PACKAGE, file), 'utf8');
  const parts = markdown.matchAll(/^## (?<title>.*)$|^```js\n(?<code>[^]*?)^```\n(?:\n```text\n(?<output>[^]*?)^```)?/gm);
  let title = '';
  const snippets = [];
  for (const { groups = {} } of parts) {
    if (groups['code'] === undefined) title = groups['title'] ?? title;
    else snippets.push({ title, code: groups['code'], output: groups['output'] ?? '' });
  }
  return snippets;
}

/**
 * The `sh` blocks of a file of the package.
 *
 * @param {string} file its path from the package's folder
 */
export async function commandsOf(file) {
  const markdown = await readFile(join(PACKAGE, file), 'utf8');
  return [...markdown.matchAll(/^```sh\n([^]*?)^```/gm)].flatMap(([, block = '']) => block.trim().split('\n'));
}

/**
 * Runs a snippet in an empty folder in which the package is installed.
 *
 * @param {Snippet} snippet
 * @param {Record<string, string>} environment
 * @returns {Promise<{ status: number | null, output: string, errors: string }>}
 */
export async function runSnippet({ code }, environment) {
  const folder = await mkdtemp(join(tmpdir(), 'replicaverse-snippet-'));
  try {
    await mkdir(join(folder, 'node_modules'));
    await symlink(PACKAGE, join(folder, 'node_modules', 'replicaverse'), 'dir');
    await writeFile(join(folder, 'snippet.mjs'), code);
    return await run(folder, environment);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/**
 * @param {string} folder
 * @param {Record<string, string>} environment
 * @returns {Promise<{ status: number | null, output: string, errors: string }>}
 */
function run(folder, environment) {
  const env = { ...process.env, ...environment, NO_COLOR: '1' };
  const child = spawn(process.execPath, ['snippet.mjs'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (/** @type {string} */ text) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => (errors += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, output, errors }));
  });
}
