-- What can be read in a database, as `sources.rs` reads it: relations with what they refer to, and functions whose results
-- may depend on more than their arguments. Objects of users have oids from 16384 on. `$1` is the publication.
WITH
  published(id) AS (
    SELECT (pg_catalog.to_jsonb(t) ->> 'relid')::oid FROM pg_catalog.pg_get_publication_tables($1::text) t
      WHERE (pg_catalog.to_jsonb(t) ->> 'qual') IS NULL
  ),
  expression(id, tree) AS (
    SELECT w.ev_class, w.ev_action::text FROM pg_catalog.pg_rewrite w WHERE w.ev_type = '1'
    UNION ALL
    SELECT y.polrelid, y.polqual::text FROM pg_catalog.pg_policy y WHERE y.polqual IS NOT NULL
  ),
  reference(id, target) AS (
    SELECT e.id, CASE WHEN m[1] = 'relid' THEN 'r' ELSE 'f' END || m[2]
      FROM expression e, LATERAL pg_catalog.regexp_matches(e.tree,
        ':(relid|funcid|opfuncid|aggfnoid|winfnoid|tsmhandler) ([1-9]\d*)', 'g') m
    UNION
    SELECT i.inhparent, 'r' || i.inhrelid FROM pg_catalog.pg_inherits i
    UNION
    -- The clock, the user and the session are read by nodes that are no functions.
    SELECT e.id, 'c' FROM expression e WHERE e.tree ~ '\{SQLVALUEFUNCTION '
  ),
  target_of(id, targets) AS (
    SELECT r.id, pg_catalog.string_agg(r.target, ' ') FROM reference r WHERE r.target <> 'r' || r.id GROUP BY r.id
  ),
  -- The only column of the primary key, where a change of it is told.
  key_of(id, name, type) AS (
    SELECT i.indrelid, a.attname, a.atttypid
      FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
      WHERE i.indisprimary AND i.indnkeyatts = 1 AND c.relreplident IN ('d', 'f')
  )
SELECT 'r' AS kind, c.oid::text AS id, n.nspname AS schema, c.relname AS name,
    CASE WHEN c.oid < 16384 THEN 'other' WHEN c.relkind IN ('v', 'p') THEN 'view'
      WHEN c.relkind = 'r' AND c.relpersistence = 'p' AND p.id IS NOT NULL THEN 'table' ELSE 'other' END AS what,
    t.targets, k.name AS key_name, k.type::text AS key_type
  FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN published p ON p.id = c.oid
    LEFT JOIN target_of t ON t.id = c.oid
    LEFT JOIN key_of k ON k.id = c.oid
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
UNION ALL
SELECT 'f', p.oid::text, n.nspname, p.proname, NULL, NULL, NULL, NULL
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE p.prokind <> 'a' AND (p.provolatile = 'v' OR (p.oid >= 16384 AND p.provolatile <> 'i')
    OR p.proname IN ('now', 'transaction_timestamp', 'statement_timestamp', 'age', 'current_setting', 'current_user',
      'session_user', 'current_database', 'current_schema', 'current_schemas', 'current_query', 'inet_client_addr',
      'inet_client_port', 'query_to_xml', 'table_to_xml', 'cursor_to_xml', 'schema_to_xml', 'database_to_xml',
      'query_to_xmlschema', 'query_to_xml_and_xmlschema', 'ts_stat', 'ts_rewrite', 'txid_current_snapshot',
      'pg_current_snapshot', 'txid_current_if_assigned', 'pg_current_xact_id_if_assigned', 'currtid2')
    OR (p.oid < 16384 AND p.provolatile = 's' AND p.proname ~ '^(pg_|has_|obj_description|col_description|shobj_|row_security|to_reg|lo_|inet_server)'))
UNION ALL
SELECT 'o', o.oid::text, n.nspname, o.oprname, NULL, NULL, NULL, NULL
  FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
    JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode
  WHERE o.oid >= 16384 AND p.provolatile <> 'i'
