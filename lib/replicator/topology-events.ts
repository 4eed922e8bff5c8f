// Events of the native core about replicas, from JSON to what listeners are told.
import type { ReplicationEvents } from './types.js';

type CoreEvents = Pick<ReplicationEvents, 'replica.state' | 'replica.feed' | 'rows.lost' | 'quorum' | 'failover' | 'failover.refused'>;

/** An event of the core and what its listeners are given. */
export type TopologyEvent = { [E in keyof CoreEvents]: { event: E; args: CoreEvents[E] } }[keyof CoreEvents];

/** Reads an event as the core writes it. */
export function readTopologyEvent(json: string): TopologyEvent {
  const { event, ...told } = JSON.parse(json) as { event: TopologyEvent['event'] } & Record<string, unknown>;
  if (event === 'replica.state') told.state = told.status === 'connected' ? 'up' : 'down';
  return { event, args: [told] } as unknown as TopologyEvent;
}
