// Checks the tools that must be on the machine before anything can be built, and says how to get a missing one.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { packageRoot } from './package-entries.mjs';

/** The development tools (Vite, ESLint, the MongoDB driver) need this; the published package runs on any Node.js 20. */
const NODE_NEEDED = '20.19';

/**
 * Checks Node.js and, to build, Cargo and the C compiler. Cargo is also found where rustup puts it; the folder is then
 * added to PATH for the commands that follow.
 *
 * @param {{ toBuild: boolean }} purpose
 * @throws {Error} that names every missing tool and the way to install it.
 */
export function checkRequiredTools({ toBuild }) {
  const checks = toBuild ? [nodeProblem, cargoProblem, compilerProblem] : [nodeProblem];
  const problems = checks.map((check) => check()).filter((problem) => problem !== undefined);
  if (problems.length > 0) throw new Error(['Tools are missing:', ...problems.map((text) => `  - ${text}`)].join('\n'));
}

/**
 * Whether a version is at least another; both as in `1.90` or `20.19.2`.
 *
 * @param {string} version
 * @param {string} needed
 */
export function isAtLeast(version, needed) {
  const [have, want] = [version, needed].map((text) => text.split('.').map((part) => Number.parseInt(part, 10) || 0));
  for (const [index, part] of (want ?? []).entries()) {
    const difference = (have?.[index] ?? 0) - part;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function nodeProblem() {
  if (isAtLeast(process.versions.node, NODE_NEEDED)) return undefined;
  return `Node.js ${NODE_NEEDED} or newer (this is ${process.versions.node}): https://nodejs.org/en/download`;
}

function cargoProblem() {
  const needed = /^rust-version = "(.+)"$/m.exec(readFileSync(join(packageRoot, 'Cargo.toml'), 'utf8'))?.[1] ?? '1';
  if (versionOf('cargo') === undefined) {
    const rustupFolder = join(process.env.CARGO_HOME || join(homedir(), '.cargo'), 'bin');
    process.env.PATH = [process.env.PATH, rustupFolder].filter(Boolean).join(delimiter);
  }
  const version = versionOf('cargo');
  if (version === undefined) return `Rust ${needed} or newer (cargo): https://rustup.rs`;
  return isAtLeast(version, needed) ? undefined : `Rust ${needed} or newer (cargo is ${version}): rustup update stable`;
}

/** Some crates compile C code. On Windows the Rust toolchain brings the compiler along or says what is missing. */
function compilerProblem() {
  if (process.platform === 'win32' || process.env.CC || versionOf('cc') !== undefined) return undefined;
  const fix = process.platform === 'darwin' ? 'xcode-select --install' : 'apt install build-essential';
  return `a C compiler (cc): ${fix}`;
}

/**
 * @param {string} tool
 * @returns {string | undefined} its version, `undefined` when it cannot be run
 */
function versionOf(tool) {
  try {
    const text = execFileSync(tool, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return /\d+(\.\d+)+/.exec(text)?.[0] ?? '0';
  } catch {
    return undefined;
  }
}
