// The files of migrations of both sides: the same statements, each side's own comments around them.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * Every tenth makes a table, those after it change that.
 *
 * @param {number} number from 0
 */
function statementsOf(number) {
  const table = `table_${Math.floor(number / 10)}`;
  const step = number % 10;
  if (step === 0) return { up: `CREATE TABLE ${table} (id bigint PRIMARY KEY, name text NOT NULL);`, down: `DROP TABLE ${table};` };
  return { up: `ALTER TABLE ${table} ADD COLUMN column_${step} text;`, down: `ALTER TABLE ${table} DROP COLUMN column_${step};` };
}

/**
 * Writes the files of both sides into folders of their own.
 *
 * @param {string} folder
 * @param {number} count
 * @returns {Promise<{ours: string, peer: string}>} the folders
 */
export async function writeFiles(folder, count) {
  const folders = { ours: path.join(folder, 'ours'), peer: path.join(folder, 'peer') };
  await Promise.all(Object.values(folders).map((each) => mkdir(each)));
  for (let number = 0; number < count; number += 1) {
    const name = `${20260101000000 + number}_step.sql`;
    const { up, down } = statementsOf(number);
    await writeFile(path.join(folders.ours, name), `-- schemas: public\n-- up\n${up}\n-- down\n${down}\n`);
    await writeFile(path.join(folders.peer, name), `-- Up Migration\n${up}\n-- Down Migration\n${down}\n`);
  }
  return folders;
}
