//! The triggers that record the changes of a table.
//!
//! They record a row as it stands in the table when they run, not as the statement gave it: a trigger of the
//! application may have changed it again before, and what was recorded last must be what the table holds.
//!
//! REPLACE removes rows without running a trigger. So before a row is written, the rows that it may replace are noted
//! in a table of conflicts, and after it was written, those of them that have gone are recorded as deleted. What is
//! noted for a row that is not written after all (IGNORE, or an upsert) does no harm: its row has not gone.

use super::layout::Layout;
use super::own_tables::{CHANGE, CONFLICT, OPERATION_DELETE, OPERATION_INSERT, OPERATION_UPDATE};
use super::unique::{Term, Unique};
use crate::sql::double_quoted as quote;
use crate::table::OWN_TABLE_PREFIX;

/// With more columns than this, SQLite cannot join what stands in for columns that are dropped: the join compares all
/// columns in one expression, whose depth is limited.
const MOST_JOINED: usize = 500;

/// Writes the triggers of one table.
struct Writer<'a> {
    source: i64,
    table: String,
    layout: &'a Layout,
    key: Vec<String>,
}

/// The names of the triggers of a source.
pub(super) fn names(source: i64) -> [String; 5] {
    ["before_insert", "insert", "before_update", "update", "delete"]
        .map(|event| format!("{OWN_TABLE_PREFIX}{source}_{event}"))
}

/// The statements that create the triggers of a source.
pub(super) fn create(source: i64, table: &str, layout: &Layout) -> [String; 5] {
    let key = layout.key_names().map(quote).collect();
    let writer = Writer { source, table: quote(table), layout, key };
    let bodies = [
        format!("BEFORE INSERT ON {} BEGIN {}END", writer.table, writer.note_conflicts(false)),
        format!(
            "AFTER INSERT ON {} BEGIN {}{}END",
            writer.table,
            writer.record_replaced(false),
            writer.record_insert()
        ),
        format!(
            "BEFORE UPDATE ON {}{} BEGIN {}END",
            writer.table,
            writer.when_constrained(),
            writer.note_conflicts(true)
        ),
        format!(
            "AFTER UPDATE ON {} BEGIN {}{}END",
            writer.table,
            writer.record_replaced(true),
            writer.record_update()
        ),
        format!("AFTER DELETE ON {} BEGIN {}END", writer.table, writer.record_delete()),
    ];
    let mut names = names(source).into_iter();
    bodies.map(|body| format!("CREATE TRIGGER {} {body}", names.next().unwrap_or_default()))
}

/// The names of the values of a change or a conflict.
pub(super) fn value_names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|position| format!("v{position}"))
}

impl Writer<'_> {
    /// Notes every row that has one of the unique values of the row to be written.
    fn note_conflicts(&self, is_update: bool) -> String {
        let (source, table) = (self.source, &self.table);
        let values = joined(value_names(self.key.len()));
        let key = joined(self.key.iter().map(|name| format!("{table}.{name}")));
        let other = if is_update { format!(" AND NOT {}", self.is_row("OLD")) } else { String::new() };
        let note = |(number, unique): (usize, &Unique)| {
            let signature = signature(number, unique);
            let conflict = self.conflict(unique);
            format!(
                "INSERT INTO {CONFLICT} (source, signature, {values}) SELECT {source}, {signature}, {key} FROM {table} \
                 WHERE {conflict}{other}; "
            )
        };
        self.layout.unique.iter().enumerate().map(note).collect()
    }

    /// That a row of the table has the unique values of the row to be written.
    fn conflict(&self, unique: &Unique) -> String {
        let table = &self.table;
        let equal = |term: &Term| match term {
            Term::Column { name, collation } => {
                let name = quote(name);
                format!("{table}.{name} COLLATE {} = NEW.{name}", quote(collation))
            }
            Term::Expression { sql, collation } => {
                let columns = self.layout.columns.iter().map(|column| quote(&column.name));
                let row = joined(columns.map(|name| format!("NEW.{name} AS {name}")));
                format!("({sql}) COLLATE {} = (SELECT {sql} FROM (SELECT {row}))", quote(collation))
            }
        };
        let predicate = unique.predicate.iter().map(|predicate| format!("({predicate})"));
        unique.terms.iter().map(equal).chain(predicate).collect::<Vec<_>>().join(" AND ")
    }

    /// That some unique value changes; nothing if that takes more than a look at the columns.
    fn when_constrained(&self) -> String {
        let columns: Option<Vec<Vec<&str>>> = self.layout.unique.iter().map(Unique::columns).collect();
        let Some(columns) = columns else { return String::new() };
        let changed = columns.concat().into_iter().map(quote);
        let changed = changed.map(|name| format!("NEW.{name} IS NOT OLD.{name} COLLATE BINARY"));
        format!(" WHEN {}", changed.collect::<Vec<_>>().join(" OR "))
    }

    /// Records the rows that the written one has replaced.
    fn record_replaced(&self, is_update: bool) -> String {
        let source = self.source;
        let values = joined(value_names(self.key.len()));
        let noted_is = |row: &str| {
            let equal = value_names(self.key.len()).zip(&self.key);
            all(equal.map(|(value, name)| format!("{CONFLICT}.{value} IS {row}.{name}")))
        };
        // The written row stands where one that it has replaced stood. An updated row has not replaced itself.
        let place = noted_is("NEW");
        let other = if is_update { format!("NOT ({}) AND ", noted_is("OLD")) } else { String::new() };
        let signatures = self.layout.unique.iter().enumerate();
        let signatures = joined(signatures.map(|(number, unique)| signature(number, unique)));
        let noted = format!("source = {source} AND signature IN ({signatures})");
        let still = value_names(self.key.len()).zip(&self.key);
        let still = all(still.map(|(value, name)| {
            let (own, noted) = (format!("{}.{name}", self.table), format!("{CONFLICT}.{value}"));
            format!("{own} IS {noted} AND {own} IS {noted} COLLATE BINARY")
        }));
        format!(
            "INSERT INTO {CHANGE} (source, operation, {values}) SELECT DISTINCT {source}, '{OPERATION_DELETE}', {values} \
             FROM {CONFLICT} WHERE {noted} AND {other}(({place}) OR NOT EXISTS (SELECT 1 FROM {} WHERE {still})); \
             DELETE FROM {CONFLICT} WHERE {noted}; ",
            self.table
        )
    }

    fn record_insert(&self) -> String {
        let names = self.row_values();
        let row = joined(self.columns());
        let values = joined(names);
        format!(
            "INSERT INTO {CHANGE} (source, operation, {values}) SELECT {}, '{OPERATION_INSERT}', {row} FROM {}; ",
            self.source,
            self.written_row()
        )
    }

    /// Records the row with its key before, if no row has that any more; and if the row has moved on or has gone, only
    /// that.
    fn record_update(&self) -> String {
        let (source, table) = (self.source, &self.table);
        let all_values = joined(value_names(self.layout.width()));
        let key_values = joined(value_names(self.key.len()));
        let had = format!("EXISTS (SELECT 1 FROM {table} WHERE {})", self.is_row("OLD"));
        let has = format!("EXISTS (SELECT 1 FROM {table} WHERE {})", self.is_row("NEW"));
        let old = self.key.iter().map(|name| format!("CASE WHEN {had} THEN NULL ELSE OLD.{name} END"));
        let row = joined(old.chain(self.columns()));
        let old_key = joined(self.key.iter().map(|name| format!("OLD.{name}")));
        format!(
            "INSERT INTO {CHANGE} (source, operation, {all_values}) SELECT {source}, '{OPERATION_UPDATE}', {row} FROM {}; \
             INSERT INTO {CHANGE} (source, operation, {key_values}) SELECT {source}, '{OPERATION_DELETE}', {old_key} \
             WHERE NOT {has} AND NOT {had}; ",
            self.written_row()
        )
    }

    fn record_delete(&self) -> String {
        let values = joined(value_names(self.key.len()));
        let key = joined(self.key.iter().map(|name| format!("OLD.{name}")));
        format!(
            "INSERT INTO {CHANGE} (source, operation, {values}) SELECT {}, '{OPERATION_DELETE}', {key} \
             WHERE NOT EXISTS (SELECT 1 FROM {} WHERE {}); ",
            self.source,
            self.table,
            self.is_row("OLD")
        )
    }

    /// The written row as the table holds it. A column that is dropped may not be missing here, or SQLite would refuse to
    /// drop it. So the row is joined to one that has each column once more: what the table still has is taken from the
    /// table, and the rest is NULL. Only the columns of the key, which cannot be dropped, are named by the table.
    fn written_row(&self) -> String {
        let table = &self.table;
        let condition = self.is_row("NEW");
        if self.layout.columns.len() > MOST_JOINED {
            return format!("{table} WHERE {condition}");
        }
        let absent = joined(self.columns().map(|name| format!("NULL AS {name}")));
        format!("{table} NATURAL LEFT JOIN (SELECT {absent}) WHERE {condition}")
    }

    /// That a row of the table has the key of `OLD` or `NEW`. The first comparison, by the collation of the column, can use
    /// the index; the second tells apart what the collation does not.
    fn is_row(&self, row: &str) -> String {
        let table = &self.table;
        let equal = |name: &String| {
            format!("{table}.{name} IS {row}.{name} AND {table}.{name} IS {row}.{name} COLLATE BINARY")
        };
        format!("({})", all(self.key.iter().map(equal)))
    }

    fn columns(&self) -> impl Iterator<Item = String> {
        self.layout.columns.iter().map(|column| quote(&column.name))
    }

    /// The names of the values of a row, which stand behind those of the old key.
    fn row_values(&self) -> impl Iterator<Item = String> {
        value_names(self.layout.width()).skip(self.key.len())
    }
}

/// What tells for which constraint and which of its values a conflict was noted. Expressions are not told apart.
fn signature(number: usize, unique: &Unique) -> String {
    let columns = unique.columns().unwrap_or_default().into_iter();
    let values = columns.map(|name| format!(" || quote(NEW.{}) || ','", quote(name)));
    format!("'{number}:'{}", values.collect::<String>())
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn all(conditions: impl Iterator<Item = String>) -> String {
    conditions.collect::<Vec<_>>().join(" AND ")
}
