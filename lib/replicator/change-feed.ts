// Changes of a source as an async iterator, which reads on only while somebody takes them.

import { ReplicaverseError, fromNative } from '../errors.js';
import type { native } from '../native.js';
import { decodeRows } from '../orm/value-decoding.js';
import type { ChangeOperation, SourceChange } from './stream-types.js';

type NativeChangeFeed = InstanceType<typeof native.NativeChangeFeed>;
type Row = Record<string, unknown>;

/** A change as the core delivers it; its key, its old key and its row stand in this order among the rows of the batch. */
interface Header {
  collection: string;
  operation: ChangeOperation;
  hasOldKey: boolean;
  hasRow: boolean;
  unchanged: string[];
  position: string;
  committedAt: number;
  transaction: string;
}

/** How many changes are taken at a time. What is taken has left the bounded buffers of the core. */
const CHANGES_AT_ONCE = 500;

/**
 * The changes that a feed delivers. Breaking out of the loop, or aborting, closes the feed, and the source keeps its log for
 * it no longer.
 */
export async function* changesOf<T>(
  open: () => Promise<NativeChangeFeed>,
  signal: AbortSignal | undefined,
): AsyncGenerator<SourceChange<T>, void, undefined> {
  throwIfAborted(signal);
  const feed = await fromNative(open);
  const close = (): void => {
    feed.stop();
  };
  signal?.addEventListener('abort', close, { once: true });
  try {
    for (;;) {
      throwIfAborted(signal);
      const batch = await fromNative(() => feed.next(CHANGES_AT_ONCE));
      throwIfAborted(signal);
      if (batch === null || batch === undefined) return;
      yield* readChanges<T>(batch.headers, batch.rows);
    }
  } finally {
    signal?.removeEventListener('abort', close);
    await fromNative(() => feed.close());
  }
}

function* readChanges<T>(headers: string, rows: string): Generator<SourceChange<T>, void, undefined> {
  const records = decodeRows<Row>(rows).values();
  const next = (): Row => records.next().value ?? {};
  for (const { hasOldKey, hasRow, unchanged, committedAt, collection, operation, position, transaction } of JSON.parse(headers) as Header[]) {
    yield {
      collection,
      operation,
      key: next() as Partial<T>,
      ...(hasOldKey ? { oldKey: next() as Partial<T> } : {}),
      ...(hasRow ? { row: next() as T } : {}),
      ...(unchanged.length > 0 ? { unchanged } : {}),
      position,
      committedAt: new Date(committedAt),
      transaction,
    };
  }
}

/** An iteration that was aborted ends with the reason of its signal, as those of Node do. */
function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw signal.reason instanceof Error ? signal.reason : new ReplicaverseError('the iteration was aborted', { code: 'ERR_STOPPED' });
}
