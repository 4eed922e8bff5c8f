// The dashboard over HTTP: its endpoints, its events, and who may use it.
import { request } from 'node:http';
import { Script } from 'node:vm';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { startMonitor } from '../../../dist/index.js';
import type { ActivityEvent, MonitorConfig, MonitorHandle, MonitoredReplica } from '../../../dist/index.js';
import { StubManager } from './managers.js';

const TOKEN = 'a-token-of-the-test';

let monitor: MonitorHandle | undefined;
afterEach(async () => {
  await monitor?.stop();
  await monitor?.stop();
});

async function start(config: Partial<MonitorConfig> = {}): Promise<{ manager: StubManager; url: string }> {
  const manager = new StubManager();
  monitor = await startMonitor({ manager, port: 0, pollMs: 20, ...config });
  return { manager, url: monitor.url };
}

const json = async (url: string, init?: RequestInit): Promise<unknown> => (await fetch(url, init)).json();
const bearer = { authorization: `Bearer ${TOKEN}` };

describe('its endpoints', () => {
  it('tell of replicas with their state, of rules with their last run, and of routing', async () => {
    const { url } = await start();
    expect(await json(`${url}/api/health`)).toEqual({ ok: true, ts: expect.any(Number) });
    expect(await json(`${url}/api/replicas`)).toMatchObject({ p: [{ name: 'm', role: 'master', state: 'up' }, { name: 's', lag: 1500, state: 'up' }] });
    expect(await json(`${url}/api/rules`)).toMatchObject([{ name: 'r', collections: ['*'], lastStats: { inserted: 3, updated: 0, deleted: 0, failed: 0 } }]);
    expect(await json(`${url}/api/routing`)).toEqual({ p: 'least-lag' });
    expect((await fetch(`${url}/api/nothing`)).status).toBe(404);
  });

  it('are not reached by a request for no address at all, which ends nothing', async () => {
    const { url } = await start({ authToken: TOKEN });
    for (const path of ['//', 'http://[::bad/']) {
      const status = await new Promise((resolve, reject) => {
        request(url, { path }, (response) => resolve(response.resume().statusCode)).on('error', reject).end();
      });
      expect(status).toBe(400);
    }
    expect((await fetch(`${url}/api/health`, { headers: bearer })).status).toBe(200);
  });

  it('give figures to Prometheus', async () => {
    const { manager, url } = await start();
    manager.replicas.push({ name: 'a"b\\c', role: 'slave', status: 'error' });
    manager.replicas.push({ name: 'bare', status: 'connected' } as MonitoredReplica);
    const text = await (await fetch(`${url}/metrics`)).text();
    expect(text).toContain('replicaverse_replica_up{project="p",replica="bare",role="unknown"} 1\n');
    expect(text).toContain('replicaverse_replica_lag_seconds{project="p",replica="s",role="slave"} 1.5\n');
    expect(text).toContain('replicaverse_replica_up{project="p",replica="a\\"b\\\\c",role="slave"} 0\n');
    expect(text).toContain('replicaverse_rule_last_run_inserted{rule="r"} 3\n');
  });

  it('give a page that needs nothing else and runs only its own script', async () => {
    const { url } = await start();
    const answer = await fetch(url);
    const policy = answer.headers.get('content-security-policy') ?? '';
    const page = await answer.text();
    const nonce = /script-src 'nonce-(?<nonce>[^']+)'/.exec(policy)?.groups?.['nonce'];
    expect(policy).toContain("default-src 'none'");
    expect(page).toContain(`<script nonce="${nonce}">`);
    expect(page).not.toMatch(/(?:src|href)="https?:/);
    expect(page).not.toContain(' style="');
    const [, script = ''] = /<script nonce="[^"]+">([^]*)<\/script>/.exec(page) ?? [];
    expect(() => new Script(script)).not.toThrow();
  });
});

describe('its events', () => {
  it('tell of what changed, to the callback, to the list and to the stream', async () => {
    const heard: ActivityEvent[] = [];
    const { manager, url } = await start({ onEvent: (event) => heard.push(event) });
    const stream = await fetch(`${url}/api/stream`);
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    manager.replicas = [
      { name: 'm', role: 'slave', status: 'error' },
      { name: 's', role: 'master', status: 'connected' },
      { name: 'n', role: 'slave', status: 'disconnected' },
    ];
    manager.rules = [];
    let text = '';
    while (!text.includes('rule.removed')) text += (await reader?.read())?.value ?? '';
    await reader?.cancel();
    const told = [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => JSON.parse(data) as ActivityEvent);
    expect(told).toMatchObject([
      { type: 'replica.state', project: 'p', replica: 'm', state: 'down', ts: expect.any(Number) },
      { type: 'replica.promoted', project: 'p', replica: 's' },
      { type: 'replica.state', replica: 's', state: 'up' },
      { type: 'replica.added', replica: 'n', role: 'slave' },
      { type: 'replica.state', replica: 'n', state: 'connecting' },
      { type: 'rule.removed', rule: 'r' },
    ]);
    expect(heard.slice(-told.length)).toEqual(told);
    expect(await json(`${url}/api/events`)).toEqual(heard);
  });

  it('are looked for once in a while at the longest, and not all the time, when a longer pause is asked for than timers know', async () => {
    let looks = 0;
    const { manager, url } = await start({ pollMs: 3e9 });
    manager.getReplicaStatus = () => { looks += 1; return manager.replicas; };
    for (let asked = 0; asked < 20; asked += 1) await json(`${url}/api/health`);
    expect(looks).toBe(0);
  });

  it('of a manager that tells of its runs come at once', async () => {
    const heard: ActivityEvent[] = [];
    const { manager } = await start({ onEvent: (event) => heard.push(event), activityBufferSize: 2 });
    manager.emit('rule.sync.start', { rule: 'r' });
    manager.emit('failover', { project: 'p', newMaster: 's', oldMaster: 'm' });
    expect(heard.slice(-2)).toMatchObject([{ type: 'rule.sync.start', rule: 'r' }, { type: 'failover', newMaster: 's' }]);
    await monitor?.stop();
    expect(manager.listenerCount('failover')).toBe(0);
  });

  it('reach everybody else when the callback fails, which is told as an error and neither ends the process nor repeats an event', async () => {
    for (const onEvent of [() => { throw new Error('pager is down'); }, async () => Promise.reject(new Error('pager is down'))]) {
      const { manager, url } = await start({ onEvent });
      manager.replicas.push({ name: 'n', role: 'slave', status: 'connected' });
      const added = async (): Promise<ActivityEvent[]> =>
        ((await json(`${url}/api/events`)) as ActivityEvent[]).filter((event) => event.type === 'replica.added' && event.replica === 'n');
      await vi.waitUntil(async () => (await added()).length > 0, { timeout: 10_000 });
      manager.replicas.pop();
      await vi.waitUntil(async () => ((await json(`${url}/api/events`)) as ActivityEvent[]).some(({ type }) => type === 'replica.removed'), { timeout: 10_000 });
      expect(await added()).toHaveLength(1);
      expect(await json(`${url}/api/events`)).toContainEqual(expect.objectContaining({ type: 'error', message: 'pager is down' }));
      await monitor?.stop();
    }
  });

  it('are not told at all when the manager cannot be looked at as the dashboard starts, which leaves nothing behind', async () => {
    const { manager, url } = await start();
    const port = Number(new URL(url).port);
    await monitor?.stop();
    manager.getReplicaStatus = () => { throw new Error('not to be looked at'); };
    await expect(startMonitor({ manager, port })).rejects.toThrow('not to be looked at');
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });
});

describe('who may use it', () => {
  it('are those with the token, by header or in the address', async () => {
    const { url } = await start({ authToken: TOKEN });
    for (const path of ['/', '/api/replicas', '/api/stream', '/metrics']) {
      const refused = await fetch(url + path);
      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, 'Bearer']);
    }
    expect((await fetch(`${url}/?token=wrong`)).status).toBe(401);
    expect((await fetch(`${url}/?token=${TOKEN}`)).status).toBe(200);
    expect((await fetch(`${url}/api/health`, { headers: bearer })).status).toBe(200);
  });

  it.each(['latin1', 'utf8'] as const)('may have a token with letters beyond ASCII, sent as %s', async (encoding) => {
    const token = 'schlüssel-ñ';
    const { url } = await start({ authToken: token });
    // `fetch` sends every character as a byte.
    const sent = Buffer.from(token, encoding).toString('latin1');
    expect((await fetch(`${url}/api/health`, { headers: { authorization: `Bearer ${sent}` } })).status).toBe(200);
    expect((await fetch(`${url}/api/health`, { headers: { authorization: 'Bearer schlussel-n' } })).status).toBe(401);
  });

  it('are without a token those on this machine, and not those who come by a name of somebody else', async () => {
    await expect(startMonitor({ manager: new StubManager(), port: 0, host: '0.0.0.0' })).rejects.toMatchObject({ code: 'ERR_CONFIG' });
    const { url } = await start();
    const status = await new Promise((resolve, reject) => {
      request(url, { headers: { host: 'attacker.example' } }, ({ statusCode }) => { resolve(statusCode); }).on('error', reject).end();
    });
    expect(status).toBe(401);
  });

  it('can act only with the token in a header', async () => {
    const { manager, url } = await start({ authToken: TOKEN });
    const post = (path: string, body: object, headers: Record<string, string> = bearer): Promise<Response> =>
      fetch(`${url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    expect((await post(`/api/actions/sync?token=${TOKEN}`, { rule: 'r' }, {})).status).toBe(403);
    expect((await post('/api/actions/sync', { rule: 'r' })).status).toBe(200);
    expect((await post('/api/actions/promote', { project: 'p', name: 's' })).status).toBe(200);
    const refused = await post('/api/actions/promote', { project: 'p', name: 'x' });
    expect([refused.status, await refused.json()]).toEqual([400, { error: 'Replica "x" introuvable dans "p"' }]);
    expect((await post('/api/actions/drop', {})).status).toBe(404);
    expect(manager.done).toEqual([['sync', 'r'], ['promote', 'p', 's']]);
    await monitor?.stop();
    const open = await start();
    expect((await fetch(`${open.url}/api/actions/sync`, { method: 'POST', body: '{"rule":"r"}' })).status).toBe(403);
  });
});
