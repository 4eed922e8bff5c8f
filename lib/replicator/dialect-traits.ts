// What the thirteen known dialects can hold, as far as copies between them are concerned.

/** How a dialect stores what others store differently. */
export interface DialectTraits {
  /** Characters of a `string` field; Infinity without a limit. */
  readonly stringLimit: number;
  readonly nativeJson: boolean;
  readonly nativeArray: boolean;
  readonly nativeBoolean: boolean;
  /** Whether rows are documents, which hold lists of ids where others have junction tables. */
  readonly documents: boolean;
  /** Digits of a second that a date keeps. */
  readonly secondDigits: number;
  /** Whether a date may lie outside of the years 1 to 9999. */
  readonly anyYear: boolean;
  /** Whether NaN and the infinities can be stored as numbers. */
  readonly nonFiniteNumbers: boolean;
}

const PLAIN: DialectTraits = {
  stringLimit: Infinity,
  nativeJson: false,
  nativeArray: false,
  nativeBoolean: false,
  documents: false,
  secondDigits: 6,
  anyYear: false,
  nonFiniteNumbers: false,
};
const POSTGRES: DialectTraits = { ...PLAIN, nativeJson: true, nativeArray: true, nativeBoolean: true, anyYear: true, nonFiniteNumbers: true };
const MYSQL: DialectTraits = { ...PLAIN, stringLimit: 255, nativeJson: true, secondDigits: 3 };

const TRAITS: ReadonlyMap<string, DialectTraits> = new Map([
  ['sqlite', { ...PLAIN, secondDigits: 3, anyYear: true }],
  ['postgres', POSTGRES],
  ['cockroachdb', POSTGRES],
  ['mysql', MYSQL],
  ['mariadb', MYSQL],
  ['mongodb', { ...POSTGRES, documents: true, secondDigits: 3 }],
  ['oracle', { ...PLAIN, stringLimit: 4000, nonFiniteNumbers: true }],
  ['mssql', PLAIN],
  ['db2', { ...PLAIN, stringLimit: 4000, nativeBoolean: true }],
  ['hana', { ...PLAIN, stringLimit: 5000 }],
  ['hsqldb', PLAIN],
  ['spanner', { ...PLAIN, stringLimit: 2_621_440, nonFiniteNumbers: true }],
  ['sybase', { ...PLAIN, secondDigits: 3 }],
]);

/** The names of the dialects that are known. */
export const KNOWN_DIALECTS: readonly string[] = [...TRAITS.keys()];

/** The traits of a dialect, in any case of its letters; those of a plain one without limits when it is not known. */
export function traitsOf(dialect: string): DialectTraits {
  return TRAITS.get(String(dialect).toLowerCase()) ?? PLAIN;
}
