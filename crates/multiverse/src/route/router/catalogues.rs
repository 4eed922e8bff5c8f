//! The router learns what the databases of its clusters hold: when their catalogues are due, and what they say.

use std::sync::Arc;
use std::time::Instant;

use super::{RoutedCluster, Router};
use crate::route::catalogue::{Catalogue, CatalogueError, CatalogueRow, Judgement, OWN_SQL, SYSTEM_SQL};
use crate::route::classify;
use crate::route::decision::ClusterIndex;
use crate::route::freshness::Due;
use crate::route::options::RouteOptions;
use crate::route::verdict::{Access, Verdict};

impl Router {
    /// Takes note that a statement has run, so that a change of definitions is known: the statements that follow go to
    /// the primary until the catalogue has been read again.
    pub fn executed(&mut self, cluster: ClusterIndex, verdict: &Verdict) {
        if verdict.changes_definitions
            && let Some(cluster) = self.clusters.get_mut(cluster.0)
        {
            cluster.catalogue = None;
            cluster.changed = true;
            cluster.freshness.want();
        }
    }

    /// The moment at which the next catalogue is to be read; `None` when none is due ever, as while all are being read.
    #[must_use]
    pub fn next_catalogue_due(&self, now: Instant) -> Option<Instant> {
        self.clusters
            .iter()
            .filter_map(|cluster| cluster.freshness.due())
            .map(|due| match due {
                Due::Now => now,
                Due::At(moment) => moment,
            })
            .min()
    }

    /// A cluster whose catalogue is to be read now, with the queries to run in order on any of its servers. Their rows are
    /// to be given to [`Router::catalogue_was_read`], or the failure told to [`Router::catalogue_was_not_read`].
    pub fn begin_catalogue(&mut self, now: Instant) -> Option<(ClusterIndex, &'static [&'static str])> {
        let is_due = |cluster: &RoutedCluster| match cluster.freshness.due() {
            Some(Due::Now) => true,
            Some(Due::At(moment)) => moment <= now,
            None => false,
        };
        let index = self.clusters.iter().position(is_due)?;
        let cluster = self.clusters.get_mut(index)?;
        cluster.freshness.begin(now);
        cluster.changed = false;
        let queries: &[&str] = if cluster.system.is_some() { &[OWN_SQL] } else { &[SYSTEM_SQL, OWN_SQL] };
        Some((ClusterIndex(index), queries))
    }

    /// Takes the rows of each of the queries of [`Router::begin_catalogue`].
    ///
    /// # Errors
    /// [`CatalogueError`] when the rows are not as the queries give them; the catalogue then counts as not read.
    pub fn catalogue_was_read(
        &mut self,
        cluster: ClusterIndex,
        results: Vec<Vec<CatalogueRow>>,
        now: Instant,
    ) -> Result<(), CatalogueError> {
        let Some(routed) = self.clusters.get_mut(cluster.0) else { return Ok(()) };
        let mut results = results;
        let own = results.pop().unwrap_or_default();
        if let Some(system) = results.pop() {
            routed.system = Some(system);
        }
        let catalogue = Catalogue::read(routed.system.iter().flatten().chain(&own));
        routed.freshness.end(now, catalogue.is_err());
        // What changed while it was read may or may not be in it.
        let is_current = !routed.changed;
        routed.catalogue = Some(catalogue?).filter(|_| is_current);
        routed.generation += 1;
        Ok(())
    }

    /// Takes note that a catalogue could not be read; it is tried again.
    pub fn catalogue_was_not_read(&mut self, cluster: ClusterIndex, now: Instant) {
        if let Some(routed) = self.clusters.get_mut(cluster.0) {
            routed.freshness.end(now, true);
        }
    }

    /// Whether it is told by a catalogue that is being read, or will be before a moment, if a text only reads.
    pub(crate) fn awaits_catalogue(&mut self, cluster: ClusterIndex, sql: &Arc<str>, until: Instant) -> bool {
        let known = self.texts.get(sql, classify);
        let Some(routed) = self.clusters.get(cluster.0) else { return false };
        let is_open = || match &routed.catalogue {
            Some(catalogue) => {
                let judge = || catalogue.judge(&known.verdict);
                known.judgement(cluster.0, routed.generation, judge) == Judgement::Unknown
            }
            None => true,
        };
        known.verdict.access == Access::Read && routed.freshness.is_awaited(until) && is_open()
    }

    /// Whether replicas answer reads of the cluster as soon as its catalogue has been read for the first time.
    pub(crate) fn awaits_replicas(&self, cluster: ClusterIndex, options: &RouteOptions) -> bool {
        let Some(routed) = self.clusters.get(cluster.0) else { return false };
        let wishes = self.wishes(cluster, options);
        routed.freshness.is_new() && routed.config.server_count() > 1 && !wishes.need_primary()
    }

    /// Whether the cluster's catalogue is known, without which all its statements go to its primary.
    #[must_use]
    pub fn knows_catalogue(&self, cluster: ClusterIndex) -> bool {
        self.clusters.get(cluster.0).is_some_and(|cluster| cluster.catalogue.is_some())
    }
}
