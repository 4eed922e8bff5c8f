// `pgm doctor`: whether the clusters are fit for migrations.
import type { ClustersConfig } from '../../pg-multiverse/config-types.js';
import { PgMultiverse } from '../../pg-multiverse/pg-multiverse.js';
import { withShards } from '../../pg-multiverse/sharding/sharded-clusters.js';
import type { PgmParts } from './session.js';

/** What was found on a cluster. */
interface Finding {
  cluster: string;
  check: string;
  ok: boolean;
  detail: string;
}

/** Clocks that differ by more make the times of locks and histories misleading; milliseconds. */
const MOST_SKEW = 5_000;

const SETTINGS = `SELECT current_setting('server_version') AS version, current_setting('wal_level') AS wal_level,
  current_setting('max_prepared_transactions')::int AS prepared, pg_is_in_recovery() AS is_standby,
  has_database_privilege(current_database(), 'CREATE') AS may_create, clock_timestamp() AS now`;
const REPLICA = "SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS is_standby";
const PREPARED = `SELECT gid, prepared FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared`;
const INVALID = `SELECT i.indexrelid::regclass::text AS name FROM pg_index AS i WHERE NOT i.indisvalid ORDER BY 1`;
const SCHEMAS = `SELECT wanted.name, n.oid IS NOT NULL AS exists, COALESCE(has_schema_privilege(n.oid, 'CREATE'), false) AS may_create
  FROM unnest($1::text[]) AS wanted (name) LEFT JOIN pg_namespace AS n ON n.nspname = wanted.name`;

/** Looks at each cluster, also where another cannot be reached; fails if something is not as migrations need it. */
export async function doctor({ config, output }: PgmParts): Promise<number> {
  const findings: Finding[] = [];
  for (const [cluster, each] of Object.entries(config.clusters)) findings.push(...(await examineCluster(cluster, each)));
  output.table(
    ['CLUSTER', 'CHECK', 'OK', 'DETAIL'],
    findings.map(({ cluster, check, ok, detail }) => [cluster, check, ok ? 'yes' : 'no', detail]),
  );
  output.json({ findings });
  return findings.every(({ ok }) => ok) ? 0 : 1;
}

/** The replicas of a sharded cluster are shards, which are clusters of their own here. */
async function examineCluster(cluster: string, config: ClustersConfig[string]): Promise<Finding[]> {
  const isSharded = config.sharding != null && config.sharding.enabled !== false;
  const { replicas = [] } = config;
  const shown = isSharded ? config : { ...config, replicas: [] };
  const findings = await connected(cluster, 'connection', shown, async (db) => {
    const found: Finding[] = [];
    for (const [id, { schemas = [] }] of Object.entries(withShards({ [cluster]: shown }))) found.push(...(await examine(db, id, schemas)));
    return found;
  });
  for (const [at, replica] of (isSharded ? [] : replicas).entries()) {
    const check = `replica ${at + 1}`;
    const alone = { ...config, primary: replica, replicas: [] };
    findings.push(...(await connected(cluster, check, alone, async (db) => [await examineReplica(db, cluster, check)])));
  }
  return findings;
}

/** What is found over a connection; that there is none is a finding as well. */
async function connected(cluster: string, check: string, config: ClustersConfig[string], look: (db: PgMultiverse) => Promise<Finding[]>): Promise<Finding[]> {
  const db = new PgMultiverse({ cluster: { applicationName: 'pgm' } });
  try {
    await db.initialize({ [cluster]: config });
    return await look(db);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // Which server it is, stands beside.
    return [{ cluster, check, ok: false, detail: message.replace(`${cluster}_primary: `, '') }];
  } finally {
    await db.close();
  }
}

async function examineReplica(db: PgMultiverse, cluster: string, check: string): Promise<Finding> {
  const { rows } = await db.query<{ version: string; is_standby: boolean }>(REPLICA, [], { clusterId: cluster });
  const [server] = rows;
  return { cluster, check, ok: server !== undefined, detail: `PostgreSQL ${server?.version ?? ''}, ${server?.is_standby === true ? 'a standby' : 'no standby of another server'}` };
}

async function examine(db: PgMultiverse, cluster: string, schemas: readonly string[]): Promise<Finding[]> {
  const finding = (check: string, ok: boolean, detail: string): Finding => ({ cluster, check, ok, detail });
  const client = await db.getConnection({ clusterId: cluster, operation: 'write' });
  try {
    const before = Date.now();
    const { rows } = await client.query<{ version: string; wal_level: string; prepared: number; is_standby: boolean; may_create: boolean; now: Date }>(SETTINGS);
    const [settings] = rows;
    if (settings === undefined) return [finding('connection', false, 'no answer')];
    const skew = Math.max(0, before - settings.now.getTime(), settings.now.getTime() - Date.now());
    const prepared = (await client.query<{ gid: string }>(PREPARED)).rows;
    const invalid = (await client.query<{ name: string }>(INVALID)).rows;
    const found = [
      finding('connection', !settings.is_standby, `PostgreSQL ${settings.version}${settings.is_standby ? ', a standby that takes no writes' : ''}`),
      finding('clock', skew <= MOST_SKEW, `${skew} ms apart`),
      finding('wal_level', true, settings.wal_level),
      finding('two-phase commit', true, settings.prepared === 0 ? 'off (max_prepared_transactions = 0): atomic migrations cannot run' : `up to ${settings.prepared}`),
      finding('prepared transactions', prepared.length === 0, prepared.length === 0 ? 'none' : prepared.map(({ gid }) => gid).join(', ')),
      finding('indexes', invalid.length === 0, invalid.length === 0 ? 'all valid' : `not valid: ${invalid.map(({ name }) => name).join(', ')}`),
    ];
    const places = (await client.query<{ name: string; exists: boolean; may_create: boolean }>(SCHEMAS, [schemas])).rows;
    return [...found, ...places.map(({ name, exists, may_create: mayCreate }) => finding(`schema ${name}`, exists ? mayCreate : settings.may_create, schemaDetail(exists, mayCreate, settings.may_create)))];
  } finally {
    client.release();
  }
}

function schemaDetail(exists: boolean, mayCreate: boolean, mayMake: boolean): string {
  if (exists) return mayCreate ? 'exists, with the right to create in it' : 'exists, without the right to create in it';
  return mayMake ? 'does not exist; createSchemas would make it' : 'does not exist, and there is no right to make it';
}
