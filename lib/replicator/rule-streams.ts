// What a rule of mode cdc tells while it streams, as the core reports it and as applications hear it.

import { ReplicaverseError } from '../errors.js';
import type { BatchReport, ChangeNotice, ConflictNotice, LagReport, RuleState, StateReport } from './stream-types.js';

type Tagged<K extends string, T> = T & { type: K };

/** What the core reports, with moments in milliseconds. */
type Report =
  | Tagged<'state', StateReport>
  | Tagged<'batch', Omit<BatchReport, 'committedAt' | 'duration'> & { committedAtMs: number; durationMs: number }>
  | Tagged<'lag', { rule: string; lagMs: number; retainedBytes: number }>
  | Tagged<'change', Omit<ChangeNotice, 'at'> & { at: number }>
  | Tagged<'conflict', ConflictNotice>
  | Tagged<'error', { rule: string; code: string; message: string; retryable: boolean }>;

/** Who hears of a stream. */
export interface StreamListener {
  state(report: StateReport): void;
  batch(report: BatchReport): void;
  lag(report: LagReport): void;
  change(notice: ChangeNotice): void;
  conflict(notice: ConflictNotice): void;
  error(error: ReplicaverseError): void;
}

/** Passes a report of the core on. */
export function passOn(json: string, listener: StreamListener): void {
  const { type, ...report } = JSON.parse(json) as Report;
  switch (type) {
    case 'state':
      listener.state(report as StateReport);
      return;
    case 'batch': {
      const { committedAtMs, durationMs, ...batch } = report as Omit<Extract<Report, { type: 'batch' }>, 'type'>;
      listener.batch({ ...batch, committedAt: new Date(committedAtMs), duration: durationMs });
      return;
    }
    case 'lag': {
      const { rule, lagMs, retainedBytes } = report as Omit<Extract<Report, { type: 'lag' }>, 'type'>;
      listener.lag({ rule, lag: lagMs, retainedBytes });
      return;
    }
    case 'change': {
      const notice = report as Omit<Extract<Report, { type: 'change' }>, 'type'>;
      listener.change({ ...notice, at: new Date(notice.at) });
      return;
    }
    case 'conflict':
      listener.conflict(report as ConflictNotice);
      return;
    case 'error': {
      const { rule, code, message, retryable } = report as Omit<Extract<Report, { type: 'error' }>, 'type'>;
      listener.error(Object.assign(new ReplicaverseError(message, { code, retryable }), { rule }));
    }
  }
}

/** The states of rules from the core's JSON. */
export function readRuleStates(json: string): RuleState[] {
  const states = JSON.parse(json) as (Omit<RuleState, 'since' | 'lag'> & { since: number; lagMs?: number })[];
  return states.map(({ since, lagMs, ...state }) => ({ ...state, ...(lagMs === undefined ? {} : { lag: lagMs }), since: new Date(since) }));
}
