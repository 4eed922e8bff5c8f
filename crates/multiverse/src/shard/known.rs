//! What is known of a sharded cluster while it is used: its catalogue, the plans made with it, and requests that wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::catalogue::ShardCatalogue;
use super::layout::ShardedCluster;
use super::learning::Learned;
use super::plan::{Plan, plan};
use super::waiting::Waiting;
use crate::engine::DefinitionChanges;
use crate::request::{Request, RequestId};

/// A catalogue that was compared with a server's longer ago is compared again, while it is used on: another process may have
/// changed tables.
const COMPARED_EVERY: Duration = Duration::from_secs(2);
/// One that was compared longer ago is not used before it is.
const TRUSTED_FOR: Duration = Duration::from_secs(5);
/// While it cannot be, because no primary answers, it is used on: replicas may. Then it is tried again.
const EXCUSED_FOR: Duration = Duration::from_secs(5);
/// An error that a change of tables would explain is taken for one, where that could have happened since.
const JUST_COMPARED: Duration = Duration::from_millis(500);
const MOST_PLANS: usize = 4_000;
/// Bytes of a text beyond which its plan is not kept: what is as long has values in it, and comes once.
const LONGEST_KEPT: usize = 16 * 1024;

/// The schema that the call names, and the text.
type PlanKey = (Option<Arc<str>>, Arc<str>);

/// What is known of one cluster.
#[derive(Default)]
pub(super) struct Known {
    learned: Option<Learned>,
    /// When the catalogue was last seen to be what a server has.
    compared: Option<Instant>,
    /// When comparing it failed last.
    failed: Option<Instant>,
    /// How often this process has changed definitions of any cluster, and of this one.
    changes: (u64, u64),
    /// How often the catalogue was forgotten.
    pub(super) doubts: u64,
    plans: HashMap<PlanKey, Arc<Plan>, RandomState>,
    /// The catalogue is being read or compared.
    pub(super) is_reading: bool,
    /// What is to be looked at again then.
    pub(super) waiting: Vec<Waiting>,
}

impl Known {
    pub(super) fn catalogue(&self) -> Option<&Arc<ShardCatalogue>> {
        self.learned.as_ref().map(|learned| &learned.catalogue)
    }

    pub(super) fn learned(&self) -> Option<&Learned> {
        self.learned.as_ref()
    }

    /// Whether the catalogue should be compared with a server's.
    pub(super) fn is_old(&self) -> bool {
        let is_before = |moment: Option<Instant>| moment.is_none_or(|at| at.elapsed() > COMPARED_EVERY);
        is_before(self.compared) && is_before(self.failed)
    }

    /// Whether it must be, before anything is planned with it.
    pub(super) fn is_doubtful(&self) -> bool {
        let is_excused = self.failed.is_some_and(|failed| failed.elapsed() < EXCUSED_FOR);
        !is_excused && self.compared.is_none_or(|compared| compared.elapsed() > TRUSTED_FOR)
    }

    /// The plan of a statement; `None` while there is no catalogue.
    pub(super) fn plan(&mut self, cluster: &ShardedCluster, request: &Request) -> Option<Arc<Plan>> {
        let catalogue = &self.learned.as_ref()?.catalogue;
        if request.sql.len() > LONGEST_KEPT {
            return Some(Arc::new(plan(&request.sql, cluster, catalogue, request.route.schema.as_deref())));
        }
        let key = (request.route.schema.clone(), Arc::clone(&request.sql));
        if let Some(known) = self.plans.get(&key) {
            return Some(Arc::clone(known));
        }
        let made = Arc::new(plan(&request.sql, cluster, catalogue, request.route.schema.as_deref()));
        if self.plans.len() >= MOST_PLANS {
            self.plans.clear();
        }
        self.plans.insert(key, Arc::clone(&made));
        Some(made)
    }

    pub(super) fn learn(&mut self, learned: Learned) {
        self.learned = Some(learned);
        self.compared = Some(Instant::now());
        self.plans.clear();
    }

    /// A server still has what is known.
    pub(super) fn confirm(&mut self) {
        self.compared = Some(Instant::now());
    }

    /// No server could be asked. Gives whether something is known all the same.
    pub(super) fn excuse(&mut self) -> bool {
        self.failed = Some(Instant::now());
        self.learned.is_some()
    }

    /// Tables have changed.
    pub(super) fn forget(&mut self) {
        self.doubts += 1;
        self.learned = None;
        self.compared = None;
        self.plans.clear();
    }

    /// A server refuses what was planned, as it would if tables had changed. Gives whether they may have.
    pub(super) fn doubt(&mut self) -> bool {
        if self.compared.is_some_and(|compared| compared.elapsed() < JUST_COMPARED) {
            return false;
        }
        self.compared = None;
        true
    }

    /// Forgets the catalogue if this process has changed definitions of the cluster.
    pub(super) fn take_note(&mut self, changes: &DefinitionChanges, shards: &[Arc<str>]) {
        let all = changes.of_all();
        if all == self.changes.0 {
            return;
        }
        let now = (all, changes.of(shards));
        if now.1 != self.changes.1 {
            self.forget();
        }
        self.changes = now;
    }

    /// Takes a request off those that wait.
    pub(super) fn leave(&mut self, id: RequestId) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.request.id == id)?;
        Some(self.waiting.swap_remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_compared_is_used_on_for_a_while() {
        let mut known = Known::default();
        assert!(known.is_old() && known.is_doubtful());
        known.confirm();
        assert!(!known.is_old() && !known.is_doubtful());
        assert!(!known.doubt(), "what was compared a moment ago is not to blame");
        known.forget();
        assert!(known.is_doubtful());
        assert!(!known.excuse(), "nothing is known");
        assert!(!known.is_old() && !known.is_doubtful());
    }

    #[test]
    fn changes_elsewhere_are_no_reason_to_forget() {
        let changes = DefinitionChanges::default();
        let shards = [Arc::from("main/0"), Arc::from("main/1")];
        let mut known = Known::default();
        changes.note(&Arc::from("other"));
        known.take_note(&changes, &shards);
        assert_eq!(known.doubts, 0);
        changes.note(&Arc::from("main/1"));
        known.take_note(&changes, &shards);
        known.take_note(&changes, &shards);
        assert_eq!(known.doubts, 1);
    }
}
