// The dashboard as a person sees it: in headless Chromium, with the keyboard, in light and dark, on a phone.
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { type Browser, type Page, chromium } from 'playwright-core';
import { ReplicationManager, startMonitor } from 'replicaverse';
import type { EntitySchema, MonitorHandle } from 'replicaverse';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { requireServer } from '../../../scripts/servers/index.mjs';
import { eventually } from '../../support/index.mjs';

const TOKEN = 'a-token-of-the-test';
const SCREENSHOTS = fileURLToPath(new URL('../../../coverage/dashboard/', import.meta.url));
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const item: EntitySchema = { name: 'Item', collection: 'items', fields: { name: { type: 'string' } }, relations: {}, indexes: [], timestamps: false };

let browser: Browser;
let folder: string;
let manager: ReplicationManager;
let monitor: MonitorHandle;
let page: Page;
beforeAll(async () => {
  const { chromium: executablePath } = await requireServer('chromium');
  // Without a sandbox, as tests run as root in containers; the page is our own.
  browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  await mkdir(SCREENSHOTS, { recursive: true });
});
afterAll(async () => {
  await browser.close();
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-page-'));
  manager = new ReplicationManager(undefined, { lagIntervalMs: 50 });
  const replica = (name: string, role: 'master' | 'slave') => ({ name, role, dialect: 'sqlite' as const, uri: join(folder, `${name}.db`), pool: { min: 1, max: 4 } });
  await manager.addReplica('shop', replica('m', 'master'), [item]);
  await manager.resolveWriteService('shop')?.create('Item', { id: '1', name: 'one' });
  await manager.addReplica('shop', replica('s', 'slave'), [item]);
  await manager.addReplica('archive', replica('a', 'master'), [item]);
  manager.addReplicationRule({ name: 'orders', source: 'shop', target: 'archive', mode: 'cdc', collections: ['Item'] });
  monitor = await startMonitor({ manager, port: 0, pollMs: 100, authToken: TOKEN });
  page = await browser.newPage({ viewport: { width: 1280, height: 1000 } });
  await page.goto(`${monitor.url}/?token=${TOKEN}`);
  await page.getByText('live', { exact: true }).waitFor();
});
afterEach(async () => {
  await page.close();
  await monitor.stop();
  await manager.disconnectAll();
  await rm(folder, { recursive: true });
});

async function violations(): Promise<string[]> {
  await page.addScriptTag({ path: AXE }).catch(async () => {
    // The page lets no script in but its own; the test comes by the debugger.
    await page.evaluate(await import('node:fs/promises').then(({ readFile }) => readFile(AXE, 'utf8')));
  });
  const found = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } };
    return (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
  return found;
}

async function confirm(button: string): Promise<void> {
  await page.getByRole('button', { name: button }).click();
  await page.getByRole('button', { name: 'Do it' }).click();
}

it('shows replicas, rules, lag and figures, and changes live', async () => {
  expect(page.url()).not.toContain(TOKEN);
  await page.getByText('fed by this library').waitFor();
  await page.getByRole('list', { name: 'Directions of the rules' }).getByText('archive').waitFor();
  await manager.start('orders');
  await page.getByRole('cell', { name: /^streaming/ }).waitFor();
  await manager.removeReplica('shop', 's');
  await page.getByText('fed by this library').waitFor({ state: 'detached' });
  await page.locator('#events').getByText('replica.removed').waitFor();
});

it('acts after a confirmation: runs, streams, compares and stops a rule, and promotes a slave', async () => {
  await page.getByRole('button', { name: 'Run orders' }).click();
  await page.getByRole('button', { name: 'Cancel' }).click();
  expect(manager.getSyncStats('orders')).toBeUndefined();
  await confirm('Run orders');
  await eventually(() => manager.getSyncStats('orders')?.recordsSynced === 1);
  await confirm('Verify orders');
  await page.getByText(/^Equal at .*: 1 rows\.$/).waitFor();
  await confirm('Start orders');
  await eventually(() => manager.getRuleStates()[0]?.state === 'streaming');
  await confirm('Stop orders');
  await eventually(() => manager.getRuleStates().length === 0);
  await confirm('Promote s of shop');
  await eventually(() => manager.getReplicaStatus('shop').some(({ name, role }) => name === 's' && role === 'master'));
  await page.locator('#events').getByText('replica.promoted').first().waitFor();
});

it('is used by the keyboard alone', async () => {
  await page.keyboard.press('Tab');
  expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to the replicas');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Promote s of shop' }).focus();
  await page.keyboard.press('Enter');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await eventually(() => manager.getReplicaStatus('shop').some(({ name, role }) => name === 's' && role === 'master'));
});

it.each(['light', 'dark'] as const)('has no violation of accessibility in %s, on a desk and on a phone', async (colorScheme) => {
  await manager.start('orders');
  await page.emulateMedia({ colorScheme });
  await page.getByRole('cell', { name: /^streaming/ }).waitFor();
  for (const [device, width] of [['desk', 1280], ['phone', 390]] as const) {
    await page.setViewportSize({ width, height: 1000 });
    expect(await violations()).toEqual([]);
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);
    await page.screenshot({ path: join(SCREENSHOTS, `${device}-${colorScheme}.png`), fullPage: true });
  }
});
