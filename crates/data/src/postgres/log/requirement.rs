//! What must be so for changes to be captured safely, and what to do where it is not.

use wire::{Connection, Param};

use super::publication::Wanted;
use crate::error::{Error, ErrorKind, Result};
use crate::postgres::catalog::quoted;
use crate::postgres::encode::text_of;
use crate::value::Value;

/// The first version with logical replication of its own.
const OLDEST_VERSION: u32 = 10;
/// The first version that publishes partitions as their root.
const PARTITION_ROOTS_VERSION: u32 = 13;

/// The server, and the user that asks it.
#[derive(Debug)]
pub(super) struct Server {
    /// The major version.
    pub(super) version: u32,
    pub(super) user: String,
    pub(super) database: String,
    /// Whether the user may create publications in the database.
    pub(super) may_create: bool,
}

impl Server {
    pub(super) fn publishes_partition_roots(&self) -> bool {
        self.version >= PARTITION_ROOTS_VERSION
    }
}

fn capture<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::new(ErrorKind::Capture, message))
}

/// Checks version, role and settings of the server.
pub(super) async fn check_server(connection: &mut Connection) -> Result<Server> {
    let version = connection.server_major_version()?;
    if version < OLDEST_VERSION {
        return capture(format!(
            "changes are captured from the log of PostgreSQL {OLDEST_VERSION} or later, and this server is {version}; \
             use capture: 'trigger'"
        ));
    }
    let sql = "
        SELECT pg_is_in_recovery(), current_setting('wal_level'), current_user, current_database(),
               has_database_privilege(current_database(), 'CREATE')";
    let result = connection.query(sql, &[]).await?;
    let row = result.rows.get(0);
    let text = |column: usize| -> Result<&str> {
        Ok(row.map(|row| row.get_str(column)).transpose()?.flatten().unwrap_or_default())
    };
    if text(0)? == "t" {
        return capture(
            "this server is a standby, in which no publication can be made; give the address of its primary",
        );
    }
    if text(1)? != "logical" {
        return capture(format!(
            "the log does not tell changes of rows, as wal_level is {}; run ALTER SYSTEM SET wal_level = logical and \
             restart the server",
            text(1)?
        ));
    }
    Ok(Server {
        version,
        user: text(2)?.to_owned(),
        database: text(3)?.to_owned(),
        may_create: text(4)? == "t",
    })
}

/// Who owns a table that is not the user's own; publications may hold only one's own tables.
#[derive(Debug)]
pub(super) struct ForeignOwner {
    pub(super) table: String,
    pub(super) owner: String,
}

/// Checks that the log tells which rows of the tables were changed, and names the tables that are not the user's.
pub(super) async fn check_tables(
    connection: &mut Connection,
    server: &Server,
    wanted: &[Wanted],
) -> Result<Vec<ForeignOwner>> {
    let oids = wanted.iter().map(|table| Value::Text(table.relation.oid().to_string())).collect();
    let result =
        connection.query(&tables_query(server), &[text_of(&Value::Array(oids), None).into()]).await?;
    let mut owners = Vec::new();
    for row in result.rows.iter() {
        let text = |column: usize| -> Result<&str> { Ok(row.get_str(column)?.unwrap_or_default()) };
        let checked = CheckedTable {
            name: text(1)?,
            kind: text(2)?,
            persistence: text(3)?,
            identity: text(4)?,
            has_key: !text(5)?.is_empty(),
            key_is_immediate: text(5)? == "t",
            key_is_identified: text(6)? == "t",
            has_generated_key: text(7)? == "t",
        };
        checked.check(server)?;
        if text(8)? != "t" {
            owners.push(ForeignOwner { table: checked.name.to_owned(), owner: text(9)?.to_owned() });
        }
    }
    Ok(owners)
}

/// The tables and, of partitioned ones, their partitions.
fn tables_query(server: &Server) -> String {
    let partitions = if server.publishes_partition_roots() {
        "UNION SELECT w.oid, p.relid FROM wanted w CROSS JOIN LATERAL pg_partition_tree(w.oid) AS p"
    } else {
        ""
    };
    format!(
        "
        WITH wanted AS (SELECT unnest($1::oid[]) AS oid),
             checked AS (SELECT oid AS root, oid FROM wanted {partitions})
        SELECT k.root, c.oid::regclass, c.relkind, c.relpersistence, c.relreplident,
               i.indimmediate AND i.indisvalid,
               NOT EXISTS (SELECT FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS own(number)
                           WHERE own.number <> ALL (coalesce((SELECT r.indkey::int2[] FROM pg_index r
                                                              WHERE r.indrelid = c.oid AND r.indisreplident),
                                                             '{{}}'::int2[]))),
               EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                                                    AND to_jsonb(a) ->> 'attgenerated' <> ''),
               pg_has_role(c.relowner, 'USAGE'), quote_ident(pg_get_userbyid(c.relowner))
        FROM checked k JOIN pg_class c ON c.oid = k.oid
        LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
        ORDER BY k.root <> c.oid, c.oid"
    )
}

/// What the catalogue says of a table or partition.
struct CheckedTable<'a> {
    /// In quotes where it needs them.
    name: &'a str,
    kind: &'a str,
    persistence: &'a str,
    identity: &'a str,
    has_key: bool,
    /// Whether the primary key is looked at row by row; one that can wait identifies none.
    key_is_immediate: bool,
    /// Whether the index that identifies rows holds the primary key.
    key_is_identified: bool,
    has_generated_key: bool,
}

impl CheckedTable<'_> {
    fn check(&self, server: &Server) -> Result<()> {
        let name = self.name;
        match self.kind {
            "r" => {}
            "p" if server.publishes_partition_roots() => {}
            "p" => {
                return capture(format!(
                    "changes of the partitioned table {name} are published from PostgreSQL {PARTITION_ROOTS_VERSION} \
                     on, and this server is {}; use capture: 'trigger'",
                    server.version
                ));
            }
            _ => {
                return capture(format!(
                    "{name} is a view or a foreign table, whose changes are not in the log; capture the tables behind \
                     it"
                ));
            }
        }
        match self.persistence {
            "u" => {
                return capture(format!(
                    "changes of table {name} are not in the log, as it is unlogged; run ALTER TABLE {name} SET LOGGED"
                ));
            }
            "t" => {
                return capture(format!(
                    "changes of table {name} are not in the log, as it is temporary; make an ordinary table of it"
                ));
            }
            _ => {}
        }
        // Rows lie in the partitions, and their identity is told by those.
        if self.kind == "p" {
            return Ok(());
        }
        self.check_identity()
    }

    fn check_identity(&self) -> Result<()> {
        let name = self.name;
        match self.identity {
            "n" => capture(format!(
                "the log does not tell which rows of table {name} are updated or deleted; run ALTER TABLE {name} \
                 REPLICA IDENTITY {}",
                if self.has_key { "DEFAULT" } else { "FULL" }
            )),
            "d" if !self.has_key => capture(format!(
                "the log does not tell which rows of table {name} are updated or deleted, as it has no primary key; \
                 add one, or run ALTER TABLE {name} REPLICA IDENTITY FULL"
            )),
            "d" if !self.key_is_immediate => capture(format!(
                "the log does not tell which rows of table {name} are updated or deleted, as its primary key is \
                 deferrable; run ALTER TABLE {name} REPLICA IDENTITY FULL"
            )),
            "i" if self.has_key && !self.key_is_identified => capture(format!(
                "the log tells the rows of table {name} by another index than its primary key, so that the keys of \
                 deleted rows are unknown; run ALTER TABLE {name} REPLICA IDENTITY DEFAULT"
            )),
            "i" if !self.has_key => capture(format!(
                "table {name} has no primary key; add one, or run ALTER TABLE {name} REPLICA IDENTITY FULL"
            )),
            _ if self.has_generated_key => capture(format!(
                "the primary key of table {name} holds a generated column, which the log does not tell; use capture: \
                 'trigger', or another primary key"
            )),
            _ => Ok(()),
        }
    }
}

/// The error that publications may not be made or changed.
pub(super) fn may_publish(server: &Server, owners: &[ForeignOwner]) -> Result<()> {
    if let Some(foreign) = owners.first() {
        return capture(format!(
            "user \"{0}\" does not own table {1}, which is needed to publish it; run GRANT {2} TO {3}",
            server.user,
            foreign.table,
            foreign.owner,
            quoted(&server.user)
        ));
    }
    Ok(())
}

/// The error that publications may not be created in the database.
pub(super) fn may_create(server: &Server) -> Result<()> {
    if server.may_create {
        return Ok(());
    }
    capture(format!(
        "user \"{}\" may not create publications in database \"{}\"; run GRANT CREATE ON DATABASE {} TO {}",
        server.user,
        server.database,
        quoted(&server.database),
        quoted(&server.user)
    ))
}

/// The parameter that names a reader's object.
pub(super) fn name_parameter(name: &str) -> [Param<'_>; 1] {
    [Param::text(name)]
}
