// A runner of migrations that is killed while it runs.
import { withMigrations } from './folder.mjs';

const [, , uri = '', migrationsPath = ''] = process.argv;
await withMigrations({ main: { uri, schemas: ['public'] } }, { migrationsPath }, (db) => db.migrate());
