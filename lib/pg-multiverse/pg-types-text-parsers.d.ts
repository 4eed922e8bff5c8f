// The part of pg-types that its own declarations leave out.
declare module 'pg-types/lib/textParsers' {
  /** Tells the parser that each type has when nothing was set. */
  export function init(register: (oid: number, parser: (text: string) => unknown) => void): void;
}
