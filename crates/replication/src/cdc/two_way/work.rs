//! What is to be done with keys at a side, and what has become of it.

use std::collections::{BTreeMap, HashSet};

use data::Value;

use super::decide::Met;
use super::dirty::Touched;
use super::settle::key_at;
use super::side::Which;
use crate::snapshot::Converted;
use crate::stats::Winner;

/// What is to be done with a key at a side.
#[derive(Debug)]
pub(super) enum Job {
    /// The row is written.
    Put(Converted),
    /// The row is deleted.
    Delete,
    /// Only the version is written.
    Note,
    /// A row that was set aside is settled otherwise.
    Clear,
    /// The row cannot be brought into the types of the side, or cannot be decided.
    Refuse(data::Error),
}

/// A key on its way to a side.
pub(super) struct Work {
    pub(super) index: usize,
    pub(super) touched: Touched,
    pub(super) met: Met,
    pub(super) job: Job,
    /// Whose version stays, and what differed, if both sides had changed.
    pub(super) conflict: Option<(Winner, Vec<String>)>,
    /// Whether what is written here is to go to the other side afterwards.
    pub(super) is_open: bool,
}

impl Work {
    pub(super) fn new(index: usize, touched: Touched, met: Met, job: Job) -> Self {
        Self { index, touched, met, job, conflict: None, is_open: false }
    }

    pub(super) fn key_at(&self, which: Which) -> &Vec<Value> {
        key_at(which, &self.touched)
    }

    pub(super) fn is_new(&self, which: Which) -> bool {
        self.met.held(which).row.is_none()
    }
}

/// What a transaction did with works, given by their places.
#[derive(Default)]
pub(super) struct Done {
    /// Those that were changed by others meanwhile.
    pub(super) again: HashSet<usize>,
    /// Of those, the ones that wait for another row to make room for them.
    pub(super) waiting: HashSet<usize>,
    pub(super) refused: BTreeMap<usize, data::Error>,
}

impl Done {
    pub(super) fn is_done(&self, place: usize) -> bool {
        !self.again.contains(&place) && !self.refused.contains_key(&place)
    }
}
