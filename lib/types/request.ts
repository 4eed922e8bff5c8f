// Operations on entities as data, as they come over a network, and what is answered.
import type { AggregateStage, DalFilter, EntityIdentity, QueryOptions } from './query.js';

/** What a request asks for. */
export type OrmOperation =
  | 'findAll'
  | 'findOne'
  | 'findById'
  | 'create'
  | 'update'
  | 'updateMany'
  | 'delete'
  | 'deleteMany'
  | 'upsert'
  | 'count'
  | 'distinct'
  | 'search'
  | 'aggregate'
  | 'increment'
  | 'addToSet'
  | 'pull';

/** One operation on one entity. */
export interface OrmRequest {
  op: OrmOperation;
  entity: string;
  id?: EntityIdentity;
  filter?: DalFilter;
  data?: object;
  options?: QueryOptions;
  /** Relations that are read along. */
  relations?: readonly string[];
  /** The text that is searched for. */
  query?: string;
  /** The fields that are searched; by default those of the repository's `search`. */
  searchFields?: readonly string[];
  stages?: readonly AggregateStage[];
  field?: string;
  value?: unknown;
  amount?: number;
}

/** Figures that go with an answer. */
export interface OrmResponseMetadata {
  /** How many rows were read or changed. */
  count?: number;
  /** How many rows there are. */
  total?: number;
}

/** Why an operation was not done. */
export interface OrmResponseError {
  /** `ENTITY_NOT_FOUND`, `MISSING_…`, `UNKNOWN_OP`, or the `code` of the error that was thrown. */
  code: string;
  message: string;
  details?: unknown;
}

/** The answer to an {@link OrmRequest}. */
export interface OrmResponse<T = unknown> {
  status: 'ok' | 'error';
  data?: T;
  metadata?: OrmResponseMetadata;
  error?: OrmResponseError;
}
