//! The tables of a sharded cluster, as one of its shards has them: their columns with types and orders.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::functions::{FUNCTIONS, Functions};
use super::key::KeyType;
use crate::client::{PinnedClient, Rows};
use crate::error::Error;

/// How texts of a column or an expression are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextOrder {
    /// Its type has no texts.
    None,
    /// By their bytes.
    Bytes,
    /// By the rules of a language, which a client does not know.
    Language,
    /// Different texts may be equal.
    Folded,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    /// Of a domain, the type beneath it.
    pub(crate) type_oid: u32,
    /// The modifier of the type (`atttypmod`), -1 without one.
    pub(crate) modifier: i32,
    pub(crate) order: TextOrder,
    /// It comes from a table of which this one is a part, by partitioning or inheritance.
    pub(crate) is_inherited: bool,
}

/// A table, or what looks like one.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) schema: String,
    pub(crate) name: String,
    /// Rows lie in it, and not somewhere else.
    pub(crate) is_table: bool,
    /// In the order of the table.
    pub(crate) columns: Vec<TableColumn>,
}

impl TableColumn {
    /// The type of the column as a shard key. None where a value may be stored as another one than was given, or where
    /// different texts are equal.
    pub(crate) fn key_type(&self) -> Option<KeyType> {
        let key = KeyType::of_oid(self.type_oid)?;
        let is_rounded = matches!(key, KeyType::Numeric | KeyType::Timestamp | KeyType::Timestamptz);
        let is_kept = self.order != TextOrder::Folded && !(is_rounded && self.modifier != -1);
        is_kept.then_some(key)
    }

    /// The most characters of a text, where the type says that.
    pub(crate) fn longest(&self) -> Option<usize> {
        // The modifier counts four bytes more.
        usize::try_from(self.modifier - 4).ok()
    }
}

impl Table {
    pub(crate) fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// What planning needs to know of the databases.
#[derive(Debug, Default)]
pub(crate) struct ShardCatalogue {
    tables: HashMap<(String, String), Arc<Table>>,
    functions: Functions,
    /// Texts are ordered by their bytes where nothing else is said.
    pub(crate) orders_by_bytes: bool,
}

const COLUMNS: &str = "SELECT n.nspname::text, c.relname::text, (c.relkind IN ('r', 'p'))::text, a.attname::text, \
    (CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END)::text, \
    (CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END)::text, \
    CASE WHEN a.attcollation = 0 THEN 'none' WHEN NOT o.collisdeterministic THEN 'folded' \
      WHEN o.collname IN ('C', 'POSIX') OR o.collname = 'default' AND d.datcollate IN ('C', 'POSIX') \
        AND COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') = 'c' THEN 'bytes' ELSE 'language' END, \
    (a.attinhcount > 0)::text \
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
    JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database() \
    LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation \
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%' \
    ORDER BY c.oid, a.attnum";
const ORDER: &str = "SELECT (d.datcollate IN ('C', 'POSIX') AND COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c') = 'c')::text \
    FROM pg_catalog.pg_database d \
    WHERE d.datname = pg_catalog.current_database()";

impl ShardCatalogue {
    /// Reads the catalogue by a connection to a shard.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(crate) async fn read(client: &PinnedClient) -> Result<Self, Error> {
        let columns = client.run(COLUMNS, &[]).await?.rows;
        let functions = client.run(FUNCTIONS, &[]).await?.rows;
        let order = client.run(ORDER, &[]).await?.rows;
        Ok(Self::of_rows(&columns, &functions, &order))
    }

    fn of_rows(columns: &Rows, functions: &Rows, order: &Rows) -> Self {
        let mut tables: HashMap<(String, String), Table> = HashMap::new();
        for row in columns {
            let [
                Some(schema),
                Some(table),
                Some(is_table),
                Some(name),
                Some(oid),
                Some(modifier),
                Some(order),
                Some(is_inherited),
            ] = &row[..]
            else {
                continue;
            };
            let entry = tables.entry((schema.clone(), table.clone())).or_insert_with(|| Table {
                schema: schema.clone(),
                name: table.clone(),
                is_table: is_table == "true",
                columns: Vec::new(),
            });
            let order = match order.as_str() {
                "none" => TextOrder::None,
                "bytes" => TextOrder::Bytes,
                "folded" => TextOrder::Folded,
                _ => TextOrder::Language,
            };
            entry.columns.push(TableColumn {
                name: name.clone(),
                type_oid: oid.parse().unwrap_or(0),
                modifier: modifier.parse().unwrap_or(-1),
                order,
                is_inherited: is_inherited == "true",
            });
        }
        let relations: HashSet<&str> = tables.keys().map(|(_, name)| name.as_str()).collect();
        let functions = Functions::of_rows(functions, &relations);
        let order = order.first().and_then(|row| row.first()?.as_deref());
        Self {
            functions,
            tables: tables.into_iter().map(|(name, table)| (name, Arc::new(table))).collect(),
            orders_by_bytes: order == Some("true"),
        }
    }

    pub(crate) fn table(&self, schema: &str, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(&(schema.to_owned(), name.to_owned()))
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// What is known of functions.
    pub(crate) fn functions(&self) -> &Functions {
        &self.functions
    }

    pub(crate) fn is_aggregate(&self, function: &str) -> bool {
        self.functions.is_aggregate(function)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A schema, a table, and its columns with the oids of their types.
    pub(crate) type TableText<'t> = (&'t str, &'t str, &'t [(&'t str, u32)]);

    /// A catalogue of tables: schema, name, and columns with the oids of their types; texts have the order of a language,
    /// those called `code` that of bytes.
    pub(crate) fn catalogue_of(tables: &[TableText<'_>]) -> ShardCatalogue {
        let mut columns: Rows = Vec::new();
        for (schema, table, names) in tables {
            for (name, oid) in *names {
                let order = match (*oid, *name) {
                    (25, "code") => "bytes",
                    (25, _) => "language",
                    _ => "none",
                };
                let cells = [*schema, table, "true", name, &oid.to_string(), "-1", order, "false"];
                columns.push(cells.iter().map(|cell| Some((*cell).to_owned())).collect());
            }
        }
        let names = ["count", "sum", "min", "max", "avg", "string_agg", "bool_and", "bool_or"];
        let function = |name: &str, kind: &str, body: &str| {
            [name, kind, body, &(name == "unnest").to_string()]
                .iter()
                .map(|cell| Some((*cell).to_owned()))
                .collect::<Vec<_>>()
        };
        let mut functions: Rows = names.iter().map(|name| function(name, "aggregate", "")).collect();
        functions.push(function("unnest", "builtin", ""));
        functions.push(function("visits", "varying", ""));
        functions.push(function("total_of", "varying", "SELECT sum(amount) FROM Orders WHERE user_id = $1"));
        functions.push(function("doubled_total", "immutable", "BEGIN RETURN 2 * total_of (1); END"));
        functions.push(function("doubled", "immutable", "SELECT 2 * $1"));
        ShardCatalogue::of_rows(&columns, &functions, &vec![vec![Some("false".to_owned())]])
    }
}
