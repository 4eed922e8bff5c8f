//! The definitions of the database: tables to read, and every way in which reading can write.

/// Tables and harmless helpers first, then what writes.
pub(crate) const SCHEMA: &str = r#"
CREATE TABLE users (id int PRIMARY KEY, name text, born date, tags text[], data jsonb, score numeric, active bool);
INSERT INTO users SELECT n, 'user ' || n, date '2000-01-01' + n, ARRAY['a', 'b'], jsonb_build_object('n', n), n, n % 2 = 0
  FROM generate_series(1, 20) n;
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, total numeric, at timestamptz DEFAULT now());
INSERT INTO orders SELECT n, n, n * 10 FROM generate_series(1, 20) n;
CREATE TABLE "Mixed Case" ("Name" text, "select" int);
CREATE SCHEMA shop;
CREATE TABLE shop.items (id int, price numeric);
CREATE SEQUENCE s;
CREATE VIEW active_users AS SELECT id, upper(name) AS name FROM users WHERE active;
CREATE VIEW active_names AS SELECT name FROM active_users;
CREATE MATERIALIZED VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE measurements (day date, value int, how mood, both_ pair, good positive) PARTITION BY RANGE (day);
CREATE TABLE measurements_2024 PARTITION OF measurements FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE FUNCTION double(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
CREATE FUNCTION user_count() RETURNS bigint STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM users); END';
CREATE FUNCTION standard_body(int) RETURNS int IMMUTABLE LANGUAGE sql RETURN $1 + 1;
CREATE FUNCTION full_name(users) RETURNS text STABLE LANGUAGE sql AS 'SELECT $1.name || ''!''';
CREATE AGGREGATE my_sum(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE OPERATOR @@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);

CREATE TABLE log (id bigint DEFAULT nextval('s'), message text);
CREATE FUNCTION write_log() RETURNS int LANGUAGE sql AS 'INSERT INTO log (message) VALUES (''x'') RETURNING 1';
CREATE FUNCTION write_log(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO log (message) VALUES ($1); RETURN $1; END';
CREATE FUNCTION write_user(users) RETURNS int LANGUAGE sql AS 'INSERT INTO log (message) VALUES ($1.name) RETURNING 1';
CREATE FUNCTION hidden_next() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT nextval(''s'')';
CREATE FUNCTION hidden_twice() RETURNS bigint STABLE LANGUAGE plpgsql AS 'BEGIN RETURN hidden_next(); END';
CREATE FUNCTION hidden_dynamic(text) RETURNS bigint STABLE LANGUAGE plpgsql AS
  'DECLARE n bigint; BEGIN EXECUTE ''SELECT '' || $1 INTO n; RETURN n; END';
CREATE FUNCTION next_body() RETURNS bigint STABLE LANGUAGE sql RETURN nextval('s');
CREATE FUNCTION with_default(n bigint DEFAULT nextval('s')) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT n';
CREATE FUNCTION shop.write_item() RETURNS int LANGUAGE sql AS 'INSERT INTO shop.items VALUES (1, 1) RETURNING 1';
CREATE FUNCTION lower(users) RETURNS text LANGUAGE sql AS 'INSERT INTO log (message) VALUES ($1.name) RETURNING message';
CREATE FUNCTION write_rows() RETURNS SETOF int LANGUAGE plpgsql AS 'BEGIN INSERT INTO log (message) VALUES (1); RETURN NEXT 1; END';
CREATE FUNCTION write_step(int, int) RETURNS int LANGUAGE sql AS 'INSERT INTO log (message) VALUES ($2) RETURNING 1';
CREATE AGGREGATE write_sum(int) (SFUNC = write_step, STYPE = int, INITCOND = '0');
CREATE OPERATOR @+@ (LEFTARG = int, RIGHTARG = int, FUNCTION = write_step);
CREATE OPERATOR ~~~ (RIGHTARG = int, FUNCTION = write_log);
CREATE TYPE written AS (a int);
CREATE FUNCTION write_cast(int) RETURNS written LANGUAGE sql AS 'INSERT INTO log (message) VALUES ($1); SELECT ROW(1)::written';
CREATE CAST (int AS written) WITH FUNCTION write_cast(int);
CREATE DOMAIN checked AS int CHECK (write_log(VALUE) > 0);
CREATE DOMAIN checked_twice AS checked;
CREATE VIEW next_view AS SELECT nextval('s') AS n;
CREATE VIEW nested_view AS SELECT n + 1 AS n FROM next_view;
CREATE VIEW operator_view AS SELECT id @+@ 1 AS n FROM users;
CREATE VIEW cast_view AS SELECT id::checked AS n FROM users;
CREATE VIEW aggregate_view AS SELECT write_sum(id) AS n FROM users;
CREATE VIEW hidden_view AS SELECT hidden_twice() AS n;
CREATE VIEW xact_view AS SELECT set_config('a.b', 'c', false) AS n;
CREATE TABLE guarded (id int);
INSERT INTO guarded VALUES (1);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
CREATE POLICY guard ON guarded USING (write_log(id) > 0);
CREATE UNLOGGED TABLE unlogged (id int);
CREATE VIEW unlogged_view AS SELECT * FROM unlogged;
CREATE TABLE parted (id int) PARTITION BY LIST (id);
CREATE UNLOGGED TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE remote (line text) SERVER files OPTIONS (filename '/dev/null');
CREATE EXTENSION tablefunc;
CREATE PROCEDURE write_procedure() LANGUAGE sql AS 'INSERT INTO log (message) VALUES (''p'')';
"#;
