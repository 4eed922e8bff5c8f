-- What the database's users have made, as `rows.rs` reads it: read again from time to time. The objects of users have
-- oids from 16384 on. What an expression calls is read from its stored tree, which names all functions by oid.
WITH
  expression(kind, id, tree) AS (
    SELECT 'f', p.oid, pg_catalog.concat(p.proargdefaults, pg_catalog.to_jsonb(p) ->> 'prosqlbody')
      FROM pg_catalog.pg_proc p WHERE p.oid >= 16384 AND p.prokind <> 'a'
    UNION ALL
    SELECT 'r', w.ev_class, w.ev_action::text
      FROM pg_catalog.pg_rewrite w WHERE w.ev_type = '1' AND w.ev_class >= 16384
    UNION ALL
    SELECT 'r', y.polrelid, y.polqual::text FROM pg_catalog.pg_policy y WHERE y.polqual IS NOT NULL
    UNION ALL
    SELECT 't', c.contypid, c.conbin::text
      FROM pg_catalog.pg_constraint c WHERE c.contypid >= 16384 AND c.conbin IS NOT NULL
  ),
  -- A cast belongs to its types that users have made; to built-in types only where both are built in.
  cast_type(id, function) AS (
    SELECT u.id, c.castfunc
      FROM pg_catalog.pg_cast c, LATERAL (VALUES (c.castsource), (c.casttarget)) AS u(id)
      WHERE c.castfunc >= 16384 AND (u.id >= 16384 OR (c.castsource < 16384 AND c.casttarget < 16384))
  ),
  own_type(id) AS (SELECT t.oid FROM pg_catalog.pg_type t WHERE t.oid >= 16384 UNION SELECT c.id FROM cast_type c),
  reference(kind, id, target) AS (
    SELECT e.kind, e.id, CASE m[1] WHEN 'relid' THEN 'r' WHEN 'resulttype' THEN 't' WHEN 'opno' THEN 'o'
        WHEN 'eqop' THEN 'o' WHEN 'sortop' THEN 'o' ELSE 'f' END || m[2]
      FROM expression e, LATERAL pg_catalog.regexp_matches(e.tree,
        ':(relid|resulttype|opno|eqop|sortop|funcid|opfuncid|aggfnoid|winfnoid|tsmhandler) ([1-9]\d*)', 'g') m
    UNION ALL
    SELECT 'f', p.oid, 't' || u.type
      FROM pg_catalog.pg_proc p, LATERAL pg_catalog.unnest(p.proargtypes) AS u(type)
      WHERE p.oid >= 16384 AND u.type >= 16384
    UNION ALL
    SELECT 'f', a.aggfnoid::oid, 'f' || u.target::oid
      FROM pg_catalog.pg_aggregate a, LATERAL (VALUES (a.aggtransfn), (a.aggfinalfn), (a.aggcombinefn),
        (a.aggserialfn), (a.aggdeserialfn), (a.aggmtransfn), (a.aggminvtransfn), (a.aggmfinalfn)) AS u(target)
      WHERE a.aggfnoid::oid >= 16384 AND u.target::oid <> 0
    UNION ALL
    SELECT 'o', o.oid, 'f' || o.oprcode::oid FROM pg_catalog.pg_operator o WHERE o.oid >= 16384 AND o.oprcode::oid <> 0
    UNION ALL
    SELECT 't', t.oid, u.target
      FROM pg_catalog.pg_type t, LATERAL (VALUES ('f' || t.typinput::oid), ('f' || t.typoutput::oid),
        ('f' || t.typreceive::oid), ('f' || t.typsend::oid), ('f' || t.typmodin::oid), ('t' || t.typbasetype),
        ('t' || t.typelem), ('r' || t.typrelid)) AS u(target)
      WHERE t.oid >= 16384 AND u.target NOT IN ('f0', 't0', 'r0')
    UNION ALL
    SELECT 't', g.rngtypid, 't' || g.rngsubtype FROM pg_catalog.pg_range g WHERE g.rngtypid >= 16384
    UNION ALL
    SELECT 't', c.id, 'f' || c.function FROM cast_type c
    UNION ALL
    SELECT 't', p.amproclefttype, 'f' || p.amproc::oid FROM pg_catalog.pg_amproc p WHERE p.amproclefttype >= 16384
    UNION ALL
    SELECT 't', p.amoplefttype, 'o' || p.amopopr FROM pg_catalog.pg_amop p WHERE p.amoplefttype >= 16384
    UNION ALL
    SELECT 'r', a.attrelid, 't' || a.atttypid
      FROM pg_catalog.pg_attribute a JOIN own_type t ON t.id = a.atttypid WHERE a.attnum > 0
    UNION ALL
    SELECT 'r', i.inhparent, 'r' || i.inhrelid FROM pg_catalog.pg_inherits i
  ),
  dependency(kind, id, targets) AS (
    SELECT r.kind, r.id, pg_catalog.string_agg(DISTINCT r.target, ' ')
      FROM reference r WHERE r.target <> r.kind || r.id GROUP BY r.kind, r.id
  )
SELECT 'operators' AS kind, NULL AS id, NULL AS schema, pg_catalog.json_agg(DISTINCT o.oprname)::text AS name,
    NULL AS reason, NULL AS targets, NULL AS body
  FROM pg_catalog.pg_operator o WHERE o.oid >= 16384
UNION ALL
SELECT 'types', NULL, NULL, pg_catalog.json_agg(DISTINCT t.typname)::text, NULL, NULL, NULL
  FROM pg_catalog.pg_type t WHERE t.oid >= 16384 AND t.typelem = 0
UNION ALL
SELECT 'relations', NULL, NULL, pg_catalog.json_agg(DISTINCT c.relname)::text, NULL, NULL, NULL
  FROM pg_catalog.pg_class c
  WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
UNION ALL
SELECT 'f', p.oid::text, n.nspname, p.proname,
    CASE WHEN p.provolatile = 'v' AND p.prokind <> 'a' THEN 'volatile' END, d.targets,
    CASE WHEN p.provolatile <> 'v' AND l.lanname NOT IN ('c', 'internal') THEN p.prosrc END
  FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    LEFT JOIN dependency d ON d.kind = 'f' AND d.id = p.oid
  WHERE p.oid >= 16384
UNION ALL
SELECT 'o', o.oid::text, n.nspname, o.oprname, NULL, d.targets, NULL
  FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
    JOIN dependency d ON d.kind = 'o' AND d.id = o.oid
UNION ALL
SELECT 't', t.oid::text, n.nspname, t.typname, NULL, d.targets, NULL
  FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    JOIN dependency d ON d.kind = 't' AND d.id = t.oid
UNION ALL
SELECT 'r', c.oid::text, n.nspname, c.relname,
    CASE WHEN c.relpersistence = 'u' THEN 'unlogged' WHEN c.relkind = 'f' THEN 'foreign' END, d.targets, NULL
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN dependency d ON d.kind = 'r' AND d.id = c.oid
  WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
    AND (c.relkind = 'f' OR c.relpersistence = 'u' OR d.targets IS NOT NULL)
