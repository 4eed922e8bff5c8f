//! The fields that a read must fetch so that relations can be loaded, and which of them nobody asked for.

use super::link::Link;
use super::plan::Branch;
use crate::filter::FindOptions;
use crate::record::Record;
use crate::schema::{EntitySchema, ID, RelationKind};

/// The options of a read with what loading its relations needs, and what is to be removed afterwards.
pub(super) struct Projection {
    pub(super) options: FindOptions,
    surplus: Vec<String>,
}

impl Projection {
    /// The options with the columns that the branches start from, and further columns.
    pub(super) fn new(
        schema: &EntitySchema,
        options: &FindOptions,
        branches: &[Branch<'_>],
        columns: &[&str],
    ) -> Self {
        let mut projection = Self { options: options.clone(), surplus: Vec::new() };
        projection.leave_out_lists(schema);
        for column in columns {
            projection.require(schema, column);
        }
        for branch in branches {
            if let Link::Column(column) = &branch.link {
                projection.require(schema, column);
            }
        }
        // What a branch loads stands under the name of its relation.
        projection.surplus.retain(|name| branches.iter().all(|branch| branch.name != name));
        projection
    }

    /// Lists of the other side are no fields that a database could be asked for.
    fn leave_out_lists(&mut self, schema: &EntitySchema) {
        if self.options.select.is_empty() {
            return;
        }
        let is_list = |name: &String| {
            schema.relations.get(name).is_some_and(|relation| relation.kind == RelationKind::OneToMany)
        };
        self.options.select.retain(|name| !is_list(name));
        if self.options.select.is_empty() {
            self.options.select.push(ID.to_owned());
        }
    }

    fn require(&mut self, schema: &EntitySchema, column: &str) {
        let means_column = |name: &String| {
            let relation = schema.relations.get(name);
            name == column
                || relation
                    .is_some_and(|relation| relation.kind.has_column() && relation.column(name) == column)
        };
        let excluded = self.options.exclude.iter().any(means_column);
        let selected = self.options.select.is_empty() || self.options.select.iter().any(means_column);
        if excluded || !selected {
            self.surplus.push(column.to_owned());
        }
        self.options.exclude.retain(|name| !means_column(name));
        if !selected {
            self.options.select.push(column.to_owned());
        }
    }

    /// Takes away from a row what nobody asked for.
    pub(super) fn strip(&self, row: &mut Record) {
        for name in &self.surplus {
            row.shift_remove(name);
        }
    }
}
