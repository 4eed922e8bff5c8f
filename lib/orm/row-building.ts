// Rows from columns: objects of one shape, made by code that is generated for that shape.

/** Values of a column, row by row. */
export type ColumnValues = ArrayLike<unknown>;

/** Adds rows to a list, of columns that have as many values. */
export type RowBuilder = (columns: readonly ColumnValues[], count: number, rows: unknown[]) => void;

/** Shapes are those of tables and selections; an application that makes up ever new ones starts over. */
const MOST_SHAPES = 500;

const builders = new Map<string, RowBuilder>();

/**
 * What makes rows of columns.
 *
 * @param shape the names of the columns, each once, as a JSON list
 */
export function rowBuilderOf(shape: string): RowBuilder {
  const known = builders.get(shape);
  if (known !== undefined) return known;
  if (builders.size >= MOST_SHAPES) builders.clear();
  const names = JSON.parse(shape) as string[];
  const builder = generate(names) ?? assign(names);
  builders.set(shape, builder);
  return builder;
}

/** An object literal gives all rows one hidden class at once, which makes them several times as fast to make. */
function generate(names: readonly string[]): RowBuilder | undefined {
  // In brackets, `__proto__` is a property like others; as JSON text, a name cannot end its string.
  const properties = names.map((name, at) => `${name === '__proto__' ? '["__proto__"]' : JSON.stringify(name)}: c${at}[i]`).join(', ');
  const parameters = names.map((_, at) => `c${at} = columns[${at}]`).join(', ');
  const body = `${parameters === '' ? '' : `const ${parameters};`}
for (let i = 0; i < count; i += 1) rows.push({ ${properties} });`;
  try {
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- only column numbers and JSON text go in
    return new Function('columns', 'count', 'rows', body) as RowBuilder;
  } catch (error) {
    // Node can be told to make no code from text.
    if (error instanceof EvalError) return undefined;
    throw error;
  }
}

function assign(names: readonly string[]): RowBuilder {
  return (columns, count, rows) => {
    for (let row = 0; row < count; row += 1) rows.push(Object.fromEntries(names.map((name, at) => [name, columns[at]?.[row]])));
  };
}
