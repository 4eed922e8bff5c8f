//! A failover that was asked for: writes are pointed at a replica, which is promoted first where that was asked for too.
//!
//! A promotion loses nothing that was acknowledged through this engine: new writes wait, those under way end, and the standby
//! must have replayed all that a primary which can be reached has written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;
use wire::{ConnectConfig, Connection};

use super::lineage::{Finding, Lineage, judge};
use super::scout::{role_of, within};
use super::{FailoverReply, Role};
use crate::engine::{Core, Event, Routine, Timer};
use crate::error::Error;
use crate::route::RouteError;
use crate::session::position;

/// The pause between two looks whether something has ended.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a standby may take to replay what its primary has written.
const CATCH_UP: Duration = Duration::from_secs(10);
const WRITTEN: &str = "SELECT pg_catalog.pg_current_wal_flush_lsn()::text, '00000001'";
const REPLAYED: &str = "SELECT pg_catalog.pg_last_wal_replay_lsn()::text, '00000001'";
const PROMOTE: &str = "SELECT pg_catalog.pg_promote(true, 60)::text";

/// A promotion that was asked for.
pub(crate) struct Order {
    pub(super) target: usize,
    /// When what runs on the primary must have ended.
    until: Instant,
    is_sent: bool,
    reply: FailoverReply,
}

/// The end of a promotion.
pub(crate) struct Promoted {
    pool: usize,
    result: Result<Role, String>,
}

impl Core {
    /// Has a replica take the writes. `replica` counts the configured replicas; that of the present primary stands for the
    /// configured primary, which has its place.
    pub(crate) fn fail_over(&mut self, id: &str, replica: usize, promote: bool, reply: FailoverReply) {
        self.has_answered = true;
        let Some(index) = self.clusters.iter().position(|cluster| *cluster.id == *id) else {
            return reply(Err(RouteError::UnknownCluster(id.into()).into()));
        };
        let Some(cluster) = self.clusters.get_mut(index) else { return };
        let position = if replica + 1 == cluster.primary { 0 } else { replica + 1 };
        let Some(target) = cluster.pools.get(position).copied() else {
            return reply(Err(Error::NoReplica { cluster: Arc::clone(&cluster.id) }));
        };
        if cluster.watch.order.is_some() {
            let server = self.pools.get(target).map(|pool| Arc::clone(&pool.id)).unwrap_or_default();
            return reply(Err(Error::Promotion { server, problem: "another promotion is under way".into() }));
        }
        let until = self.now + self.settings.patience;
        cluster.watch.order = Some(Order { target, until, is_sent: !promote, reply });
        if !promote {
            let Some(new) = self.pools.get(target).map(|pool| Arc::clone(&pool.connect)) else { return };
            return self.carry_out_order(index, target, async move { role_at(&new).await });
        }
        if let Some(primary) = cluster.pools.get(cluster.primary).copied() {
            self.hold(primary);
        }
        self.go_on_with_promotion(target);
    }

    /// Has the standby promoted once nothing runs on the primary any more.
    pub(crate) fn go_on_with_promotion(&mut self, target: usize) {
        let Some(index) = self.pools.get(target).map(|pool| pool.cluster) else { return };
        let Some(cluster) = self.clusters.get(index) else { return };
        let Some(primary) = cluster.pools.get(cluster.primary).copied() else { return };
        let (Some(old), Some(new)) = (self.pools.get(primary), self.pools.get(target)) else { return };
        let Some(order) = cluster.watch.order.as_ref().filter(|order| !order.is_sent) else { return };
        let is_pinned =
            self.sessions.values().any(|session| session.pool == primary && !session.is_waiting());
        // What hangs on a server that is gone is not waited for.
        if old.is_up && (old.running > 0 || is_pinned) {
            if self.now >= order.until {
                return self.end_promotion(
                    index,
                    Err("statements or clients still hold connections to the primary".into()),
                );
            }
            self.timers.add(self.now + PAUSE, Timer::Routine(Routine::Promotion { pool: target }));
            return;
        }
        let (old, new) = (Arc::clone(&old.connect), Arc::clone(&new.connect));
        if let Some(order) = self.clusters.get_mut(index).and_then(|cluster| cluster.watch.order.as_mut()) {
            order.is_sent = true;
        }
        self.carry_out_order(index, target, async move { promote(&old, &new).await });
    }

    /// Tells what a server is that is to take the writes, unless its history has ended: what it would take is lost.
    fn carry_out_order(
        &self,
        index: usize,
        target: usize,
        asked: impl Future<Output = Result<Role, String>> + Send + 'static,
    ) {
        let known = self.clusters.get(index).and_then(|cluster| cluster.watch.lineage);
        let events = self.events.clone();
        self.runtime.spawn(async move {
            let result = asked.await.and_then(|role| match judge(known, false, true, role) {
                Finding::Outdated => {
                    Err("another server was promoted meanwhile, and has gone on without it".to_owned())
                }
                _ => Ok(role),
            });
            // When the engine has ended nobody asks any more.
            let _ = events.send(Event::Promoted(Promoted { pool: target, result }));
        });
    }

    pub(crate) fn promoted(&mut self, promoted: Promoted) {
        let Promoted { pool: target, result } = promoted;
        let Some(index) = self.pools.get(target).map(|pool| pool.cluster) else { return };
        match result {
            Ok(role) => {
                let Some(cluster) = self.clusters.get_mut(index) else { return };
                cluster.watch.lineage = Some(Lineage::of(role));
                if let Some(position) = cluster.pools.iter().position(|key| *key == target) {
                    self.succeed(index, position);
                }
                self.end_promotion(index, Ok(()));
            }
            Err(problem) => self.end_promotion(index, Err(problem)),
        }
    }

    /// Gives up what was asked for a server that is not configured any more.
    pub(crate) fn check_order(&mut self, index: usize) {
        let Some(cluster) = self.clusters.get(index) else { return };
        if cluster.watch.order.as_ref().is_some_and(|order| !cluster.pools.contains(&order.target)) {
            self.end_promotion(index, Err("it is not configured any more".to_owned()));
        }
    }

    /// Ends what was asked for, as the engine does.
    pub(crate) fn end_failovers(&mut self) {
        for cluster in &mut self.clusters {
            cluster.watch.search = None;
            if let Some(order) = cluster.watch.order.take() {
                (order.reply)(Err(Error::Closed));
            }
        }
    }

    pub(super) fn end_promotion(&mut self, index: usize, result: Result<(), String>) {
        let Some(cluster) = self.clusters.get_mut(index) else { return };
        let Some(order) = cluster.watch.order.take() else { return };
        let primary = cluster.pools.get(cluster.primary).copied();
        let server = self.pools.get(order.target).map(|pool| Arc::clone(&pool.id)).unwrap_or_default();
        self.has_answered = true;
        (order.reply)(result.map_err(|problem| Error::Promotion { server, problem: problem.into() }));
        // Those who wait go on with the primary there is, as soon as it has proved to be one.
        if let Some(primary) = primary
            && self.pools.get(primary).is_some_and(|pool| pool.is_held)
        {
            self.search(index);
            self.look_anew(index);
        }
    }
}

/// The role of a server that is to take the writes as it is.
async fn role_at(server: &ConnectConfig) -> Result<Role, String> {
    let text = |error: wire::Error| error.to_string();
    let mut connection = within(Connection::connect(server)).await.map_err(text)?;
    let role = within(role_of(&mut connection)).await.map_err(text)?;
    match role.in_recovery {
        true => Err("it is a standby; promote it first, or ask for that with { promote: true }".to_owned()),
        false => Ok(role),
    }
}

/// Promotes a standby that has all that its primary has written, as far as that can be asked.
async fn promote(old: &ConnectConfig, new: &ConnectConfig) -> Result<Role, String> {
    let text = |error: wire::Error| error.to_string();
    let mut standby = within(Connection::connect(new)).await.map_err(text)?;
    if role_of(&mut standby).await.map_err(text)?.in_recovery {
        if let Ok(mut primary) = within(Connection::connect(old)).await
            && within(role_of(&mut primary)).await.is_ok_and(|role| !role.in_recovery)
        {
            catch_up(&mut primary, &mut standby).await?;
        }
        let answer = standby.query(PROMOTE, &[]).await.map_err(text)?;
        if answer.rows.get(0).and_then(|row| row.get_str(0).ok().flatten()) != Some("true") {
            return Err("it was not promoted within 60 seconds".to_owned());
        }
    }
    let role = role_of(&mut standby).await.map_err(text)?;
    if role.in_recovery { Err("it is still in recovery".to_owned()) } else { Ok(role) }
}

/// Waits until a standby has replayed what its primary has written so far.
async fn catch_up(primary: &mut Connection, standby: &mut Connection) -> Result<(), String> {
    let written = lsn(primary, WRITTEN).await?;
    let deadline = Instant::now() + CATCH_UP;
    while lsn(standby, REPLAYED).await? < written {
        if Instant::now() >= deadline {
            return Err(format!("it has not replayed what the primary has written within {CATCH_UP:?}"));
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn lsn(connection: &mut Connection, sql: &str) -> Result<u64, String> {
    let answer = within(connection.query(sql, &[])).await.map_err(|error| error.to_string())?;
    let row = answer.rows.get(0);
    let cell = |at| row.as_ref().and_then(|row| row.get_str(at).ok().flatten());
    // A standby that has replayed nothing yet tells no position.
    let position = cell(0).zip(cell(1)).and_then(|(lsn, timeline)| position::parse(lsn, timeline));
    Ok(position.map_or(0, |position| position.lsn))
}
