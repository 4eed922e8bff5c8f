// The table that is copied: ten columns of mixed types, the same for the same number of rows on every machine.
import pg from 'pg';

/** The table's name at both ends. */
export const TABLE = 'snapshot_bench_rows';

/** The table as PostgreSQL knows it, at the source and where the peer writes. */
export const CREATE_TABLE = `CREATE TABLE ${TABLE} (
  id text PRIMARY KEY,
  quantity integer NOT NULL,
  visits bigint,
  score double precision,
  price numeric(12, 2),
  active boolean,
  created_at timestamp with time zone,
  code character varying(32),
  note text,
  document jsonb
)`;

// Keys come in no order, as UUIDs do. Moments have milliseconds, which every database holds. One row in ten has a NULL.
const FILL_TABLE = `INSERT INTO ${TABLE}
SELECT md5(i::text)::uuid::text,
       (i * 7919 % 1000003 - 500000)::integer,
       CASE WHEN i % 10 = 0 THEN NULL ELSE i * 9007199254 END,
       sqrt(i::double precision) / 7,
       (i % 1000000)::numeric * 1.37,
       i % 3 = 0,
       timestamp with time zone '2024-01-01 00:00:00+00' + i * interval '61.007 seconds',
       'SKU-' || to_char(i, 'FM0000000000'),
       'Zoë ordered crème brûlée and 寿司, no. ' || i || ', mark ' || substr(md5('note' || i), 1, 12),
       jsonb_build_object('tags', jsonb_build_array('red', 'größer'), 'rank', i % 100,
                          'shipping', jsonb_build_object('express', i % 2 = 0, 'weight', 0.25))
FROM generate_series(1::bigint, $1::bigint) AS i`;

/**
 * Makes the table and fills it.
 * @param {string} uri of a PostgreSQL
 * @param {number} rows
 * @returns {Promise<void>}
 */
export async function createDataset(uri, rows) {
  const client = new pg.Client({ connectionString: uri });
  await client.connect();
  try {
    await client.query(`DROP TABLE IF EXISTS ${TABLE}`);
    await client.query(CREATE_TABLE);
    await client.query(FILL_TABLE, [rows]);
    await client.query(`VACUUM ANALYZE ${TABLE}`);
  } finally {
    await client.end();
  }
}
