// What tracing tells of queries, and that it makes nothing while nobody listens.
import { tracingChannel } from 'node:diagnostics_channel';
import { expect, it } from 'vitest';
import { beginTrace, type QueryTrace, traceQueries } from '../../../dist/pg-multiverse/query-tracing.js';

const primary = { host: 'h', port: 5432, database: 'shop', user: 'u', password: 'p' };
const clusterOf = () => ({ primary });

interface Span {
  name: string;
  kind: number;
  attributes: Record<string, string | number>;
  status?: number;
  ended: boolean;
}

function tracer(): { spans: Span[]; startSpan: Parameters<typeof traceQueries>[0]['startSpan'] } {
  const spans: Span[] = [];
  return {
    spans,
    startSpan(name, { kind, attributes }) {
      const span: Span = { name, kind, attributes: { ...attributes }, ended: false };
      spans.push(span);
      return {
        setAttributes: (more) => Object.assign(span.attributes, more),
        setStatus: ({ code }) => (span.status = code),
        end: () => void (span.ended = true),
      };
    },
  };
}

it('makes nothing while nobody listens', () => {
  expect(beginTrace('SELECT 1', 0, clusterOf)).toBeUndefined();
});

it('tells one object of a query on all channels, and never its values', () => {
  const told: [string, QueryTrace][] = [];
  const listener = Object.fromEntries(['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((name) => [name, (trace: unknown) => told.push([name, trace as QueryTrace])]));
  const channel = tracingChannel('replicaverse:query');
  channel.subscribe(listener as never);
  try {
    beginTrace('SELECT $1', 1, clusterOf)?.succeeded('main', 2.5, undefined);
    beginTrace('SELECT 1', 0, clusterOf)?.failed(new Error('no'));
  } finally {
    channel.unsubscribe(listener as never);
  }
  expect(told.map(([name]) => name)).toEqual(['start', 'end', 'asyncStart', 'asyncEnd', 'start', 'end', 'error', 'asyncStart', 'asyncEnd']);
  expect(new Set(told.map(([, trace]) => trace)).size).toBe(2);
  expect(told[0]?.[1]).toEqual({ text: 'SELECT $1', parameterCount: 1, clusterId: 'main', database: 'shop', duration: 2.5 });
});

it('makes spans by the conventions for databases until it is ended', () => {
  const { spans, startSpan } = tracer();
  const end = traceQueries({ startSpan });
  beginTrace(' select * from orders where id = $1', 1, clusterOf)?.succeeded('main', 1, undefined);
  beginTrace("SELECT 'secret'", 0, clusterOf)?.failed(Object.assign(new Error('x'), { code: '42P01', severity: 'ERROR' }));
  beginTrace('SELECT 2', 0, clusterOf)?.failed(Object.assign(new Error('x'), { code: 'ERR_TIMEOUT' }));
  end();
  expect(beginTrace('SELECT 3', 0, clusterOf)).toBeUndefined();
  expect(spans).toEqual([
    {
      name: 'SELECT',
      kind: 2,
      attributes: { 'db.system.name': 'postgresql', 'db.operation.name': 'SELECT', 'db.query.text': ' select * from orders where id = $1', 'db.namespace': 'shop', 'replicaverse.cluster': 'main' },
      ended: true,
    },
    { name: 'SELECT', kind: 2, attributes: { 'db.system.name': 'postgresql', 'db.operation.name': 'SELECT', 'error.type': '42P01', 'db.response.status_code': '42P01' }, status: 2, ended: true },
    { name: 'SELECT', kind: 2, attributes: { 'db.system.name': 'postgresql', 'db.operation.name': 'SELECT', 'error.type': 'ERR_TIMEOUT' }, status: 2, ended: true },
  ]);
});
