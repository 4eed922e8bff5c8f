// Data folders for MariaDB: copied from a template that mariadb-install-db made once per server version.
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { cached, cacheFolder } from '../../scripts/servers/cache.mjs';
import { runOrThrow } from '../../scripts/servers/command.mjs';
import { handOver } from './account.mjs';
import { createDataFolder, createServerFolder } from './server-folder.mjs';
import { serverEnvironment } from './server-process.mjs';

/** @typedef {import('./account.mjs').Account} Account */
/** @typedef {import('./server-folder.mjs').ServerFolder} ServerFolder */

// Goes up when the way templates are made changes.
const TEMPLATE_FORMAT = 1;

/**
 * Makes the data folder of a new server. Its only account is `root`, without password, from this machine.
 * @param {import('../../scripts/servers/mariadb.mjs').MariadbServer} server
 * @param {ServerFolder} folder
 * @param {Account | undefined} account
 */
export async function copyTemplate(server, folder, account) {
  const name = `mariadb-data-${TEMPLATE_FORMAT}-${server.version.replaceAll(/[^\w.]+/g, '-')}`;
  const template = await cached(cacheFolder(), name, (draft) => makeTemplate(server, account, draft));
  await runOrThrow('cp', ['-R', path.join(template, 'data'), folder.data]);
  await runOrThrow('chmod', ['-R', 'u+rwX,go-rwx', folder.data]);
  await handOver(folder.data, account);
}

/**
 * @param {import('../../scripts/servers/mariadb.mjs').MariadbServer} server
 * @param {Account | undefined} account
 * @param {string} draft
 */
async function makeTemplate(server, account, draft) {
  // The cache may lie where the account cannot go, so the program works in a temporary folder.
  const folder = await createServerFolder(account);
  try {
    await createDataFolder(folder, account);
    const flags = ['--no-defaults', `--datadir=${folder.data}`, `--tmpdir=${folder.socket}`, '--innodb-log-file-size=16M'];
    await runOrThrow(server.installDb, [...flags, '--auth-root-authentication-method=normal', '--skip-test-db'], {
      ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
      cwd: folder.socket,
      env: serverEnvironment(),
    });
    await mkdir(draft, { recursive: true });
    await runOrThrow('cp', ['-R', folder.data, path.join(draft, 'data')]);
  } finally {
    await folder.remove();
  }
}
