// Managers as the dashboard sees them, without databases.
import { EventEmitter } from 'node:events';
import type { MonitoredManager, MonitoredReplica, MonitoredRule } from '../../../dist/index.js';

export const rule: MonitoredRule = {
  name: 'r',
  source: 'p',
  target: 'q',
  mode: 'snapshot',
  collections: ['*'],
  conflictResolution: 'source-wins',
  enabled: true,
};

/** A manager whose replicas a test changes. */
export class StubManager extends EventEmitter implements MonitoredManager {
  replicas: MonitoredReplica[] = [
    { name: 'm', role: 'master', dialect: 'postgres', status: 'connected', poolMax: 20 },
    { name: 's', role: 'slave', dialect: 'postgres', status: 'connected', lag: 1500, lagBytes: 42, poolMax: 20 },
  ];
  rules = [rule];
  readonly done: unknown[] = [];

  listProjects(): string[] {
    return ['p'];
  }

  getReplicaStatus(): MonitoredReplica[] {
    return this.replicas;
  }

  getReadRouting(): string {
    return 'least-lag';
  }

  listRules(): MonitoredRule[] {
    return this.rules;
  }

  getSyncStats(): { inserted: number } {
    return { inserted: 3 };
  }

  async sync(name: string): Promise<void> {
    this.done.push(['sync', name]);
  }

  async promoteToMaster(project: string, name: string): Promise<void> {
    if (name === 'x') throw new Error('Replica "x" introuvable dans "p"');
    this.done.push(['promote', project, name]);
  }
}
