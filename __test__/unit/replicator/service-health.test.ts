// The health that the service tells a supervisor.
import { describe, expect, it } from 'vitest';
import type { ReplicaInfo, RuleState } from '../../../dist/index.js';
import { healthOf } from '../../../dist/replicator/service-health.js';

const replica = (status: ReplicaInfo['status']): ReplicaInfo => ({ name: 'm', role: 'master', dialect: 'sqlite', status, schemasCount: 0, poolMax: 1 });
const stream = (state: RuleState['state']): RuleState => ({ rule: 'r', state, since: new Date(0) });
const manager = (replicas: ReplicaInfo[], rules: RuleState[]) => ({ listProjects: () => ['p'], getReplicaStatus: () => replicas, getRuleStates: () => rules });

describe('the health of the service', () => {
  it('is good when every replica is connected, streams run here or elsewhere, and runs succeed', () => {
    const health = healthOf(manager([replica('connected')], [stream('streaming'), stream('standby')]), new Set(), 5);
    expect(health).toEqual({ ok: true, lastPass: 5, problems: [] });
  });

  it('names what is wrong', () => {
    const { ok, problems } = healthOf(manager([replica('error')], [stream('lost')]), new Set(['x']), null);
    expect([ok, problems]).toEqual([
      false,
      ['replica p/m is error', 'rule r is lost', 'the last run of rule x failed', 'the first pass has not ended'],
    ]);
  });
});
