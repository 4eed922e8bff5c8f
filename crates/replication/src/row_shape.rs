//! The rows of a collection that a rule carries, and what it makes of them on their way.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use data::schema::Discriminator;
use data::{Filter, Record};

use crate::cdc::RowOperation;

/// A function of an application that changes rows on their way, or leaves them out.
#[async_trait]
pub trait RowTransform: Send + Sync {
    /// What becomes of rows of a collection: one outcome for each, in their order. One that takes longer than `limit` is to fail;
    /// all together are given up after so many times that.
    ///
    /// # Errors
    /// Only if the function cannot be called at all; the run ends with it.
    async fn apply(
        &self,
        collection: &str,
        rows: &[RowToTransform],
        limit: Duration,
    ) -> data::Result<Vec<TransformOutcome>>;
}

/// A row that is to be transformed, with the names and values of its source.
#[derive(Debug, Clone, PartialEq)]
pub struct RowToTransform {
    /// [`RowOperation::Insert`] for a row that the target is thought not to have, or [`RowOperation::Update`].
    pub operation: RowOperation,
    /// Its primary key.
    pub key: Record,
    /// The row.
    pub row: Record,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum TransformOutcome {
    /// It is this row now. Fields that are left out have no value.
    Row(Record),
    /// The target is not to have it.
    Dropped,
    /// The function failed, and why.
    Failed(String),
}

/// The transform of a rule.
#[derive(Clone)]
pub(crate) struct Transform(pub(crate) Arc<dyn RowTransform>);

impl fmt::Debug for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transform")
    }
}

/// Functions are not told apart: a rule is the same rule when it is given its function again.
impl PartialEq for Transform {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Transform {}

/// Which rows of a collection a rule carries, and what it makes of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowShape {
    /// Only rows for which this holds.
    pub(crate) filter: Option<Filter>,
    /// A further column of the target, part of its key, with the name of the source.
    pub(crate) source_column: Option<Discriminator>,
    /// What the primary keys of the source begin with at the target.
    pub(crate) key_prefix: Option<String>,
    /// What rows are passed through.
    pub(crate) transform: Option<Transform>,
    /// How long a row may take on its way through it.
    pub(crate) transform_limit: Duration,
    /// Whether the target may have rows that are left out by now, which a copy is to delete there.
    pub(crate) deletes_dropped: bool,
}
