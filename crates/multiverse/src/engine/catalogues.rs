//! Reading the catalogues of the databases, by which the router tells reads from writes.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::core::Core;
use super::holding::Held;
use super::own_query::{OwnResult, Purpose};
use super::timers::{Routine, Timer};
use crate::pool::Pool;
use crate::request::RequestId;
use crate::route::ClusterIndex;
use crate::route::catalogue::CatalogueRow;

/// How long a catalogue may take to be read.
const LIMIT: Duration = Duration::from_secs(30);

/// The catalogues that are being read.
#[derive(Default)]
pub(crate) struct Catalogues {
    /// A request has met something that the router does not know.
    pub(crate) is_wanted: bool,
    /// When the router is asked again whether one is due.
    next_look: Option<Instant>,
    /// By cluster.
    reading: HashMap<usize, Reading>,
    /// The reads that wait for one.
    pub(super) held: Vec<Held>,
    /// Counts the readings, so that an answer to one that was given up is not used.
    readings: u64,
}

struct Reading {
    number: u64,
    /// The pool that is being asked, and the number of the request.
    asked: (usize, RequestId),
    all: &'static [&'static str],
    /// Those that are still to be asked.
    queries: std::slice::Iter<'static, &'static str>,
    results: Vec<Vec<CatalogueRow>>,
}

impl Core {
    /// Begins to read the catalogues that are due, once any request has needed one.
    pub(super) fn look_at_catalogues(&mut self) {
        self.catalogues.is_wanted = false;
        while let Some((cluster, queries)) = self.router.begin_catalogue(self.now) {
            self.read_anew(cluster.0, queries);
        }
        let Some(due) = self.router.next_catalogue_due(self.now) else { return };
        if self.catalogues.next_look.is_none_or(|look| look <= self.now || due < look) {
            self.catalogues.next_look = Some(due);
            self.timers.add(due, Timer::Routine(Routine::Catalogues));
        }
    }

    fn read_anew(&mut self, cluster: usize, all: &'static [&'static str]) {
        self.catalogues.readings += 1;
        let number = self.catalogues.readings;
        let asked = (usize::MAX, RequestId(0));
        let reading = Reading { number, asked, all, queries: all.iter(), results: Vec::new() };
        self.catalogues.reading.insert(cluster, reading);
        self.read_catalogue(cluster);
    }

    /// Asks the next query for the catalogue of a cluster, or hands the rows to the router.
    fn read_catalogue(&mut self, cluster: usize) {
        let Some(reading) = self.catalogues.reading.get_mut(&cluster) else { return };
        if let Some(sql) = reading.queries.next() {
            let purpose = Purpose::Catalogue { cluster, reading: reading.number };
            let Some(pool) = self.pool_for_catalogue(cluster) else { return self.catalogue_failed(cluster) };
            self.ask(pool, sql, purpose, LIMIT);
            if let Some(reading) = self.catalogues.reading.get_mut(&cluster) {
                reading.asked = (pool, RequestId(self.next_own_id));
            }
            return;
        }
        let Some(reading) = self.catalogues.reading.remove(&cluster) else { return };
        if let Err(error) = self.router.catalogue_was_read(ClusterIndex(cluster), reading.results, self.now) {
            tracing::warn!(%error, "a catalogue cannot be understood; all statements go to the primary");
        }
        self.decide_held_anew(cluster);
        self.let_held_go(cluster);
        self.look_at_catalogues();
    }

    pub(super) fn found_catalogue(&mut self, cluster: usize, number: u64, result: OwnResult) {
        let reading = self.catalogues.reading.get_mut(&cluster);
        let Some(reading) = reading.filter(|reading| reading.number == number) else { return };
        match result {
            Ok(rows) => {
                reading.results.push(rows.into_iter().map(CatalogueRow::from_columns).collect());
                self.read_catalogue(cluster);
            }
            Err(error) => {
                tracing::debug!(%error, "a catalogue could not be read");
                self.catalogue_failed(cluster);
            }
        }
    }

    /// Has a catalogue that is asked of a server which cannot be used asked of another one.
    pub(crate) fn forsake_catalogue(&mut self, pool: usize) {
        let Some(index) = self.pools.get(pool).map(|pool| pool.cluster) else { return };
        let reading = self.catalogues.reading.get(&index).filter(|reading| reading.asked.0 == pool);
        let Some(Reading { asked: (_, request), all, .. }) = reading else { return };
        let (request, all) = (*request, *all);
        self.read_anew(index, all);
        self.cancel(request);
    }

    fn catalogue_failed(&mut self, cluster: usize) {
        self.catalogues.reading.remove(&cluster);
        self.router.catalogue_was_not_read(ClusterIndex(cluster), self.now);
        self.let_held_go(cluster);
        self.look_at_catalogues();
    }

    /// The primary, else any server that is up: the catalogue is the same on all. Where there is none, the primary is asked
    /// unless its queue stands still.
    fn pool_for_catalogue(&self, cluster: usize) -> Option<usize> {
        let cluster = self.clusters.get(cluster)?;
        let is_up = |key: &usize| self.pools.get(*key).is_some_and(Pool::is_of_use);
        let primary = cluster.pools.get(cluster.primary).copied();
        let is_served = |key: &usize| self.pools.get(*key).is_some_and(|pool| !pool.is_held);
        let any = || cluster.pools.iter().copied().find(is_up);
        primary.filter(is_up).or_else(any).or(primary.filter(is_served))
    }

    /// Forgets what is being read, as the clusters have changed.
    pub(super) fn forget_catalogues(&mut self) {
        self.catalogues.reading.clear();
        self.catalogues.next_look = None;
    }
}
