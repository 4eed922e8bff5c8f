// Rows from columns: objects of one shape, made by code that is generated for that shape.

/** Makes the rows of columns that are equally long. */
type RowBuilder = (columns: readonly (readonly unknown[])[], count: number) => object[];

/** Shapes are those of tables and selections; an application that makes up ever new ones starts over. */
const MOST_SHAPES = 500;

const builders = new Map<string, RowBuilder>();

/**
 * The rows of columns.
 *
 * @param names of the columns, each once
 * @param columns the values of each column, row by row
 */
export function buildRows(names: readonly string[], columns: readonly (readonly unknown[])[]): object[] {
  return builderOf(names)(columns, columns[0]?.length ?? 0);
}

function builderOf(names: readonly string[]): RowBuilder {
  const shape = JSON.stringify(names);
  const known = builders.get(shape);
  if (known !== undefined) return known;
  if (builders.size >= MOST_SHAPES) builders.clear();
  const builder = generate(names) ?? assign(names);
  builders.set(shape, builder);
  return builder;
}

/** An object literal gives all rows one hidden class at once, which makes them several times as fast to make. */
function generate(names: readonly string[]): RowBuilder | undefined {
  // In brackets, `__proto__` is a property like others; as JSON text, a name cannot end its string.
  const properties = names.map((name, at) => `[${JSON.stringify(name)}]: c${at}[i]`).join(', ');
  const parameters = names.map((_, at) => `c${at}`).join(', ');
  const body = `const [${parameters}] = columns; const rows = new Array(count);
for (let i = 0; i < count; i += 1) rows[i] = { ${properties} };
return rows;`;
  try {
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- only column numbers and JSON text go in
    return new Function('columns', 'count', body) as RowBuilder;
  } catch (error) {
    // Node can be told to make no code from text.
    if (error instanceof EvalError) return undefined;
    throw error;
  }
}

function assign(names: readonly string[]): RowBuilder {
  return (columns, count) => Array.from({ length: count }, (_, row) => Object.fromEntries(names.map((name, at) => [name, columns[at]?.[row]])));
}
