// Documents as MongoDB gives them, in the shape of rows.

/** A row that was made of a document. */
export type NormalizedDoc<T = Record<string, unknown>> = T & { id: string };

/**
 * A document as a row: `_id` becomes `id` as text, `__v` is left out, also in documents that it holds and in lists of them.
 * What is no document is given back.
 */
export function normalizeDoc<T = NormalizedDoc>(document: unknown): T {
  if (typeof document !== 'object' || document === null) return document as T;
  const { _id, __v, ...fields } = document as Record<string, unknown>;
  // The version that some software counts in its documents is no field of theirs.
  void __v;
  const row: Record<string, unknown> = { id: textOfId(_id as Printable) ?? fields.id };
  for (const [name, value] of Object.entries(fields)) {
    if (name !== 'id') row[name] = Array.isArray(value) ? value.map(withinDocument) : withinDocument(value);
  }
  return row as T;
}

/** Documents as rows, as {@link normalizeDoc}. */
export function normalizeDocs<T = NormalizedDoc>(documents: readonly unknown[]): T[] {
  return documents.map((document) => normalizeDoc<T>(document));
}

function withinDocument(value: unknown): unknown {
  const isDocument = typeof value === 'object' && value !== null && (value as { _id?: unknown })._id !== undefined;
  return isDocument ? normalizeDoc(value) : value;
}

/** An id of MongoDB: a text, or an object that shows as one. */
type Printable = { toString(): string } | null | undefined;

function textOfId(id: Printable): string | undefined {
  return id?.toString();
}
