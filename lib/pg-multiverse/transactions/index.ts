// Transactions over one and several clusters.
export type {
  IsolationLevel,
  TransactionCallback,
  TransactionContext,
  TransactionMetrics,
  TransactionOptions,
  TransactionQueryOptions,
  WithTransactionOptions,
} from './types.js';
