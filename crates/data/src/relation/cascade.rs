//! Which writes a relation passes on to its other side.

use crate::schema::Relation;

/// The operations that a relation passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cascade {
    /// New rows of the other side are inserted.
    pub(super) persist: bool,
    /// Rows of the other side are changed, or inserted where they do not exist.
    pub(super) merge: bool,
    /// Rows of the other side are deleted with the row.
    pub(super) remove: bool,
}

impl Cascade {
    pub(super) fn of(relation: &Relation) -> Self {
        let named = |operation: &str| {
            let mut names = relation.cascade.iter();
            names.any(|name| name.eq_ignore_ascii_case(operation) || name.eq_ignore_ascii_case("all"))
        };
        // A child that is deleted when its parent lets go of it is deleted with its parent, too.
        let remove = named("remove") || relation.orphan_removal;
        Self { persist: named("persist"), merge: named("merge"), remove }
    }

    /// Whether writes of any kind but deletes are passed on.
    pub(super) fn writes(self) -> bool {
        self.persist || self.merge
    }
}
