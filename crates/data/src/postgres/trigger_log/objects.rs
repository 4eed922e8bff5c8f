//! What the log consists of: a table of changes, one of readers, one of the structures of rows, and triggers.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wire::{Connection, Param};

use super::value;
use crate::error::{Error, ErrorKind, Result};
use crate::log::LogReader;
use crate::postgres::catalog::{self, Relation, quoted};
use crate::postgres::encode::text_of;
use crate::postgres::pool::Pool;
use crate::value::Value;

/// The name of the trigger functions, and of the triggers of each table.
const CAPTURE: &str = "replicaverse_capture";
/// Applications are held up for no longer than this where triggers are made.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '500ms'";
/// How long it is tried while transactions of others stand in the way.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);
/// Processes that create or remove objects take turns. The bytes spell `replvtrg`.
const OBJECTS_LOCK: &str = "SELECT pg_advisory_xact_lock(8243108477895238247)";

/// Tries again while a lock is not to be had.
pub(super) async fn patiently<T, F: Future<Output = Result<T>>>(mut attempt: impl FnMut() -> F) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Err(error) if error.kind() == ErrorKind::Conflict && Instant::now() < deadline => {
                sleep(PAUSE).await
            }
            result => return result,
        }
    }
}

/// Where the objects lie.
#[derive(Debug, Clone)]
pub(super) struct Objects {
    /// In quotes.
    schema: String,
}

impl Objects {
    /// The objects, if they exist.
    pub(super) async fn find(connection: &mut Connection) -> Result<Option<Self>> {
        let sql = "
            SELECT quote_ident(n.nspname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.oid = to_regclass('replicaverse_change')";
        Ok(value(connection, sql, &[]).await?.map(|schema| Self { schema }))
    }

    pub(super) fn changes(&self) -> String {
        format!("{}.replicaverse_change", self.schema)
    }

    pub(super) fn readers(&self) -> String {
        format!("{}.replicaverse_reader", self.schema)
    }

    pub(super) fn structures(&self) -> String {
        format!("{}.replicaverse_structure", self.schema)
    }

    fn function(&self) -> String {
        format!("{}.{CAPTURE}", self.schema)
    }

    /// The last number that was given to a change, whether or not its transaction has ended.
    pub(super) async fn last_number(&self, connection: &mut Connection) -> Result<u64> {
        let sql = format!(
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}.replicaverse_change_number_seq",
            self.schema
        );
        Ok(value(connection, &sql, &[]).await?.and_then(|number| number.parse().ok()).unwrap_or(0))
    }

    /// Up to where a reader has acknowledged; `None` if it is unknown.
    pub(super) async fn reader_position(
        &self,
        connection: &mut Connection,
        name: &str,
    ) -> Result<Option<u64>> {
        let sql = format!("SELECT position FROM {} WHERE name = $1", self.readers());
        Ok(value(connection, &sql, &[Param::text(name)]).await?.and_then(|position| position.parse().ok()))
    }

    /// Creates what is missing. Changes are written with the rights of the owner, as users of the application have none
    /// on our tables; and in one notation, whatever the settings of their sessions.
    async fn create(connection: &mut Connection) -> Result<Self> {
        let schema = value(connection, "SELECT quote_ident(current_schema())", &[]).await?;
        let schema = schema
            .ok_or_else(|| Error::new(ErrorKind::Config, "the search path names no schema that exists"))?;
        let objects = Self { schema };
        let (changes, readers, structures, function) =
            (objects.changes(), objects.readers(), objects.structures(), objects.function());
        let statements = format!(
            "
            CREATE TABLE {changes} (
              number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, transaction bigint NOT NULL, at timestamptz NOT NULL,
              relation oid NOT NULL, operation text NOT NULL, structure text, old_row text, new_row text);
            CREATE TABLE {readers} (name text PRIMARY KEY, position bigint NOT NULL, tables text[] NOT NULL);
            CREATE TABLE {structures} (id text PRIMARY KEY, columns text NOT NULL);
            CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
            SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET intervalstyle = 'postgres' SET timezone = 'UTC'
            SET extra_float_digits = 3 SET bytea_output = 'hex' AS $capture$
            DECLARE
              own_columns text;
              own_structure text;
            BEGIN
              IF TG_OP = 'TRUNCATE' THEN
                INSERT INTO {changes} (transaction, at, relation, operation)
                VALUES (txid_current(), clock_timestamp(), TG_ARGV[0]::oid, TG_OP);
                RETURN NULL;
              END IF;
              SELECT array_agg(ARRAY[attname::text, atttypid::text, atttypmod::text] ORDER BY attnum)::text INTO own_columns
              FROM pg_attribute WHERE attrelid = TG_RELID AND attnum > 0 AND NOT attisdropped;
              own_structure := md5(own_columns);
              IF own_structure <> TG_ARGV[1] THEN
                INSERT INTO {structures} VALUES (own_structure, own_columns) ON CONFLICT DO NOTHING;
              END IF;
              INSERT INTO {changes} (transaction, at, relation, operation, structure, old_row, new_row)
              VALUES (txid_current(), clock_timestamp(), TG_ARGV[0]::oid, TG_OP, own_structure,
                      CASE WHEN TG_OP <> 'INSERT' THEN OLD::text END, CASE WHEN TG_OP <> 'DELETE' THEN NEW::text END);
              RETURN NULL;
            END $capture$;
            REVOKE ALL ON FUNCTION {function}() FROM PUBLIC"
        );
        connection.simple_query(&statements).await?;
        Ok(objects)
    }
}

/// Brings triggers and the reader up to its tables. `None` if the reader is new, else the tables that are new to it.
pub(super) async fn open(pool: &Pool, reader: &LogReader) -> Result<Option<Vec<String>>> {
    let mut connection = pool.get().await?;
    connection.begin(None, false).await?;
    let opened = open_within(&mut connection, reader).await;
    end(&mut connection, opened).await
}

async fn open_within(connection: &mut Connection, reader: &LogReader) -> Result<Option<Vec<String>>> {
    connection.simple_query(OBJECTS_LOCK).await?;
    connection.simple_query(LOCK_TIMEOUT).await?;
    let objects = match Objects::find(connection).await? {
        Some(objects) => objects,
        None => Objects::create(connection).await?,
    };
    let known = known_tables(connection, &objects, &reader.name).await?;
    let mut added = Vec::new();
    for table in &reader.tables {
        let unknown =
            || Error::new(ErrorKind::UnknownTable, format!("table \"{}\" does not exist", table.name));
        let relation = catalog::find(connection, &table.name).await?.ok_or_else(unknown)?;
        let is_new = capture(connection, &objects, &relation).await?;
        if is_new || !known.as_ref().is_some_and(|known| known.contains(&table.name)) {
            added.push(table.name.clone());
        }
    }
    let names = reader.tables.iter().map(|table| Value::Text(table.name.clone())).collect();
    let sql = format!(
        "INSERT INTO {} AS r (name, position, tables) VALUES ($1, $2::bigint, $3::text[])
         ON CONFLICT (name) DO UPDATE SET tables = EXCLUDED.tables",
        objects.readers()
    );
    let position = objects.last_number(connection).await?.to_string();
    let parameters =
        [Param::text(&*reader.name), position.into(), text_of(&Value::Array(names), None).into()];
    connection.query(&sql, &parameters).await?;
    release_unread(connection, &objects).await?;
    Ok(known.map(|_| added))
}

/// The tables of a reader; `None` if it is new.
async fn known_tables(
    connection: &mut Connection,
    objects: &Objects,
    name: &str,
) -> Result<Option<Vec<String>>> {
    let sql = format!("SELECT unnest(tables) FROM {} WHERE name = $1", objects.readers());
    let result = connection.query(&sql, &[Param::text(name)]).await?;
    let tables: Result<Vec<String>> =
        result.rows.iter().map(|row| Ok(row.get_str(0)?.unwrap_or_default().to_owned())).collect();
    tables.map(|tables| (!tables.is_empty()).then_some(tables))
}

/// Creates the triggers of a table, unless they are there. They fire as well for rows that replication brings.
async fn capture(connection: &mut Connection, objects: &Objects, relation: &Relation) -> Result<bool> {
    let oid = relation.oid().to_string();
    let sql = "
        SELECT (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgname LIKE 'replicaverse\\_capture%'
                                                    AND t.tgenabled = 'A') = 2,
               c.relkind IN ('r', 'p'), pg_has_role(c.relowner, 'USAGE'), current_user,
               EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary),
               quote_ident(pg_get_userbyid(c.relowner))
        FROM pg_class c WHERE c.oid = $1::oid";
    let result = connection.query(sql, &[Param::text(&*oid)]).await?;
    let row = result.rows.get(0);
    let text = |column: usize| -> Result<&str> {
        Ok(row.map(|row| row.get_str(column)).transpose()?.flatten().unwrap_or_default())
    };
    if text(0)? == "t" {
        return Ok(false);
    }
    let table = &relation.quoted;
    let refused = if text(1)? != "t" {
        Some(format!("{table} is a view or a foreign table; capture the tables behind it"))
    } else if text(2)? != "t" {
        let user = quoted(text(3)?);
        Some(format!("triggers are made by the owner of table {table}; run GRANT {} TO {user}", text(5)?))
    } else if text(4)? != "t" {
        Some(format!("table {table} has no primary key by which its rows could be told apart; add one"))
    } else {
        None
    };
    if let Some(message) = refused {
        return Err(Error::new(ErrorKind::Capture, message));
    }
    let columns = value(
        connection,
        "SELECT array_agg(ARRAY[attname::text, atttypid::text, atttypmod::text] ORDER BY attnum)::text
         FROM pg_attribute WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped",
        &[Param::text(&*oid)],
    )
    .await?;
    let sql = format!("INSERT INTO {} VALUES (md5($1), $1) ON CONFLICT DO NOTHING", objects.structures());
    connection.query(&sql, &[columns.clone().into()]).await?;
    let structure = value(connection, "SELECT md5($1)", &[columns.into()]).await?.unwrap_or_default();
    let arguments = format!("{}('{oid}', '{structure}')", objects.function());
    let statements = format!(
        "DROP TRIGGER IF EXISTS {CAPTURE} ON {table}; DROP TRIGGER IF EXISTS {CAPTURE}_truncate ON {table};
         CREATE TRIGGER {CAPTURE} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION {arguments};
         CREATE TRIGGER {CAPTURE}_truncate AFTER TRUNCATE ON {table} EXECUTE FUNCTION {arguments};
         ALTER TABLE {table} ENABLE ALWAYS TRIGGER {CAPTURE};
         ALTER TABLE {table} ENABLE ALWAYS TRIGGER {CAPTURE}_truncate"
    );
    connection.simple_query(&statements).await?;
    Ok(true)
}

/// Drops the triggers of tables that no reader wants.
async fn release_unread(connection: &mut Connection, objects: &Objects) -> Result<()> {
    let sql = format!(
        "SELECT t.tgrelid, t.tgrelid::regclass, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
           JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE t.tgname LIKE 'replicaverse\\_capture%' AND NOT c.relispartition
           AND t.tgfoid = '{}()'::regprocedure
           AND NOT EXISTS (SELECT FROM {} r WHERE r.tables && ARRAY[c.relname::text, n.nspname || '.' || c.relname])",
        objects.function().replace('\'', "''"),
        objects.readers()
    );
    let result = connection.query(&sql, &[]).await?;
    for row in result.rows.iter() {
        let (table, trigger) = (row.get_str(1)?.unwrap_or_default(), row.get_str(2)?.unwrap_or_default());
        connection.simple_query(&format!("DROP TRIGGER {} ON {table}", quoted(trigger))).await?;
    }
    Ok(())
}

/// Forgets a reader, and drops what no other one needs.
pub(super) async fn remove(pool: &Pool, name: &str) -> Result<()> {
    let mut connection = pool.get().await?;
    connection.begin(None, false).await?;
    let removed = remove_within(&mut connection, name).await;
    end(&mut connection, removed).await
}

async fn remove_within(connection: &mut Connection, name: &str) -> Result<()> {
    connection.simple_query(OBJECTS_LOCK).await?;
    connection.simple_query(LOCK_TIMEOUT).await?;
    let Some(objects) = Objects::find(connection).await? else { return Ok(()) };
    let sql = format!("DELETE FROM {} WHERE name = $1", objects.readers());
    connection.query(&sql, &[Param::text(name)]).await?;
    release_unread(connection, &objects).await?;
    let sql = format!("SELECT 1 FROM {} LIMIT 1", objects.readers());
    if value(connection, &sql, &[]).await?.is_none() {
        let statements = format!(
            "DROP FUNCTION {}() CASCADE; DROP TABLE {}, {}, {}",
            objects.function(),
            objects.changes(),
            objects.readers(),
            objects.structures()
        );
        connection.simple_query(&statements).await?;
    }
    Ok(())
}

/// Commits, or rolls back and passes the error on.
async fn end<T>(connection: &mut Connection, result: Result<T>) -> Result<T> {
    match result {
        Ok(value) => {
            connection.commit().await?;
            Ok(value)
        }
        Err(error) => {
            if let Err(rollback) = connection.rollback().await {
                tracing::debug!(
                    "a failed change of triggers could not be rolled back in good order: {rollback}"
                );
            }
            Err(error)
        }
    }
}
