// The SQL in the source of a migration's function, as far as it stands there as text.
import { type Comment, PLACEHOLDER, type Token, tokensOf } from './source-tokens.js';

/** A piece of SQL of a function. */
export interface ScriptText {
  readonly sql: string;
  readonly line: number;
  readonly isPartial: boolean;
}

/** What the source of a migration tells without running it. */
export interface ScriptSource {
  /** What its `up` gives to `query`, in the order in which it stands there. */
  readonly texts: readonly ScriptText[];
  /** Calls of `query` whose SQL does not stand there. */
  readonly unseen: readonly { line: number; reason: string }[];
  readonly comments: readonly Comment[];
  /** Whether nothing but the context of the migration is within reach of its functions. */
  readonly isClosed: boolean;
}

const OWN_MODULES = new Set(['pg-multiverse', 'replicaverse', 'replicaverse/pg-multiverse']);

/** Names by which code reaches what is outside of it. */
const OUTSIDE = new Set(
  'process global globalThis window self eval Function constructor __proto__ prototype fetch WebSocket XMLHttpRequest Worker WebAssembly Deno Bun navigator setTimeout setInterval setImmediate queueMicrotask Atomics SharedArrayBuffer __dirname __filename'.split(' '),
);

/** Reads the source of a migration: of a file, or of the function `up` alone. */
export function readScript(source: string): ScriptSource {
  const { tokens, comments } = tokensOf(source);
  const constants = constantsIn(tokens);
  const texts: ScriptText[] = [];
  const unseen: { line: number; reason: string }[] = [];
  const [from, to] = functionUp(tokens);
  let calls = 0;
  for (let at = from; at < to; at += 1) {
    const open = tokens[at]?.value === 'query' && tokens[at]?.kind === 'name' ? callAfter(tokens, at) : undefined;
    if (open === undefined) continue;
    calls += 1;
    const line = tokens[at]?.line ?? 1;
    const text = argumentText(tokens, open, constants);
    if (text === undefined) unseen.push({ line, reason: 'the SQL of this query is known only when it runs' });
    else texts.push(text);
  }
  if (calls === 0) unseen.push({ line: tokens[from]?.line ?? 1, reason: 'no call of query was found in up' });
  const marked = comments.filter(({ text }) => text.includes('pgm-lint-ignore'));
  return { texts, unseen, comments: marked, isClosed: isClosed(tokens) };
}

/** The tokens of the function `up`: from its name to the comma or bracket after it; all where there is no such name. */
function functionUp(tokens: readonly Token[]): [number, number] {
  const isUp = (token: Token, at: number) => token.kind === 'name' && token.value === 'up' && [':', '(', '='].includes(tokens[at + 1]?.value ?? '') && tokens[at - 1]?.value !== '.';
  const from = tokens.findIndex(isUp);
  if (from === -1) return [0, tokens.length];
  const depth = tokens[from]?.depth ?? 0;
  const length = tokens.slice(from + 1).findIndex((token) => token.depth < depth || (token.depth === depth && token.value === ',' && token.kind === 'sign'));
  return [from, length === -1 ? tokens.length : from + 1 + length];
}

/** Where the arguments of a call begin: `query(`, or `query<T>(`. */
function callAfter(tokens: readonly Token[], name: number): number | undefined {
  let at = name + 1;
  if (tokens[at]?.value === '<') {
    let open = 0;
    do {
      const sign = tokens[at]?.kind === 'sign' ? tokens[at]?.value : '';
      if (sign === '<') open += 1;
      else if (sign === '>' && tokens[at - 1]?.value !== '=') open -= 1;
      at += 1;
    } while (open > 0 && at < tokens.length);
  }
  // `{ query }: MigrationContext` names it, and `query: async (` defines it.
  return tokens[at]?.value === '(' && tokens[at]?.kind === 'sign' ? at + 1 : undefined;
}

/** The text that an argument is: texts and constants with `+` between, where other operands stay unseen. */
function argumentText(tokens: readonly Token[], from: number, constants: ReadonlyMap<string, Token>): ScriptText | undefined {
  const depth = tokens[from]?.depth ?? 0;
  const parts: Token[] = [];
  for (let at = from; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token === undefined || token.depth < depth || (token.kind === 'sign' && token.value === ',' && token.depth === depth)) break;
    parts.push(token);
  }
  const resolved = parts.map((token) => (token.kind === 'name' ? (constants.get(token.value) ?? token) : token));
  const first = resolved[0];
  const isLiteral = ({ kind }: Token) => kind === 'text';
  if (first === undefined || !resolved.some(isLiteral)) return undefined;
  const isSum = resolved.every((token, at) => (at % 2 === 1 ? token.value === '+' : isLiteral(token)));
  if (isSum) {
    const texts = resolved.filter(isLiteral);
    return { sql: texts.map(({ value }) => value).join(''), line: first.line, isPartial: texts.some(({ isPartial }) => isPartial === true) };
  }
  if (!isLiteral(first) || resolved[1]?.value !== '+') return undefined;
  const seen = resolved.map((token) => (isLiteral(token) ? token.value : token.value === '+' ? '' : PLACEHOLDER));
  return { sql: seen.join(''), line: first.line, isPartial: true };
}

/** Constants that are texts: `const NAME = '…'`, declared once. */
function constantsIn(tokens: readonly Token[]): Map<string, Token> {
  const found = new Map<string, Token>();
  const twice = new Set<string>();
  tokens.forEach((token, at) => {
    if (token.value !== 'const' || token.kind !== 'name') return;
    const [name, sign, text, end] = tokens.slice(at + 1, at + 5);
    if (name?.kind !== 'name') return;
    if (found.has(name.value)) twice.add(name.value);
    const ends = end === undefined || end.value === ';' || (end.kind === 'name' && end.line > (text?.line ?? 0));
    if (sign?.value === '=' && text?.kind === 'text' && ends) found.set(name.value, text);
  });
  for (const name of twice) found.delete(name);
  return found;
}

function isClosed(tokens: readonly Token[]): boolean {
  return tokens.every((token, at) => {
    if (token.kind !== 'name') return true;
    if (OUTSIDE.has(token.value)) return false;
    if (token.value !== 'import' && token.value !== 'require') return true;
    const isCall = tokens[at + 1]?.value === '(';
    // `import('x')`, `require('x')`; `import … from 'x'`, `import 'x'`.
    const named = isCall ? tokens[at + 2] : tokens.slice(at + 1).find(({ kind }) => kind === 'text');
    return named?.kind === 'text' && named.isPartial !== true && (!isCall || tokens[at + 3]?.value === ')') && OWN_MODULES.has(named.value);
  });
}
