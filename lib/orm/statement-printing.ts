// Printing of statements for `showSql` and `formatSql`.

/** The keywords that start a line of a formatted statement. */
const CLAUSE =
  / ?\b(SELECT|FROM|WHERE|(?:LEFT |RIGHT |INNER |FULL |CROSS )?JOIN|GROUP BY|HAVING|ORDER BY|LIMIT|OFFSET|VALUES|SET|ON CONFLICT|RETURNING|UNION(?: ALL)?)\b/gi;
/** Quoted text, quoted identifiers, and what lies between them. */
const PART = /'(?:[^']|'')*'|"(?:[^"]|"")*"|[^'"]+|['"]/g;

/** The function that prints statements as the settings ask. */
export function statementPrinter(formatted: boolean): (statement: string) => void {
  // What showSql prints belongs on the console: that is what an application asks for by it.
  // eslint-disable-next-line no-console
  return (statement) => console.log(formatted ? formatStatement(statement) : statement);
}

/** The statement with one clause per line. Quoted parts stay as they are; a MongoDB command has no clauses. */
export function formatStatement(statement: string): string {
  if (statement.trimStart().startsWith('{')) return statement;
  const parts = statement.match(PART) ?? [];
  const broken = parts.map((part) => (/^['"]/.test(part) ? part : part.replace(/\s+/g, ' ').replace(CLAUSE, '\n$1')));
  return broken.join('').trim();
}
