//! Which tables of a cluster are spread over its shards, for those who look where their rows lie.

use std::sync::Arc;

use super::catalogue::TableColumn;
use super::layout::ShardedCluster;
use super::placement::Placement;
use super::{Inner, ShardError, Shards, learning};
use crate::config::Sharding;
use crate::error::Error;

/// A table that is spread over shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardedTable {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// The column that is its shard key.
    pub key: String,
    /// An expression of SQL for the number of the shard on which a row belongs; NULL where it belongs on none. An error where
    /// no statement finds a row of the table by its key.
    pub shard_sql: Result<String, ShardError>,
}

/// Takes the shards of a cluster, by their ids, and its tables.
pub type SurveyReply = Box<dyn FnOnce(Result<(Vec<Arc<str>>, Vec<ShardedTable>), Error>) + Send>;

impl Shards {
    /// Looks which tables of a cluster are spread over shards. The answer is an error where the cluster is not sharded.
    pub fn survey(&self, cluster: &str, reply: SurveyReply) {
        let inner = Arc::clone(&self.0);
        let Some(cluster) = inner.layout().cluster(cluster).cloned() else {
            let message = format!("cluster {cluster} is not sharded");
            return reply(Err(Error::Shard(ShardError::table(message))));
        };
        self.0.engine.runtime().spawn(async move { reply(inner.tables_of(&cluster).await) });
    }
}

impl Inner {
    async fn tables_of(&self, cluster: &ShardedCluster) -> Result<(Vec<Arc<str>>, Vec<ShardedTable>), Error> {
        let catalogue = learning::read_any(&self.engine, &cluster.shards).await?;
        let mut tables = Vec::new();
        for table in catalogue.tables().filter(|table| table.is_table) {
            let key = cluster.key_of(&table.schema);
            // The rows of a part are counted with those of the table that it is a part of.
            let Some(column) = table.column(key).filter(|column| !column.is_inherited) else { continue };
            tables.push(ShardedTable {
                schema: table.schema.clone(),
                name: table.name.clone(),
                key: key.to_owned(),
                shard_sql: shard_sql(&cluster.sharding, column),
            });
        }
        tables.sort_by(|one, other| (&one.schema, &one.name).cmp(&(&other.schema, &other.name)));
        Ok((cluster.shards.clone(), tables))
    }
}

fn shard_sql(sharding: &Sharding, key: &TableColumn) -> Result<String, ShardError> {
    let unfit =
        || ShardError::table(format!("the column {} has a type that no shard key can have", key.name));
    let placement = Placement::new(sharding, key.key_type().ok_or_else(unfit)?)?;
    Ok(placement.shard_sql(&quoted(&key.name)))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
