//! The end of a request: counted, told to its caller, forgotten.

use std::sync::Arc;

use super::core::Core;
use super::pending::Place;
use crate::answer::Completed;
use crate::error::{Error, ErrorKind};
use crate::route::ReplayPosition;

impl Core {
    /// Ends a request for its caller and forgets it. It must stand in no pipeline any more.
    pub(crate) fn end(&mut self, key: usize, outcome: Result<(), Error>) {
        self.end_with_position(key, outcome, None);
    }

    pub(crate) fn end_with_position(
        &mut self,
        key: usize,
        outcome: Result<(), Error>,
        written: Option<ReplayPosition>,
    ) {
        self.answer(key, outcome, written);
        self.forget(key);
    }

    /// Ends a request for its caller only: the server may still be at it.
    pub(crate) fn answer(&mut self, key: usize, outcome: Result<(), Error>, written: Option<ReplayPosition>) {
        let Some(pending) = self.requests.get_mut(key) else { return };
        let Some(answer) = pending.answer.take() else { return };
        let (fill, answered_by) = (pending.fill.take(), pending.pool);
        let duration = self.now.saturating_duration_since(pending.submitted);
        let is_read = pending.verdict.is_read();
        if !is_read {
            self.cache_epoch.end();
        }
        let cluster = self.clusters.get_mut(pending.cluster);
        let has_run = matches!(pending.place, Place::Running { .. });
        let failed = match &outcome {
            Ok(()) => 0.0,
            Err(error) => match error.kind() {
                ErrorKind::Timeout | ErrorKind::ConnectionLost | ErrorKind::Connect => 1.0,
                _ => 0.0,
            },
        };
        // What waited in vain, or was answered with what another one fetched, tells nothing of the server.
        if let Some(pool) = self.pools.get_mut(pending.pool).filter(|_| has_run) {
            pool.error_rate.record(failed);
        }
        let outcome = match (outcome, cluster) {
            (Err(error), cluster) => {
                // A reader that has taken enough of a stream has it cancelled.
                let was_left = pending.streamed && error.kind() == ErrorKind::Cancelled;
                if let Some(cluster) = cluster.filter(|_| pending.is_counted && !was_left) {
                    cluster.counts.errors += 1;
                    cluster.counts.duration += duration;
                }
                Err(error)
            }
            // It has run to its end on a cluster that is not configured any more.
            (Ok(()), None) => match self.pools.get(pending.pool) {
                Some(pool) => {
                    let (cluster, server) = (Arc::clone(&pool.cluster_id), Arc::clone(&pool.id));
                    Ok(Completed { cluster, server, is_read, duration, written })
                }
                None => Err(Error::Closed),
            },
            (Ok(()), Some(cluster)) => {
                if pending.is_counted {
                    cluster.counts.duration += duration;
                    if is_read {
                        cluster.counts.reads += 1;
                        cluster.counts.read_latency.record(duration);
                    } else {
                        cluster.counts.writes += 1;
                        cluster.counts.write_latency.record(duration);
                    }
                }
                let server = self
                    .pools
                    .get(pending.pool)
                    .map_or_else(|| Arc::clone(&cluster.id), |p| Arc::clone(&p.id));
                Ok(Completed { cluster: Arc::clone(&cluster.id), server, is_read, duration, written })
            }
        };
        self.has_answered = true;
        let failure = outcome.as_ref().err().cloned();
        answer.end(outcome);
        if let Some(fill) = fill {
            self.land(*fill, answered_by, failure);
        }
    }

    /// Forgets a request that stands in no queue and no pipeline any more.
    pub(crate) fn forget(&mut self, key: usize) {
        let Some(pending) = self.requests.try_remove(key) else { return };
        self.by_id.remove(&pending.id);
        if pending.place == Place::Queued
            && let Some(pool) = self.pools.get_mut(pending.pool)
        {
            // Its ticket stays in the queue and is passed over.
            pool.waiting = pool.waiting.saturating_sub(1);
        }
    }
}
