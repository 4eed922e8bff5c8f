//! From which tables a query reads: its relations by their names, and what lies behind views, partitions and policies.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::row_key::{KeyType, RowKey};
use crate::request::BindParameters;
use crate::route::{ObjectName, Verdict};

/// The query for what can be read in a database. Its parameter is the name of a publication.
pub(super) const SOURCES_SQL: &str = include_str!("sources.sql");

/// From what a result was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reading {
    /// From these tables.
    Tables(Vec<u32>),
    /// From the row of a table that has this primary key.
    Row(u32, Arc<[u8]>),
}

impl Reading {
    /// The tables.
    pub(crate) fn tables(&self) -> &[u32] {
        match self {
            Self::Tables(tables) => tables,
            Self::Row(table, _) => std::slice::from_ref(table),
        }
    }
}

/// What can be read in a database.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    relations: HashMap<u32, Relation>,
    by_name: HashMap<Box<str>, Vec<u32>>,
    /// Functions, and operators, whose values depend on more than what they are given.
    unsteady_functions: HashSet<Box<str>>,
    unsteady_operators: HashSet<Box<str>>,
    unsteady_ids: HashSet<u32>,
}

#[derive(Debug)]
struct Relation {
    schema: Box<str>,
    what: What,
    refers_to: Vec<Target>,
    key: Option<(Box<str>, KeyType)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Every change of its rows is in the log.
    Table,
    /// It has no rows of its own.
    View,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Relation(u32),
    Function(u32),
    /// The clock, the user, the session.
    Surroundings,
}

/// A row of [`SOURCES_SQL`].
pub(super) type SourceRow = [Option<String>; 8];

impl Sources {
    /// Reads the rows of [`SOURCES_SQL`]; `None` if they are not as expected.
    pub(super) fn read(rows: impl IntoIterator<Item = SourceRow>) -> Option<Self> {
        let mut sources = Self::default();
        for [kind, id, schema, name, what, targets, key_name, key_type] in rows {
            let (id, name): (u32, Box<str>) = (id?.parse().ok()?, name?.into());
            match kind?.as_str() {
                "f" => {
                    sources.unsteady_functions.insert(name);
                    sources.unsteady_ids.insert(id);
                }
                "o" => {
                    sources.unsteady_operators.insert(name);
                }
                _ => {
                    let what = match what?.as_str() {
                        "table" => What::Table,
                        "view" => What::View,
                        _ => What::Other,
                    };
                    let refers_to = targets.unwrap_or_default();
                    let refers_to = refers_to.split_ascii_whitespace().map(target).collect::<Option<_>>()?;
                    let key_type = key_type.and_then(|oid| KeyType::of(oid.parse().ok()?));
                    let key = key_name.map(Into::into).zip(key_type);
                    sources.by_name.entry(name).or_default().push(id);
                    let relation = Relation { schema: schema?.into(), what, refers_to, key };
                    sources.relations.insert(id, relation);
                }
            }
        }
        Some(sources)
    }

    /// From what a query reads; `None` if its result may change without the log telling. `keys` is what the query demands
    /// of single columns.
    pub(crate) fn reading(
        &self,
        verdict: &Verdict,
        schema: Option<&str>,
        keys: &[RowKey],
        parameters: &BindParameters,
    ) -> Option<Reading> {
        let is_unsteady = |name: &ObjectName| self.unsteady_functions.contains(&name.name);
        let reads_surroundings = verdict.reads_surroundings
            || verdict.functions.iter().any(is_unsteady)
            || verdict.attributes.iter().any(|name| self.unsteady_functions.contains(name))
            || verdict.operators.iter().any(|name| self.unsteady_operators.contains(&name.name));
        if reads_surroundings {
            return None;
        }
        let mut meant = Vec::new();
        for name in &verdict.relations {
            let found = self.find(name, schema);
            let is_common_table = name.schema.is_none() && verdict.common_tables.contains(&name.name);
            if found.is_empty() && !is_common_table {
                return None;
            }
            meant.extend(found);
        }
        let mut tables = Vec::new();
        let mut seen = HashSet::new();
        for relation in &meant {
            self.collect(*relation, &mut seen, &mut tables)?;
        }
        tables.sort_unstable();
        tables.dedup();
        if let ([table], [relation]) = (tables.as_slice(), meant.as_slice())
            && table == relation
            && let Some((name, key_type)) = self.key_column(*table)
            && let Some(key) = keys.iter().find(|key| *key.column == *name)
            && let Some(value) = key.value(key_type, parameters)
        {
            return Some(Reading::Row(*table, value));
        }
        Some(Reading::Tables(tables))
    }

    /// The relations that a name may mean. Without a schema it is the one in the schema of the call, which comes first on
    /// the search path, unless the system has one of the name; else all of the name.
    fn find(&self, name: &ObjectName, schema: Option<&str>) -> Vec<u32> {
        let Some(all) = self.by_name.get(&name.name) else { return Vec::new() };
        let of = |wanted: &str| -> Vec<u32> {
            let is_wanted =
                |id: &&u32| self.relations.get(id).is_some_and(|relation| *relation.schema == *wanted);
            all.iter().filter(is_wanted).copied().collect()
        };
        if let Some(schema) = &name.schema {
            return of(schema);
        }
        let system = of("pg_catalog");
        if !system.is_empty() {
            return system;
        }
        match schema.map(of) {
            Some(found) if !found.is_empty() => found,
            _ => all.clone(),
        }
    }

    /// Adds the tables behind a relation; `None` if there is anything whose changes are not in the log.
    fn collect(&self, relation: u32, seen: &mut HashSet<u32>, tables: &mut Vec<u32>) -> Option<()> {
        if !seen.insert(relation) {
            return Some(());
        }
        let found = self.relations.get(&relation)?;
        match found.what {
            What::Table => tables.push(relation),
            What::View => {}
            What::Other => return None,
        }
        for target in &found.refers_to {
            match target {
                Target::Relation(target) => self.collect(*target, seen, tables)?,
                Target::Function(function) if self.unsteady_ids.contains(function) => return None,
                Target::Function(_) => {}
                Target::Surroundings => return None,
            }
        }
        Some(())
    }

    /// Whether there is any table whose changes are in the log here and were not there.
    pub(super) fn tables_besides(&self, before: &Self) -> bool {
        let is_table = |relation: &Relation| relation.what == What::Table;
        let mut tables = self.relations.iter().filter(|(_, relation)| is_table(relation));
        tables.any(|(id, _)| !before.relations.get(id).is_some_and(is_table))
    }

    /// The name of the only column of a table's primary key.
    pub(super) fn key_column(&self, table: u32) -> Option<(&str, KeyType)> {
        let (name, key_type) = self.relations.get(&table)?.key.as_ref()?;
        Some((name, *key_type))
    }
}

fn target(text: &str) -> Option<Target> {
    let (kind, oid) = text.split_at_checked(1)?;
    Some(match kind {
        "c" => Target::Surroundings,
        "r" => Target::Relation(oid.parse().ok()?),
        _ => Target::Function(oid.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::log::row_key;
    use crate::route::classify;

    fn row(columns: [&str; 8]) -> SourceRow {
        columns.map(|column| (!column.is_empty()).then(|| column.to_owned()))
    }

    fn sources() -> Sources {
        Sources::read([
            row(["r", "16400", "shop", "item", "table", "", "id", "23"]),
            row(["r", "16401", "shop", "price", "table", "", "", ""]),
            row(["r", "16402", "other", "item", "table", "", "id", "23"]),
            row(["r", "16403", "shop", "offer", "view", "r16400 r16401 f65", "", ""]),
            row(["r", "16404", "shop", "recent", "view", "r16400 c", "", ""]),
            row(["r", "16405", "shop", "scratch", "other", "", "", ""]),
            row(["r", "16406", "shop", "odd", "view", "r16400 f16500", "", ""]),
            row(["r", "1259", "pg_catalog", "pg_class", "other", "", "", ""]),
            row(["f", "16500", "shop", "total", "", "", "", ""]),
            row(["f", "1299", "pg_catalog", "now", "", "", "", ""]),
        ])
        .unwrap()
    }

    fn reading(sql: &str) -> Option<Reading> {
        let parameters = BindParameters::from_texts(&[Some("7")]);
        sources().reading(&classify(sql), Some("shop"), &row_key::find(sql), &parameters)
    }

    #[test]
    fn tables_are_found_through_views_and_by_the_schema_of_the_call() {
        assert_eq!(reading("SELECT * FROM item"), Some(Reading::Tables(vec![16400])));
        assert_eq!(reading("SELECT * FROM other.item"), Some(Reading::Tables(vec![16402])));
        let both = Some(Reading::Tables(vec![16400, 16401]));
        assert_eq!(reading("SELECT count(*) FROM offer"), both);
        assert_eq!(reading("WITH p AS (SELECT * FROM price) SELECT * FROM p, item"), both);
        assert_eq!(reading("SELECT 1"), Some(Reading::Tables(vec![])));
    }

    #[test]
    fn what_the_log_does_not_tell_of_is_not_known() {
        for sql in [
            "SELECT * FROM scratch",
            "SELECT * FROM pg_class",
            "SELECT * FROM nowhere",
            "SELECT * FROM recent",
            "SELECT * FROM odd",
            "SELECT total(id) FROM item",
            "SELECT * FROM item WHERE made < now()",
            "SELECT * FROM item WHERE made < CURRENT_DATE",
            "SELECT * FROM item WHERE owner = CURRENT_USER",
            "SELECT * FROM item WHERE made < 'today'",
        ] {
            assert_eq!(reading(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_query_by_primary_key_reads_one_row() {
        let row = Some(Reading::Row(16400, (*b"7").into()));
        assert_eq!(reading("SELECT * FROM item WHERE id = $1"), row);
        assert_eq!(reading("SELECT name FROM shop.item i WHERE name <> 'x' AND $1 = i.id"), row);
        for sql in [
            "SELECT * FROM item WHERE id = $1 OR name = 'x'",
            "SELECT * FROM item WHERE id > $1",
            "SELECT * FROM item WHERE name = $1",
            "SELECT * FROM item WHERE id = $1 AND id IN (SELECT id FROM item)",
            "SELECT * FROM item WHERE id = $1 UNION SELECT * FROM item",
            "SELECT * FROM item WHERE id = $1 AND id IN (TABLE item)",
        ] {
            assert_eq!(reading(sql), Some(Reading::Tables(vec![16400])), "{sql}");
        }
        assert_eq!(reading("SELECT * FROM offer WHERE id = $1"), Some(Reading::Tables(vec![16400, 16401])));
    }
}
