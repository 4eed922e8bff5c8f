//! Why a statement cannot be carried out over shards.

use super::key::KeyType;

/// A statement that is refused: what stands in the way, and what would help. No message holds a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ShardError {
    /// What JavaScript sees as `error.code`.
    pub code: &'static str,
    message: String,
}

impl ShardError {
    /// The results of the shards cannot be put together to what one server would give.
    pub(crate) fn unmergeable(what: &str) -> Self {
        let fix = "compare the shard key with a value, so that it runs on one shard, pass shardKey, or fetch the parts \
                   and put them together in the application";
        Self { code: "ERR_SHARD_UNMERGEABLE", message: format!("{what} cannot be merged over shards: {fix}") }
    }

    /// A statement needs the shard key and does not say it.
    pub(crate) fn key_required(what: &str) -> Self {
        Self { code: "ERR_SHARD_KEY_REQUIRED", message: what.to_owned() }
    }

    /// A value of a shard key is none of its column's type.
    pub(crate) fn value(column: &str, key: KeyType) -> Self {
        let message = format!("the value of the shard key {column} is not a valid {}", key.name());
        Self { code: "ERR_SHARD_KEY_VALUE", message }
    }

    /// A value of a shard key has no shard.
    pub(crate) fn no_shard(column: &str) -> Self {
        let message =
            format!("the value of the shard key {column} has no shard: no range or directory entry has it");
        Self { code: "ERR_SHARD_KEY_VALUE", message }
    }

    /// The configuration of ranges or a directory does not fit the column.
    pub(crate) fn configured(column: &str, key: KeyType) -> Self {
        let message =
            format!("sharding: a bound or entry for the shard key {column} is not a valid {}", key.name());
        Self { code: "ERR_CONFIG", message }
    }

    /// The shard key of a row would change.
    pub(crate) fn key_update(column: &str) -> Self {
        let message = format!(
            "the shard key {column} cannot be updated, as the row might belong on another shard then: delete the row and \
             insert it again, in one transaction"
        );
        Self { code: "ERR_SHARD_KEY_UPDATE", message }
    }

    /// A table is not spread over shards, or not known.
    pub(crate) fn table(message: String) -> Self {
        Self { code: "ERR_SHARD_TABLE", message }
    }

    /// What cannot run without saying on which shard.
    pub(crate) fn statement(message: &str) -> Self {
        Self { code: "ERR_SHARD_STATEMENT", message: message.to_owned() }
    }

    /// A sum over shards is too large for its type; the server says it with the same code.
    pub(crate) fn out_of_range() -> Self {
        Self { code: "22003", message: "a sum over shards is out of the range of its type".to_owned() }
    }

    /// The same of a statement that the shards have carried out.
    pub(crate) fn after_writing(self) -> Self {
        Self { code: "ERR_SHARD_RESULT", ..self }
    }

    /// Clusters have no part yet in the transaction in which a statement runs.
    pub(crate) fn not_joined(clusters: &[&str]) -> Self {
        Self { code: "ERR_SHARD_NOT_JOINED", message: clusters.join("\n") }
    }
}
