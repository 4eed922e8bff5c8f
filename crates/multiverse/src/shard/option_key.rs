//! The shard that a call names by a value of the shard key.

use super::catalogue::{ShardCatalogue, TableColumn};
use super::error::ShardError;
use super::key::KeyType;
use super::layout::ShardedCluster;
use super::placement::Placement;

/// The shard of a value, which is read by the type that the columns of the shard key have.
///
/// # Errors
/// It is none of that type, or has no shard; or tables have keys of types whose values lie on different shards.
pub(super) fn shard_of_option(
    cluster: &ShardedCluster,
    catalogue: &ShardCatalogue,
    schema: Option<&str>,
    value: &str,
) -> Result<u32, ShardError> {
    let path: Vec<&str> = match schema {
        Some(schema) => vec![schema],
        None => cluster.search_path.iter().map(String::as_str).collect(),
    };
    let key = common_type(cluster, catalogue, &path)?;
    let name = path.first().map_or(cluster.sharding.key.as_str(), |schema| cluster.key_of(schema));
    let value = key.parse(value).ok_or_else(|| ShardError::value(name, key))?;
    Placement::new(&cluster.sharding, key)?.shard_of(&value).ok_or_else(|| ShardError::no_shard(name))
}

/// The type that takes the values of all shard keys of these schemas: of integers the widest.
fn common_type(
    cluster: &ShardedCluster,
    catalogue: &ShardCatalogue,
    path: &[&str],
) -> Result<KeyType, ShardError> {
    let mut common: Option<KeyType> = None;
    for table in catalogue.tables().filter(|table| table.is_table && path.contains(&table.schema.as_str())) {
        let name = cluster.key_of(&table.schema);
        let Some(key) = table.column(name).and_then(TableColumn::key_type) else { continue };
        common = Some(match common {
            None => key,
            Some(known) => known.wider(key).ok_or_else(|| {
                ShardError::key_required(
                    "shardKey does not tell which type it has, as the columns of the shard key have different types: \
                     compare the key with a value in the statement",
                )
            })?,
        });
    }
    common.ok_or_else(|| ShardError::key_required("no table has a column of the shard key"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::{Sharding, ShardingStrategy};
    use crate::shard::catalogue::tests::catalogue_of;

    const INT2: u32 = 21;
    const INT4: u32 = 23;
    const INT8: u32 = 20;
    const TEXT: u32 = 25;

    fn shard(types: &[u32], value: &str) -> Result<u32, &'static str> {
        let cluster = ShardedCluster {
            id: "main".into(),
            sharding: Sharding {
                key: "k".to_owned(),
                strategy: ShardingStrategy::Hash { partitions: 4 },
                shards: Vec::new(),
                member: None,
            },
            shards: (0..4).map(|number| Arc::from(format!("main/{number}"))).collect(),
            keys: [].into(),
            search_path: vec!["public".to_owned()],
        };
        let names: Vec<String> = (0..types.len()).map(|number| format!("t{number}")).collect();
        let columns: Vec<[(&str, u32); 1]> = types.iter().map(|oid| [("k", *oid)]).collect();
        let tables: Vec<_> = names
            .iter()
            .zip(&columns)
            .map(|(name, columns)| ("public", name.as_str(), &columns[..]))
            .collect();
        shard_of_option(&cluster, &catalogue_of(&tables), None, value).map_err(|error| error.code)
    }

    #[test]
    fn a_value_is_read_by_the_widest_type_that_any_table_has() {
        for types in [[INT2, INT4, INT8], [INT8, INT4, INT2], [INT4, INT8, INT2]] {
            assert_eq!(shard(&types, "5000000000"), shard(&[INT8], "5000000000"));
        }
        for _ in 0..8 {
            assert_eq!(shard(&[INT2, INT4, INT2, INT2], "100000"), shard(&[INT8], "100000"));
        }
        assert_eq!(shard(&[INT4, TEXT], "1"), Err("ERR_SHARD_KEY_REQUIRED"));
        assert_eq!(shard(&[INT4, INT2], "5000000000"), Err("ERR_SHARD_KEY_VALUE"));
    }
}
