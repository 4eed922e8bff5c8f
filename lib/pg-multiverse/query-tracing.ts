// Tracing: every query on a channel of node:diagnostics_channel, and as a span of OpenTelemetry. Nothing is made while nobody listens.
import { tracingChannel } from 'node:diagnostics_channel';
import type { ClustersConfig } from './config-types.js';
import type { QueryWatch } from './pending-query.js';

/**
 * What the channels `tracing:replicaverse:query:start`, `:end`, `:asyncStart`, `:asyncEnd` and `:error` tell of a query: one
 * object, the same on all of them. The values of its parameters are never told.
 */
export interface QueryTrace {
  readonly text: string;
  readonly parameterCount: number;
  /** Known at the end of a query that succeeded, as what follows. */
  clusterId?: string;
  database?: string;
  /** Milliseconds. */
  duration?: number;
  /** Of a query that failed. */
  error?: unknown;
}

const channel = tracingChannel<QueryTrace>('replicaverse:query');

/** Tells that a query begins, if anybody listens; gives what is to be told of its end. */
export function beginTrace(text: string, parameterCount: number, clusterOf: (clusterId: string) => ClustersConfig[string] | undefined): QueryWatch | undefined {
  const isHeard = channel.start.hasSubscribers || channel.asyncEnd.hasSubscribers || channel.error.hasSubscribers || channel.asyncStart.hasSubscribers;
  if (!isHeard) return undefined;
  const trace: QueryTrace = { text, parameterCount };
  channel.start.publish(trace);
  channel.end.publish(trace);
  return {
    succeeded(clusterId, milliseconds) {
      trace.clusterId = clusterId;
      trace.duration = milliseconds;
      const database = clusterOf(clusterId)?.primary?.database;
      if (database !== undefined) trace.database = database;
      endTrace(trace);
    },
    failed(error) {
      trace.error = error;
      channel.error.publish(trace);
      endTrace(trace);
    },
    left: () => endTrace(trace),
  };
}

function endTrace(trace: QueryTrace): void {
  channel.asyncStart.publish(trace);
  channel.asyncEnd.publish(trace);
}

/** A span, as `@opentelemetry/api` has it. */
export interface TracingSpan {
  setAttributes(attributes: Record<string, string | number>): unknown;
  setStatus(status: { code: number; message?: string }): unknown;
  end(): void;
}

/** A tracer, as `@opentelemetry/api` has it. */
export interface QueryTracer {
  startSpan(name: string, options: { kind: number; attributes: Record<string, string | number> }): TracingSpan;
}

/** `SpanKind.CLIENT` and `SpanStatusCode.ERROR` of `@opentelemetry/api`. */
const CLIENT = 2;
const ERROR = 2;

/**
 * Makes a span of every query of this process, by the stable conventions for databases, until the function that it gives is
 * called. A span is a child of the one that was active where the query was asked. The text of a query is told only where it has
 * parameters: another one may hold values.
 *
 * @param tracer `trace.getTracer('replicaverse')` of `@opentelemetry/api`
 */
export function traceQueries(tracer: QueryTracer): () => void {
  const spans = new WeakMap<QueryTrace, TracingSpan>();
  const listener = {
    start: (trace: QueryTrace) => {
      const operation = operationOf(trace.text);
      const attributes = { 'db.system.name': 'postgresql', ...(operation === undefined ? {} : { 'db.operation.name': operation }), ...(trace.parameterCount > 0 ? { 'db.query.text': trace.text } : {}) };
      spans.set(trace, tracer.startSpan(operation ?? 'postgresql', { kind: CLIENT, attributes }));
    },
    asyncEnd: (trace: QueryTrace) => {
      const span = spans.get(trace);
      if (span === undefined) return;
      if (trace.error !== undefined) enterError(span, trace.error);
      span.setAttributes({ ...(trace.database === undefined ? {} : { 'db.namespace': trace.database }), ...(trace.clusterId === undefined ? {} : { 'replicaverse.cluster': trace.clusterId }) });
      span.end();
    },
    end: () => undefined,
    asyncStart: () => undefined,
    error: () => undefined,
  };
  channel.subscribe(listener);
  return () => channel.unsubscribe(listener);
}

function enterError(span: TracingSpan, error: unknown): void {
  const { code, name, severity } = (error ?? {}) as { code?: string; name?: string; severity?: string };
  // What the database reports has a severity, and a SQLSTATE as its code.
  if (severity !== undefined && code !== undefined) span.setAttributes({ 'db.response.status_code': code });
  span.setAttributes({ 'error.type': code ?? name ?? 'Error' });
  span.setStatus({ code: ERROR });
}

/** The first word of a text, if it begins with one. */
function operationOf(text: string): string | undefined {
  return /^\s*([a-z]+)/i.exec(text)?.[1]?.toUpperCase();
}
