//! The end of an engine, and the figures of all its clusters.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;

use super::core::Core;
use super::{Command, DoneReply};
use crate::cache::ResultCache;
use crate::error::Error;
use crate::metrics::{ClusterMetrics, Metrics};
use crate::route::ClusterIndex;

/// How long the servers may take to note that what they do is not wanted any more.
const LAST_CANCELS: Duration = Duration::from_millis(50);

impl Core {
    pub(super) fn closing_reply(&mut self, reply: DoneReply) {
        self.closed_replies.push(reply);
    }

    /// Ends everything that is under way, and tells the servers that the sessions end.
    pub(super) fn close(&mut self) {
        let keys: Vec<usize> = self.requests.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.end(key, Err(Error::Closed));
        }
        self.end_all_sessions();
        self.end_health_checks();
        self.end_failovers();
        self.closed_replies.extend(self.reloads.drain(..).map(|(_, reply)| reply));
        self.abandoned = self.terminate_all();
    }

    /// Has the servers cancel what they are still doing for nobody, as far as they take note of it in time.
    pub(super) async fn cancel_abandoned(&mut self) {
        let cancels = std::mem::take(&mut self.abandoned)
            .into_iter()
            .map(|token| self.runtime.spawn(async move { token.cancel().await }));
        let cancels: Vec<_> = cancels.collect();
        let all = async {
            for cancel in cancels {
                // Where it fails, the statement runs to its end.
                let _ = cancel.await;
            }
        };
        // Whoever closes the engine does not wait for a server that is gone.
        let _ = timeout(LAST_CANCELS, all).await;
    }

    /// Answers what was sent while the engine was closing.
    pub(super) fn refuse_rest(&mut self, commands: &mut UnboundedReceiver<Command>) {
        commands.close();
        while let Ok(command) = commands.try_recv() {
            match command {
                Command::Submit(requests) => {
                    for request in requests {
                        self.refuse(request.answer, Error::Closed);
                    }
                }
                Command::OpenSession { reply, .. } => {
                    reply(Err(Error::Closed));
                    self.has_answered = true;
                }
                Command::Health(reply) => reply(Vec::new()),
                Command::FailOver { reply, .. } => reply(Err(Error::Closed)),
                Command::Close(reply) | Command::Reload { reply, .. } => self.closed_replies.push(reply),
                Command::Invalidate { reply, .. } => {
                    reply(0);
                    self.has_answered = true;
                }
                Command::Metrics(_)
                | Command::CacheKeys(_)
                | Command::TellEvictions(_)
                | Command::TellLogs(_)
                | Command::SetRemote(_)
                | Command::RemoteAnswer { .. }
                | Command::RegisterSchema { .. }
                | Command::Listen(_)
                | Command::Cancel(_)
                | Command::Resume(_)
                | Command::ReleaseSession { .. }
                | Command::CancelSession(_)
                | Command::ListenInSession { .. }
                | Command::SetTextTypes(_)
                | Command::CountHits { .. } => {}
            }
        }
    }

    /// Tells those who asked for the end.
    pub(super) fn reply_closed(&mut self) {
        for reply in std::mem::take(&mut self.closed_replies) {
            reply();
        }
    }

    pub(super) fn metrics(&self) -> Metrics {
        let clusters = self.clusters.iter().enumerate().map(|(index, cluster)| ClusterMetrics {
            id: Arc::clone(&cluster.id),
            knows_catalogue: self.router.knows_catalogue(ClusterIndex(index)),
            reads: cluster.counts.reads,
            writes: cluster.counts.writes,
            errors: cluster.counts.errors,
            cache_hits: cluster.counts.cache_hits,
            cache_misses: cluster.counts.cache_misses,
            follows_log: self.is_followed(index),
            total_duration: cluster.counts.duration,
            read_latency: cluster.counts.read_latency,
            write_latency: cluster.counts.write_latency,
            failures: cluster.watch.standing.failures,
            is_down: cluster.watch.standing.is_down,
            servers: cluster
                .pools
                .iter()
                .enumerate()
                .filter_map(|(position, key)| {
                    Some(self.pools.get(*key)?.metrics(position == cluster.primary))
                })
                .collect(),
        });
        Metrics {
            clusters: clusters.collect(),
            requests: self.requests.iter().filter(|(_, pending)| pending.is_counted).count(),
            sessions: self.sessions.len(),
            cache: self.cache.as_ref().map(ResultCache::figures),
        }
    }
}
