//! What is known of a sharded cluster while it is used: its catalogue, the plans made with it, and requests that wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use super::catalogue::ShardCatalogue;
use super::layout::ShardedCluster;
use super::plan::{Plan, plan};
use crate::request::Request;

/// A catalogue that is older is read again, while it is used on: somebody else may have changed tables.
const OLDEST: Duration = Duration::from_secs(30);
const MOST_PLANS: usize = 4_000;

/// The schema that the call names, and the text.
type PlanKey = (Option<Arc<str>>, Arc<str>);

/// What is known of one cluster.
#[derive(Default)]
pub(super) struct Known {
    catalogue: Option<Arc<ShardCatalogue>>,
    read_at: Option<Instant>,
    /// How often the tables are known to have changed.
    pub(super) changes: u64,
    plans: HashMap<PlanKey, Arc<Plan>, RandomState>,
    /// The catalogue is being read.
    pub(super) is_reading: bool,
    /// What is to be looked at again then.
    pub(super) waiting: Vec<Request>,
}

impl Known {
    pub(super) fn catalogue(&self) -> Option<&Arc<ShardCatalogue>> {
        self.catalogue.as_ref()
    }

    /// Whether the catalogue should be read, if nobody does.
    pub(super) fn is_old(&self) -> bool {
        !self.is_reading && self.read_at.is_none_or(|read_at| read_at.elapsed() > OLDEST)
    }

    /// The plan of a statement; `None` while there is no catalogue.
    pub(super) fn plan(&mut self, cluster: &ShardedCluster, request: &Request) -> Option<Arc<Plan>> {
        let catalogue = self.catalogue.as_ref()?;
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

    pub(super) fn learn(&mut self, catalogue: ShardCatalogue) {
        self.catalogue = Some(Arc::new(catalogue));
        self.read_at = Some(Instant::now());
        self.plans.clear();
    }

    /// Tables have changed.
    pub(super) fn forget(&mut self) {
        self.changes += 1;
        self.catalogue = None;
        self.read_at = None;
        self.plans.clear();
    }
}
