//! What is known of the slaves of a project, kept in a table of its master: whether a slave's rows are all from the master.

use data::table::{ColumnType, Table, TableColumn};
use data::{Result, Timestamp, Value};

use crate::cdc::digest;
use crate::snapshot::End;

/// The table.
const TABLE: &str = "replicaverse_member";
/// The longest key, in characters. MySQL indexes no text without a length.
const KEY_LENGTH: u32 = 120;

/// What stands in place of a replica's name for the database itself; no replica has an empty name.
const CROWNED: &str = "";

/// What is known of a slave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Member {
    /// It held rows before it was fed for the first time; none of them is deleted without the master having deleted it.
    HasOwnRows,
    /// It was empty, so that whatever it holds beyond the master was deleted there.
    Follows,
    /// As [`Follows`](Self::Follows), and it may hold rows that the master has deleted unseen, or never had.
    Diverged,
    /// It was the master, and may hold rows that were never fed to anybody.
    WasMaster,
}

impl Member {
    fn number(self) -> i64 {
        match self {
            Self::HasOwnRows => 0,
            Self::Follows => 1,
            Self::Diverged => 2,
            Self::WasMaster => 3,
        }
    }

    fn of_number(number: i64) -> Self {
        match number {
            1 => Self::Follows,
            2 => Self::Diverged,
            3 => Self::WasMaster,
            _ => Self::HasOwnRows,
        }
    }

    /// What it is once its master has lost track of it.
    pub(crate) fn lost_track(self) -> Self {
        if self == Self::Follows { Self::Diverged } else { self }
    }

    /// Whether rows that only it holds are to be deleted.
    pub(super) fn is_swept(self) -> bool {
        matches!(self, Self::Diverged | Self::WasMaster)
    }
}

/// What tells the database of a replica from every other one that could stand under its name; none where that cannot be told.
pub(crate) async fn database_of(replica: &End) -> Option<String> {
    let identity = replica.tables().ok()?.identity().await.ok()?;
    Some(digest(&[&identity]))
}

/// What the master knows of a slave. Nothing is known of another database that was given its name.
pub(super) async fn recall(
    master: &End,
    project: &str,
    slave: &str,
    database: Option<&str>,
) -> Result<Option<Member>> {
    let Some(Known { replica, number }) = recall_row(master, key(project, slave)).await? else {
        return Ok(None);
    };
    let known = replica.strip_prefix(&named(project, slave)).and_then(|rest| rest.strip_prefix(' '));
    let is_another = known.zip(database).is_some_and(|(known, database)| known != database);
    Ok((!is_another).then(|| Member::of_number(number)))
}

/// Has the master know of a slave, and of its database, if that is known.
pub(crate) async fn remember(
    master: &End,
    project: &str,
    slave: &str,
    member: Member,
    database: Option<&str>,
) -> Result<()> {
    let replica = named(project, slave);
    let replica = database.map_or_else(|| replica.clone(), |database| format!("{replica} {database}"));
    store(master, key(project, slave), replica, member.number()).await
}

fn named(project: &str, slave: &str) -> String {
    format!("{project}/{slave}")
}

/// A row of the table.
struct Known {
    replica: String,
    number: i64,
}

async fn recall_row(end: &End, key: Value) -> Result<Option<Known>> {
    let tables = end.tables()?;
    let Some(described) = tables.describe(TABLE).await? else { return Ok(None) };
    // Documents do not tell by which of their fields they are keyed.
    let table = if end.is_schemaless() { tables.create_like(&table()).await? } else { described };
    let rows = tables.fetch(&table, &[vec![key]]).await?;
    Ok(rows.first().and_then(|row| {
        let cell = |name: &str| row.get(table.position(name)?);
        let replica = cell("replica").and_then(Value::as_text).unwrap_or_default().to_owned();
        Some(Known { replica, number: cell("standing")?.as_integer()? })
    }))
}

async fn store(end: &End, key: Value, replica: String, number: i64) -> Result<()> {
    let tables = end.tables()?;
    let table = tables.create_like(&table()).await?;
    let row = table.columns.iter().map(|column| match column.name.as_str() {
        "id" => key.clone(),
        "replica" => Value::from(replica.as_str()),
        _ => Value::Int64(number),
    });
    tables.upsert(&table, &[row.collect()]).await
}

/// When a database was made the master of a project, in microseconds; 0 where nobody did that by a promotion. Of two databases
/// that claim to be the master the one that was made so later is right.
pub(crate) async fn term(end: &End, project: &str) -> Result<i64> {
    let found = recall_row(end, key(project, CROWNED)).await?;
    Ok(found.map_or(0, |known| known.number))
}

/// Has a database know that it was made the master of a project, later than any other one that it knows of, and than the master
/// before it, whose term may have been told by a clock that goes ahead.
pub(crate) async fn crown(master: &End, project: &str, term_before: i64) -> Result<()> {
    let known = term(master, project).await?.max(term_before);
    let now = Timestamp::now().0.max(known.saturating_add(1));
    store(master, key(project, CROWNED), project.to_owned(), now).await
}

fn key(project: &str, slave: &str) -> Value {
    Value::from(digest(&[project, slave]))
}

fn table() -> Table {
    let column = |name: &str, column_type, nullable| TableColumn {
        name: name.to_owned(),
        column_type,
        nullable,
        generated: false,
    };
    Table {
        name: TABLE.to_owned(),
        columns: vec![
            column("id", ColumnType::Text(Some(KEY_LENGTH)), false),
            column("replica", ColumnType::Text(None), true),
            column("standing", ColumnType::Int64, true),
        ],
        key: vec![0],
        references: Vec::new(),
    }
}

/// Whether a database holds no row of an application.
pub(super) async fn is_empty(end: &End) -> Result<bool> {
    let tables = end.tables()?;
    for name in tables.list_tables().await? {
        if name.starts_with(data::table::OWN_TABLE_PREFIX) {
            continue;
        }
        let Some(table) = tables.describe(&name).await? else { continue };
        if !tables.is_empty(&table, None).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_slave_is_read_back_and_unknown_numbers_delete_nothing() {
        for member in [Member::HasOwnRows, Member::Follows, Member::Diverged, Member::WasMaster] {
            assert_eq!(Member::of_number(member.number()), member);
        }
        assert!(!Member::of_number(99).is_swept());
        assert!(!Member::HasOwnRows.lost_track().is_swept());
        assert!(Member::Follows.lost_track().is_swept());
    }
}
