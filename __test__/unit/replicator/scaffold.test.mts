// Service files that a project is given, and what completes a tree file whose passwords are masked.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scaffoldMonitorService, scaffoldReplicatorService } from '../../../dist/index.js';
import { loadEnvironmentFiles } from '../../../dist/replicator/environment-files.js';
import { completeUri } from '../../../dist/replicator/tree-connecting.js';

const COMMAND = fileURLToPath(new URL('../../../dist/cli/replicator-scaffold.js', import.meta.url));
const run = promisify(execFile);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'replicaverse-scaffold-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

describe('a service file', () => {
  it('is written once, unless forced, and not at all in a dry run', async () => {
    const path = join(folder, 'services', 'replicator.mjs');
    expect(scaffoldReplicatorService({ projectDir: folder, dryRun: true })).toMatchObject({ wrote: false, path, action: 'dry-run' });
    expect(scaffoldReplicatorService({ projectDir: folder })).toMatchObject({ wrote: true, path, action: 'created' });
    await writeFile(path, 'mine');
    expect(scaffoldReplicatorService({ projectDir: folder })).toMatchObject({ wrote: false, action: 'skipped (exists)' });
    expect(await readFile(path, 'utf8')).toBe('mine');
    const { action, content } = scaffoldReplicatorService({ projectDir: folder, force: true });
    expect([action, await readFile(path, 'utf8')]).toEqual(['overwritten', content]);
    expect(scaffoldReplicatorService({ projectDir: folder, servicePath: 'new.mjs', force: true }).action).toBe('overwritten');
  });

  it('finds the package under the name by which it is installed', async () => {
    expect(scaffoldMonitorService({ projectDir: folder, dryRun: true }).content).toContain("from 'replicaverse'");
    await mkdir(join(folder, 'node_modules', '@mostajs', 'replica-monitor'), { recursive: true });
    expect(scaffoldMonitorService({ projectDir: folder, dryRun: true }).content).toContain("from '@mostajs/replica-monitor'");
  });

  it('comes with a unit for systemd and a Dockerfile where they are asked for', async () => {
    const { action, also } = scaffoldReplicatorService({ projectDir: folder, systemd: true, docker: true });
    expect([action, also?.map((file) => [file.path, file.action])]).toEqual([
      'created',
      [[join(folder, 'services', 'replicator.service'), 'created'], [join(folder, 'services', 'Dockerfile'), 'created']],
    ]);
    expect(await readFile(join(folder, 'services', 'replicator.service'), 'utf8')).toContain('ExecStart=/usr/bin/env node services/replicator.mjs\n');
    expect(await readFile(join(folder, 'services', 'Dockerfile'), 'utf8')).toContain('CMD ["node", "services/replicator.mjs"]');
    expect(scaffoldReplicatorService({ projectDir: folder, systemd: true }).also?.[0]?.action).toBe('skipped (exists)');
    const { stdout } = await run(process.execPath, [COMMAND, '--dir', folder, '--docker', '--force']);
    expect(stdout).toContain(`✓ overwritten : ${join(folder, 'services', 'Dockerfile')}\n`);
  });

  it('is written by the command, which prints what became of it', async () => {
    const path = join(folder, 'services', 'replicator.mjs');
    const command = async (...args: string[]): Promise<string> => (await run(process.execPath, [COMMAND, '--dir', folder, ...args])).stdout;
    expect(await command('--dry-run')).toMatch(new RegExp(`^\\[dry-run\\] would write ${path} \\(\\d+ bytes\\)\n`));
    expect(await command()).toContain(`✓ created : ${path}\n`);
    expect(await command()).toContain(`• skipped (exists) : ${path}\n`);
    expect(await command('--force')).toContain(`✓ overwritten : ${path}\n`);
    await expect(run(process.execPath, [COMMAND, '--nonsense'])).rejects.toMatchObject({ code: 2 });
  });
});

describe('a URI of a tree file', () => {
  it('whose password is masked is completed from its variable, which is named where it is missing', () => {
    const uri = 'postgres://u:***@h/d';
    expect(() => completeUri('my shop', 'r-1', uri, {})).toThrow('REPLICATOR_MY_SHOP_R_1_URI');
    expect(completeUri('my shop', 'r-1', uri, { REPLICATOR_MY_SHOP_R_1_URI: 'postgres://u:p@h/d' })).toBe('postgres://u:p@h/d');
    expect(() => completeUri('p', 'm', 'host=h password=*** dbname=d', {})).toThrow('REPLICATOR_P_M_URI');
  });

  it('may name variables, and is taken as it is otherwise', () => {
    expect(completeUri('p', 'm', 'postgres://u:${PASSWORD}@${HOST}/d', { PASSWORD: 's', HOST: 'h' })).toBe('postgres://u:s@h/d');
    expect(() => completeUri('p', 'm', '${ABSENT}', {})).toThrow('the variable ABSENT is not set');
    expect(completeUri('p', 'm', 'm.db', {})).toBe('m.db');
  });
});

it('variables in files are taken over unless they are set, those of the first file first', async () => {
  const [first, second] = [join(folder, 'config.env'), join(folder, '.env')];
  await writeFile(first, '# a comment\nA=1\nexport B="two words"\nnonsense\n');
  await writeFile(second, "A=2\r\nC='x=y#z'\r\nSET=no\r\n");
  const environment: NodeJS.ProcessEnv = { SET: 'yes' };
  loadEnvironmentFiles([first, second, join(folder, 'absent.env')], environment);
  expect(environment).toEqual({ SET: 'yes', A: '1', B: 'two words', C: 'x=y#z' });
});
