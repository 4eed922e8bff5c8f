// Printing of statements for `showSql` and `formatSql`.

/** The keywords that start a line of a formatted statement. */
const CLAUSE =
  / ?\b(SELECT|FROM|WHERE|(?:LEFT |RIGHT |INNER |FULL |CROSS )?JOIN|GROUP BY|HAVING|ORDER BY|LIMIT|OFFSET|VALUES|SET|ON CONFLICT|RETURNING|UNION(?: ALL)?)\b/gi;
/** Quoted text, quoted identifiers, and what lies between them. */
const PART = /'(?:[^']|'')*'|"(?:[^"]|"")*"|[^'"]+|['"]/g;

/** The words that are highlighted. */
const KEYWORD =
  /\b(SELECT|INSERT|INTO|UPDATE|DELETE|FROM|WHERE|AND|OR|NOT|NULL|IS|IN|LIKE|BETWEEN|EXISTS|JOIN|LEFT|RIGHT|INNER|FULL|CROSS|ON|AS|GROUP BY|HAVING|ORDER BY|ASC|DESC|LIMIT|OFFSET|VALUES|SET|CONFLICT|RETURNING|UNION|ALL|DISTINCT|CREATE|ALTER|DROP|TABLE|INDEX|BEGIN|COMMIT|ROLLBACK|SAVEPOINT)\b/gi;
const [BLUE, PLAIN] = ['\u001b[34m', '\u001b[39m'];

/** How statements are printed. */
export interface Printing {
  /** With one clause per line. */
  formatted: boolean;
  /** With keywords in a colour of the terminal. */
  highlighted: boolean;
}

/** The function that prints statements as the settings ask. */
export function statementPrinter({ formatted, highlighted }: Printing): (statement: string) => void {
  return (statement) => {
    const text = formatted ? formatStatement(statement) : statement;
    // What showSql prints belongs on the console: that is what an application asks for by it.
    // eslint-disable-next-line no-console
    console.log(highlighted ? highlightStatement(text) : text);
  };
}

/** The statement with its keywords in a colour. Quoted parts stay as they are, and so does a MongoDB command. */
export function highlightStatement(statement: string): string {
  if (statement.trimStart().startsWith('{')) return statement;
  const parts = statement.match(PART) ?? [];
  return parts.map((part) => (/^['"]/.test(part) ? part : part.replace(KEYWORD, `${BLUE}$1${PLAIN}`))).join('');
}

/** The statement with one clause per line. Quoted parts stay as they are; a MongoDB command has no clauses. */
export function formatStatement(statement: string): string {
  if (statement.trimStart().startsWith('{')) return statement;
  const parts = statement.match(PART) ?? [];
  const broken = parts.map((part) => (/^['"]/.test(part) ? part : part.replace(/\s+/g, ' ').replace(CLAUSE, '\n$1')));
  return broken.join('').trim();
}
