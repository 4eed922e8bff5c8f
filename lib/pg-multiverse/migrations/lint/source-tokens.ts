// The tokens of JavaScript and TypeScript, as far as they are needed to find texts of SQL and comments in it.

/** A piece of source text. */
export interface Token {
  readonly kind: 'name' | 'text' | 'sign' | 'number' | 'pattern';
  /** The name, the sign, or the value of a text. */
  readonly value: string;
  /** The line on which it begins, counted from 1. */
  readonly line: number;
  /** How many brackets are open before it. */
  readonly depth: number;
  /** Whether a text holds expressions, in place of each of which stands `PLACEHOLDER`. */
  readonly isPartial?: boolean;
}

/** A comment. */
export interface Comment {
  readonly text: string;
  readonly line: number;
}

/** Stands where a text holds an expression. It can be a name or a value in SQL. */
export const PLACEHOLDER = 'unseen_value';

/** After these words a slash begins a pattern. */
const BEFORE_PATTERN = new Set(['return', 'typeof', 'case', 'in', 'of', 'do', 'else', 'void', 'delete', 'throw', 'new', 'await', 'yield']);
const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v', 0: '\0', '\n': '' };

/** Splits a source text. Of one that is not well-formed, it gives what it finds. */
export function tokensOf(source: string): { tokens: Token[]; comments: Comment[] } {
  const reader = new Reader(source);
  reader.read(false);
  return { tokens: reader.tokens, comments: reader.comments };
}

class Reader {
  readonly tokens: Token[] = [];
  readonly comments: Comment[] = [];
  readonly #source: string;
  #at = 0;
  #line = 1;
  #depth = 0;

  constructor(source: string) {
    this.#source = source;
  }

  /** Reads to the end, or to the bracket that ends an expression within a text. */
  read(inText: boolean): void {
    const outer = this.#depth;
    while (this.#at < this.#source.length) {
      const sign = this.#source[this.#at] ?? '';
      if (inText && sign === '}' && this.#depth === outer) return;
      this.#readOne(sign);
    }
  }

  #readOne(sign: string): void {
    const next = this.#source[this.#at + 1];
    if (/\s/.test(sign)) this.#skip(1);
    else if (sign === '/' && next === '/') this.#comment('\n', 0);
    else if (sign === '/' && next === '*') this.#comment('*/', 2);
    else if (sign === "'" || sign === '"') this.#text(sign);
    else if (sign === '`') this.#template();
    else if (sign === '/' && this.#mayBeginPattern()) this.#pattern();
    else if (/[\p{L}_$#]/u.test(sign)) this.#word('name', /[\p{L}\p{N}_$#]*/uy);
    else if (/\d/.test(sign)) this.#word('number', /[\w.]*/y);
    else this.#sign(sign);
  }

  #add(kind: Token['kind'], value: string, line: number, isPartial = false): void {
    this.tokens.push({ kind, value, line, depth: this.#depth, ...(isPartial ? { isPartial } : {}) });
  }

  #skip(count: number): void {
    for (const end = this.#at + count; this.#at < end; this.#at += 1) if (this.#source[this.#at] === '\n') this.#line += 1;
  }

  #comment(end: string, extra: number): void {
    const found = this.#source.indexOf(end, this.#at + 2);
    const stop = found === -1 ? this.#source.length : found + extra;
    this.comments.push({ text: this.#source.slice(this.#at, stop), line: this.#line });
    this.#skip(stop - this.#at);
  }

  #word(kind: 'name' | 'number', shape: RegExp): void {
    shape.lastIndex = this.#at;
    const word = shape.exec(this.#source)?.[0] ?? '';
    this.#add(kind, word, this.#line);
    this.#skip(Math.max(word.length, 1));
  }

  #sign(sign: string): void {
    if (')]}'.includes(sign)) this.#depth = Math.max(0, this.#depth - 1);
    this.#add('sign', sign, this.#line);
    if ('([{'.includes(sign)) this.#depth += 1;
    this.#skip(1);
  }

  #mayBeginPattern(): boolean {
    const before = this.tokens.at(-1);
    if (before === undefined) return true;
    if (before.kind === 'name') return BEFORE_PATTERN.has(before.value);
    return before.kind === 'sign' && !')]}'.includes(before.value);
  }

  #pattern(): void {
    const line = this.#line;
    const found = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
    found.lastIndex = this.#at;
    const pattern = found.exec(this.#source)?.[0];
    if (pattern === undefined) return this.#sign('/');
    this.#add('pattern', pattern, line);
    this.#skip(pattern.length);
  }

  #text(quote: string): void {
    const line = this.#line;
    let value = '';
    this.#skip(1);
    for (let sign = this.#source[this.#at]; sign !== undefined && sign !== quote && sign !== '\n'; sign = this.#source[this.#at]) value += this.#character(sign);
    this.#skip(1);
    this.#add('text', value, line);
  }

  #template(): void {
    const line = this.#line;
    let [value, isPartial] = ['', false];
    this.#skip(1);
    for (let sign = this.#source[this.#at]; sign !== undefined && sign !== '`'; sign = this.#source[this.#at]) {
      if (sign !== '$' || this.#source[this.#at + 1] !== '{') {
        value += this.#character(sign);
        continue;
      }
      const [lines, length] = [this.#line, this.tokens.length];
      this.#skip(2);
      this.read(true);
      // What stands in an expression belongs to the text.
      this.tokens.length = length;
      this.#skip(1);
      // The lines of the expression stay in the text, so that those after it keep their numbers.
      value += PLACEHOLDER + '\n'.repeat(this.#line - lines);
      isPartial = true;
    }
    this.#skip(1);
    this.#add('text', value, line, isPartial);
  }

  /** One sign of a text, which may be written as an escape. */
  #character(sign: string): string {
    if (sign !== '\\') {
      this.#skip(1);
      return sign;
    }
    const escape = /\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|[^])/y;
    escape.lastIndex = this.#at;
    const found = escape.exec(this.#source);
    this.#skip(found?.[0].length ?? 1);
    const code = found?.[1] ?? found?.[2] ?? found?.[3];
    if (code !== undefined) return String.fromCodePoint(Math.min(parseInt(code, 16), 0x10ffff));
    const named = found?.[0][1] ?? '';
    return ESCAPES[named] ?? named;
  }
}
