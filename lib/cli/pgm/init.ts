// `pgm init`: a configuration and a folder to begin with.
import { mkdir, writeFile } from 'node:fs/promises';
import type { Output } from './output.js';

const FILE = 'pgm.config.json';
const FOLDER = 'migrations';

const CONFIG = {
  clusters: {
    main: {
      schemas: ['public'],
      primary: { host: '${PGHOST:-127.0.0.1}', port: '${PGPORT:-5432}', database: '${PGDATABASE:-postgres}', user: '${PGUSER:-postgres}', password: '${PGPASSWORD:-}' },
    },
  },
  migrations: { migrationsPath: `./${FOLDER}` },
};

/** Makes the files, and overwrites none unless it is told to. */
export async function init(output: Output, { force = false }: { force?: boolean }): Promise<number> {
  try {
    await writeFile(FILE, `${JSON.stringify(CONFIG, null, 2)}\n`, { flag: force ? 'w' : 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    output.fail(`${FILE} exists; --force overwrites it`);
    return 1;
  }
  await mkdir(FOLDER, { recursive: true });
  output.line(`✅ Created ${FILE} and ${FOLDER}/`);
  output.line('💡 Next: pgm create first_tables --schemas public');
  output.json({ config: FILE, migrations: FOLDER });
  return 0;
}
