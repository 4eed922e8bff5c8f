//! Rows of both ends compared.

use data::{Timestamp, Value};

use super::Mapping;
use crate::snapshot::links::same_links;

impl Mapping {
    /// Whether a row that was converted is what the target holds. The key is left out: the row was found by it, and a
    /// database may give it in another type.
    pub(crate) fn is_same(&self, row: &[Value], own: &[Value]) -> bool {
        self.differing_columns(row, own).next().is_none()
    }

    /// The columns of `target` in which a row that was converted differs from what the target holds.
    pub(crate) fn differing_columns(&self, row: &[Value], own: &[Value]) -> impl Iterator<Item = usize> {
        let columns = row.iter().zip(own).enumerate();
        columns
            .filter(|(column, (value, own))| {
                !self.target.key.contains(column) && !self.same_value(*column, value, own)
            })
            .map(|(column, _)| column)
    }

    /// Whether two values of a column of `target` mean the same.
    pub(crate) fn same_value(&self, column: usize, a: &Value, b: &Value) -> bool {
        if self.lists.get(column) == Some(&true) { same_links(a, b) } else { a.same_as(b) }
    }

    /// Whether the row of the source was written later than that of the target; rows without `updatedAt` count as so.
    pub(crate) fn is_newer(&self, source: &[Value], target: &[Value]) -> bool {
        let Some(position) = self.updated_at else {
            return true;
        };
        match (source.get(position).and_then(moment), target.get(position).and_then(moment)) {
            // Rows that differ under the same time are the source's, or they would differ for ever.
            (Some(source), Some(target)) => source >= target,
            _ => true,
        }
    }
}

/// The moment of a value; SQLite keeps it as text.
pub(crate) fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Timestamp(moment) => Some(*moment),
        Value::Text(text) => Timestamp::parse_iso(text),
        _ => None,
    }
}
