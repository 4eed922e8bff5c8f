//! Where names of tables are looked up, and which column of a table is its shard key.

use std::sync::Arc;

use crate::shard::catalogue::{ShardCatalogue, Table};
use crate::shard::error::ShardError;
use crate::shard::layout::ShardedCluster;
use crate::shard::placement::Placement;

/// Where names are looked up.
pub(super) struct Names<'a> {
    pub(super) cluster: &'a ShardedCluster,
    pub(super) catalogue: &'a ShardCatalogue,
    /// The schema that the call names.
    pub(super) schema: Option<&'a str>,
}

impl Names<'_> {
    /// The table of a name.
    pub(super) fn table(&self, schema: &str, name: &str) -> Result<Arc<Table>, ShardError> {
        let found = if schema.is_empty() {
            let path = self.cluster.search_path.iter().map(String::as_str);
            self.schema.into_iter().chain(path).find_map(|schema| self.catalogue.table(schema, name))
        } else {
            self.catalogue.table(schema, name)
        };
        let table = found.ok_or_else(|| {
            ShardError::table(format!(
                "the table {name} is not known on cluster {}, which is sharded: name its schema, or a single shard by clusterId",
                self.cluster.id
            ))
        })?;
        if !table.is_table {
            return Err(ShardError::table(format!(
                "{name} is a view or foreign table, which says something else on every shard: pass shardKey, or query its \
                 tables"
            )));
        }
        Ok(Arc::clone(table))
    }

    /// The shard key of a table.
    pub(super) fn key_of(&self, table: &Table) -> Result<(String, Placement), ShardError> {
        let key = self.cluster.key_of(&table.schema);
        let Some(column) = table.column(key) else {
            return Err(ShardError::table(format!(
                "the table {} has no column {key}, by which cluster {} is sharded: pass shardKey, or name a single shard by \
                 clusterId",
                table.name, self.cluster.id
            )));
        };
        let Some(key_type) = column.key_type() else {
            return Err(ShardError::table(format!(
                "the type of the column {key} of {} cannot be a shard key",
                table.name
            )));
        };
        let placement = Placement::new(&self.cluster.sharding, key_type)?.limited(column.longest());
        Ok((key.to_owned(), placement))
    }
}
