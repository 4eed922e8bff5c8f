//! How the rows of a source table become rows of its target table.

mod admit;
mod compare;
mod composite;
mod convert;
mod keys;
mod prefix;
mod prepare;
mod rest;
mod spelling;

use std::sync::Arc;
use std::time::Duration;

use data::schema::Discriminator;
use data::table::{ColumnType, Limits, Packing, StoredForm, Table, TableStore};
use data::{RowFilter, Value};

use crate::column_rule::ColumnRule;
use crate::row_shape::Transform;

pub(crate) use admit::Candidate;
pub(crate) use compare::moment;
pub(crate) use convert::{Converted, GivenUp};
pub(crate) use prepare::Creation;

/// A source table, its target table cut to the columns they share, and the way from one to the other.
pub(crate) struct Mapping {
    /// The source table.
    pub(crate) source: Arc<Table>,
    /// The target table, with only the columns that the source has and that can be written.
    pub(crate) target: Arc<Table>,
    /// For each column of `target`, its position in `source`; behind its columns where the source has none such.
    positions: Vec<usize>,
    /// The rows meant at the source, where entities share its table.
    pub(crate) source_discriminator: Option<Discriminator>,
    /// The rows meant at the target.
    pub(crate) target_discriminator: Option<Discriminator>,
    /// Position of `updatedAt` in `target`.
    updated_at: Option<usize>,
    target_is_schemaless: bool,
    target_holds_json_null: bool,
    source_keeps_json_as_text: bool,
    /// For each column of `target`, whether it lists the links of a many-to-many relation.
    lists: Vec<bool>,
    limits: Limits,
    source_limits: Limits,
    /// Whether the target table has columns that the source lacks.
    pub(crate) target_has_own_columns: bool,
    /// In which form each column of `target` keeps its values.
    forms: Vec<StoredForm>,
    /// The same of the columns of `source`.
    source_forms: Vec<StoredForm>,
    /// Position in `source` of the fields that are left out, because no column of `target` holds them.
    left_out: Option<usize>,
    /// Which columns are replicated, and under which names.
    columns: ColumnRule,
    /// The name of the collection.
    label: String,
    /// Only rows for which this holds are carried.
    filter: Option<RowFilter>,
    /// What rows are passed through.
    transform: Option<Transform>,
    /// The columns of `target` that the transform fills, whose values follow those of the source's columns.
    added: Vec<String>,
    /// The column of `target` with the name of the source, and that name.
    source_mark: Option<Discriminator>,
    /// Position of that column in `target`.
    mark_position: Option<usize>,
    /// What the keys of the source begin with at the target.
    key_prefix: Option<KeyPrefix>,
    /// How long a row may take on its way through the transform.
    transform_limit: Duration,
    /// Whether rows that are not carried may stand at the target, where a copy deletes them.
    pub(crate) deletes_dropped: bool,
}

/// What the first column of the keys of a source begins with at the target.
struct KeyPrefix {
    text: String,
    /// Position of the column in `target`.
    position: usize,
}

impl Mapping {
    /// How tuples of the source are packed for the target, where no value needs a closer look.
    pub(crate) fn packing(&self, target: &dyn TableStore) -> Option<Packing> {
        if self.lists.contains(&true) || self.is_choosy() || self.is_marked() {
            return None;
        }
        target.packing(&self.source, &self.target, &self.positions)
    }

    /// Whether the target takes tuples of the source as they are.
    pub(crate) fn takes_tuples(&self, target: &dyn TableStore) -> bool {
        // Of lists in a key the lower bounds have to be looked at.
        let columns = self.source.key.iter().filter_map(|position| self.source.columns.get(*position));
        let has_lists = columns.into_iter().any(|column| matches!(column.column_type, ColumnType::Array(_)));
        let is_as_is = !self.is_choosy() && !self.is_marked() && !has_lists;
        is_as_is && target.takes_binary_tuples(&self.source, &self.target)
    }

    /// Whether rows get something at the target by which their source is known.
    fn is_marked(&self) -> bool {
        self.source_mark.is_some() || self.key_prefix.is_some()
    }

    /// Where the value for a column of `target` stands in `source`.
    pub(crate) fn position(&self, column: usize) -> usize {
        self.positions[column]
    }

    /// What no two collections of a run may share: the target's rows.
    pub(crate) fn target_identity(&self) -> (String, Option<String>) {
        (self.target.name.clone(), self.part_of_target().map(|own| own.value.clone()))
    }

    /// Whether a row of the target belongs to the entity that is mirrored.
    pub(crate) fn is_of_entity(&self, row: &[Value]) -> bool {
        self.target_discriminator.as_ref().is_none_or(|own| {
            let value = self.target.position(&own.column).and_then(|position| row.get(position));
            value.is_none_or(|value| value.as_text() == Some(&own.value))
        })
    }
}
