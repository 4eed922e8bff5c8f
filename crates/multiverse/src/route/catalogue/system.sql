-- What is built into the server, as `rows.rs` reads it: read once. The built-in objects have oids under 16384.
WITH reference(id, target) AS (
  SELECT w.ev_class, CASE m[1] WHEN 'relid' THEN 'r' ELSE 'f' END || m[2]
    FROM pg_catalog.pg_rewrite w, LATERAL pg_catalog.regexp_matches(w.ev_action::text,
      ':(relid|funcid|opfuncid|aggfnoid|winfnoid|tsmhandler) ([1-9]\d*)', 'g') m
    WHERE w.ev_type = '1' AND w.ev_class < 16384
)
SELECT 'functions' AS kind, NULL AS id, NULL AS schema, pg_catalog.json_agg(DISTINCT p.proname)::text AS name,
    NULL AS reason, NULL AS targets, NULL AS body
  FROM pg_catalog.pg_proc p WHERE p.oid < 16384
UNION ALL
SELECT 'operators', NULL, NULL, pg_catalog.json_agg(DISTINCT o.oprname)::text, NULL, NULL, NULL
  FROM pg_catalog.pg_operator o WHERE o.oid < 16384
UNION ALL
SELECT 'types', NULL, NULL, pg_catalog.json_agg(DISTINCT t.typname)::text, NULL, NULL, NULL
  FROM pg_catalog.pg_type t WHERE t.oid < 16384
UNION ALL
SELECT 'relations', NULL, NULL, pg_catalog.json_agg(DISTINCT c.relname)::text, NULL, NULL, NULL
  FROM pg_catalog.pg_class c WHERE c.oid < 16384 AND c.relkind IN ('r', 'v')
UNION ALL
SELECT 'f', p.oid::text, n.nspname, p.proname, 'volatile', NULL, NULL
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE p.oid < 16384 AND p.provolatile = 'v'
UNION ALL
SELECT 'r', c.oid::text, n.nspname, c.relname, NULL, r.targets, NULL
  FROM (SELECT id, pg_catalog.string_agg(DISTINCT target, ' ') AS targets FROM reference GROUP BY id) r
    JOIN pg_catalog.pg_class c ON c.oid = r.id
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
