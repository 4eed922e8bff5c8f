//! The promotion of a slave: the old master is fenced and drained, a standby is made a primary, roles are swapped.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data::progress::{Progress, ServerRole, advance_sequences, progress, promote_standby};
use data::{Dialect, DialectKind};
use futures_util::future::join_all;

use super::fence::Fence;
use super::lag::Standing;
use super::{FedBy, Feed, Project, Role, State, Topology, unknown_replica};
use crate::error::{Error, Result};
use crate::managed::{ManagedFeed, Member, crown, database_of, head_for, look_at_feed, remember, term};
use crate::manager::{Manager, SharedState, begin_feeds, lock};
use crate::snapshot::End;

/// How long the old master may take to end its writes, and the new one to catch up with them.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a server may take to say how far it has come.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the new master is asked whether it has caught up.
const POLL: Duration = Duration::from_millis(20);
/// How long a feed from a dead master may take to end.
const BREAK_OFF: Duration = Duration::from_millis(300);
/// Seconds that a standby may take to become a primary.
const PROMOTION_SECONDS: u32 = 60;

/// How a promotion came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promoted {
    /// The master before, where there was one.
    pub old_master: Option<String>,
    /// Bytes of log that the old master is known to have had and the new one lacks; `None` where they cannot be told.
    pub missing_bytes: Option<u64>,
}

/// One server that takes part in a promotion.
struct Party {
    name: String,
    dialect: Option<Arc<dyn Dialect>>,
    fence: Arc<Fence>,
    /// Whether nothing of ours feeds it as a slave.
    is_unfed: bool,
}

/// What is known before a promotion.
pub(super) struct Plan {
    candidate: Party,
    master: Option<Party>,
    /// Whether the master answered when it was last looked at.
    master_answers: bool,
    /// Whether it must have everything that the master had.
    is_strict: bool,
    /// Whether it was a master itself and has not been fed since.
    is_unfed: bool,
    /// The last position at which the log of the master was seen, or the log from which the candidate is fed.
    last_known: Option<u64>,
    /// Whether it has every commit that the master acknowledged, though not all of its log: the master waited for a standby with
    /// each commit, and no standby has received more.
    has_every_commit: bool,
    /// What feeds the candidate, where this library does.
    feed: Option<Arc<ManagedFeed>>,
    /// Whether anything is known to have fed it, so that what it does not hold was deleted.
    was_fed: bool,
    /// Whether the candidate lacks rows that have never been copied to it.
    is_incomplete: bool,
}

impl Manager {
    /// Makes a replica the master of its project and the master a slave. The old master takes no writes through this
    /// library from here on. What it has committed is waited for, 5 s at the most, and a standby is made a primary. Slaves
    /// that this library feeds are fed by the new master then, and so is the old one, which is waited for as long.
    /// `None` if the replica is the master already. With `force` what the replica lacks is given up.
    ///
    /// # Errors
    /// [`Error::NoReplicas`], [`Error::UnknownReplica`], [`Error::NotConnected`]; [`Error::Behind`] for a replica with a
    /// `lagTolerance` of 0; [`Error::Promotion`] where its database cannot be made a primary by us; [`Error::Database`].
    /// All is as before then.
    pub async fn promote_to_master(
        &self,
        project: &str,
        name: &str,
        force: bool,
    ) -> Result<Option<Promoted>> {
        let promoted = promote(self.shared(), project, name, force).await?;
        if promoted.is_some() {
            self.persist()?;
        }
        Ok(promoted)
    }
}

/// Promotes a replica; see [`Manager::promote_to_master`].
pub(super) async fn promote(
    shared: &Arc<SharedState>,
    project: &str,
    name: &str,
    force: bool,
) -> Result<Option<Promoted>> {
    let Some(plan) = lock(shared).topology.begin_promotion(project, name)? else { return Ok(None) };
    let mut running = Running { shared, project, plan: &plan, succeeded: false };
    let (missing_bytes, was_standby) = plan.carry_out(force).await?;
    plan.advance_sequences().await;
    // Before a feed is given free that another process could go on with: it is not to overwrite the new master.
    plan.crown(project).await;
    let members = plan.end_feeds(shared, project).await;
    plan.hand_over(project, &members, plan.was_fed || was_standby || force).await;
    {
        let mut state = lock(shared);
        state.topology.swap_roles(project, name, was_standby);
        state.begin_anew(project);
    }
    running.succeeded = true;
    drop(running);
    plan.candidate.fence.open();
    // A failover does not wait: who is dead is fed when it is back, and the others hold nearly everything already.
    let most = if plan.master_answers { DRAIN } else { Duration::ZERO };
    begin_feeds(shared, project, most).await;
    Ok(Some(Promoted { old_master: plan.master.as_ref().map(|master| master.name.clone()), missing_bytes }))
}

/// Takes a replica for the master that another process has made it. What the slaves are it was told by that process.
pub(super) async fn follow(shared: &Arc<SharedState>, project: &str, name: &str) {
    let plan = lock(shared).topology.begin_promotion(project, name);
    let Ok(Some(plan)) = plan else { return };
    let mut running = Running { shared, project, plan: &plan, succeeded: false };
    if let Some(master) = &plan.master {
        master.fence.close();
        master.fence.end_drain();
    }
    // What they have left is the other process's to remove, whose feeds may bear the same names.
    let feeds = lock(shared).topology.take_feeds(Some(project));
    join_all(feeds.iter().map(|(_, feed)| feed.stop_within(BREAK_OFF))).await;
    {
        let mut state = lock(shared);
        state.topology.swap_roles(project, name, true);
        state.begin_anew(project);
    }
    running.succeeded = true;
    drop(running);
    plan.candidate.fence.open();
    begin_feeds(shared, project, Duration::ZERO).await;
}

/// A promotion under way. When it fails, or is given up, the old master takes writes again.
struct Running<'a> {
    shared: &'a Arc<SharedState>,
    project: &'a str,
    plan: &'a Plan,
    succeeded: bool,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(self.shared).topology.end_promotion(self.project);
        if let (false, Some(master)) = (self.succeeded, &self.plan.master) {
            master.fence.open();
        }
    }
}

impl Plan {
    /// Does what the databases have to do: bytes that are known to be lost, and whether a standby was promoted.
    async fn carry_out(&self, force: bool) -> Result<(Option<u64>, bool)> {
        let candidate = self.candidate.dialect.as_ref().ok_or_else(|| self.refuse("it is not connected"))?;
        if self.is_unfed && !force {
            return Err(self.refuse(
                "it was the master before and has not been fed since, so that it lacks what was committed \
                 meanwhile; make it a standby of the present master first, or give that up with {force: true}",
            ));
        }
        if self.is_incomplete && !force {
            return Err(self.refuse(
                "not everything has been copied to it yet, and what it lacks would be deleted at the old master; wait until it \
                 is fed, or give that up with {force: true}",
            ));
        }
        let stands = progress(candidate.as_ref()).await.map_err(self.failed())?;
        let role = stands.as_ref().map_or(ServerRole::Primary, |stands| stands.role);
        if role == ServerRole::Replica {
            return Err(self.refuse(match candidate.kind() {
                DialectKind::Mongodb => {
                    "MongoDB elects the primary of a replica set itself; run rs.stepDown() on the present one first"
                }
                _ => "it still replicates; run STOP REPLICA, RESET REPLICA ALL and SET GLOBAL read_only = OFF on it first",
            }));
        }
        let missing = self.drain(candidate.as_ref(), stands.as_ref()).await?;
        let unknown = missing.is_none() && (role == ServerRole::Standby || self.feed.is_some());
        if self.is_strict
            && !force
            && !self.has_every_commit
            && (unknown || missing.is_some_and(|bytes| bytes > 0))
        {
            return Err(Error::Behind { replica: self.candidate.name.clone(), bytes: missing });
        }
        if let (Some(feed), true) = (&self.feed, self.is_strict && !force)
            && let unfed = tokio::time::timeout(PATIENCE, feed.unfed_tables()).await
            && let Some(unfed) = unfed.ok().and_then(Result::ok).filter(|unfed| !unfed.is_empty())
        {
            return Err(self.refuse(&format!(
                "it does not have the rows of \"{}\", which are not fed to it, or not yet; give the tables primary keys and wait until \
                 they are, or give the rows up with {{force: true}}",
                unfed.join("\", \"")
            )));
        }
        if let (Some(feed), false) = (&self.feed, force)
            && let rows @ 1.. = feed.rows_set_aside().await
        {
            return Err(self.refuse(&format!(
                "it has refused {rows} rows of the master, which are set aside in its table replicaverse_dead_letter and \
                 would be deleted at the old master; mend them, or give them up with {{force: true}}",
            )));
        }
        if role != ServerRole::Standby {
            return Ok((missing, false));
        }
        let promoted = promote_standby(candidate.as_ref(), PROMOTION_SECONDS).await.map_err(self.failed())?;
        if !promoted {
            return Err(self.refuse("it did not become a primary within 60 s"));
        }
        Ok((missing, true))
    }

    /// Has a slave that was given its rows with their numbers count on behind them.
    async fn advance_sequences(&self) {
        let (Some(candidate), Some(_)) = (&self.candidate.dialect, &self.feed) else { return };
        let advanced = tokio::time::timeout(DRAIN, advance_sequences(candidate.as_ref())).await;
        let problem = match advanced {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {DRAIN:?}"),
        };
        tracing::warn!("sequences of the new master may give numbers that its rows have: {problem}");
    }

    /// Ends every feed from the old master and removes what they have left there, if it answers; what was known of each slave.
    async fn end_feeds(&self, shared: &Arc<SharedState>, project: &str) -> Vec<(String, Member)> {
        let feeds = lock(shared).topology.take_feeds(Some(project));
        let ended = feeds.iter().map(async |(slave, feed)| {
            if !self.master_answers {
                // What they have left is removed when it is back.
                feed.stop_within(BREAK_OFF).await;
            } else if let Some(error) = feed.remove().await {
                tracing::warn!(
                    code = error.code(),
                    "a feed of the old master has left something behind: {error}"
                );
            }
            feed.member().map(|member| (slave.clone(), member))
        });
        join_all(ended).await.into_iter().flatten().collect()
    }

    /// The old master, if it answers.
    fn old_master(&self) -> Option<End> {
        let old = self.master.as_ref().filter(|_| self.master_answers)?;
        Some(End::database(Arc::clone(old.dialect.as_ref()?), Vec::new()))
    }

    /// Has the new master know that it is one, and since when.
    async fn crown(&self, project: &str) {
        let Some(dialect) = &self.candidate.dialect else { return };
        let new_master = End::database(Arc::clone(dialect), Vec::new());
        let term_before = match self.old_master() {
            Some(old) => tokio::time::timeout(PATIENCE, term(&old, project)).await.ok().and_then(Result::ok),
            None => None,
        };
        if let Err(error) = crown(&new_master, project, term_before.unwrap_or(0)).await {
            tracing::warn!(
                code = error.code(),
                "the new master does not know that it is the master: {error}"
            );
        }
    }

    /// Has the new master know what the slaves are that it is to feed. Unless it holds all that the old one had, or that is given
    /// up, nothing is deleted there because it lacks it.
    async fn hand_over(&self, project: &str, members: &[(String, Member)], holds_all: bool) {
        let Some(dialect) = &self.candidate.dialect else { return };
        let new_master = End::database(Arc::clone(dialect), Vec::new());
        let old =
            self.master.iter().filter(|master| !master.is_unfed).map(|old| {
                (old.name.as_str(), if holds_all { Member::WasMaster } else { Member::HasOwnRows })
            });
        let old_database = match self.old_master() {
            Some(old) => tokio::time::timeout(PATIENCE, database_of(&old)).await.ok().flatten(),
            None => None,
        };
        let old = old.map(|(name, member)| (name, member, old_database.as_deref()));
        let others = members.iter().filter(|(slave, _)| *slave != self.candidate.name);
        let others = others.map(|(slave, member)| (slave.as_str(), member.lost_track(), None));
        for (slave, member, database) in old.chain(others) {
            if let Err(error) = remember(&new_master, project, slave, member, database).await {
                // Then none of its rows will be deleted unless the master does so.
                tracing::warn!(
                    code = error.code(),
                    "the new master does not know of replica \"{slave}\": {error}"
                );
            }
        }
    }

    /// Waits until the stream of this library has brought everything to the candidate: what it lacks then, if that is known.
    async fn drain_feed(&self, feed: &ManagedFeed, deadline: Instant) -> Option<u64> {
        let remaining = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        let master = self.master.as_ref().and_then(|master| master.dialect.as_ref());
        let head = match master {
            Some(_) => {
                tokio::time::timeout(PATIENCE.min(remaining(deadline)), head_for(feed)).await.ok().flatten()
            }
            None => None,
        };
        let present = match &head {
            Some(_) => tokio::time::timeout(PATIENCE, feed.tables_of_master()).await.ok().flatten(),
            None => None,
        };
        let end = head.as_ref().map(|head| head.position.order).or(self.last_known)?;
        loop {
            // A feed that copies a new table has no position meanwhile.
            let slave = look_at_feed(feed, head.as_ref(), PATIENCE).await.map(|look| look.slave);
            let applied = slave.as_ref().and_then(|slave| slave.applied);
            let awaits_tables = match &present {
                Some(present) => feed.awaits_tables(present).await,
                None => false,
            };
            if !awaits_tables && applied.is_some_and(|applied| applied >= end) {
                return Some(0);
            }
            // Nothing more comes from a master that does not answer.
            if head.is_none() || Instant::now() >= deadline {
                return slave?.bytes_between(applied?, end).filter(|_| !awaits_tables);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends the writes of the old master and waits until the candidate has them: how many bytes it lacks then.
    async fn drain(&self, candidate: &dyn Dialect, stands: Option<&Progress>) -> Result<Option<u64>> {
        let deadline = Instant::now() + DRAIN;
        if let Some(master) = &self.master {
            master.fence.close();
            // Whoever writes for longer is told so when it commits.
            let _ = tokio::time::timeout(DRAIN, master.fence.idle()).await;
            master.fence.end_drain();
        }
        if let Some(feed) = &self.feed {
            return Ok(self.drain_feed(feed, deadline).await);
        }
        if stands.is_none_or(|stands| stands.role == ServerRole::Primary) {
            return Ok(None);
        }
        loop {
            let master = match self.master.as_ref().and_then(|master| master.dialect.as_ref()) {
                Some(dialect) => ask(dialect.as_ref()).await,
                None => None,
            };
            let stands = progress(candidate).await.map_err(self.failed())?;
            let Some(stands) = stands else { return Ok(None) };
            if master.as_ref().is_some_and(|master| !stands.follows(master)) {
                return Ok(None);
            }
            let answers = master.is_some();
            let end = master.and_then(|master| master.written).or(self.last_known);
            let applied = stands.applied.unwrap_or(0);
            // Of a dead master nothing more can come than what has been received.
            let goal = if answers { end } else { stands.received.max(stands.applied) };
            let is_done = goal.is_some_and(|goal| applied >= goal);
            if is_done || Instant::now() >= deadline {
                return Ok(end.map(|end| end.saturating_sub(applied)));
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn refuse(&self, problem: &str) -> Error {
        Error::Promotion { replica: self.candidate.name.clone(), problem: problem.to_owned() }
    }

    fn failed(&self) -> impl FnOnce(data::Error) -> Error {
        Error::database_in(format!("promotion of replica \"{}\"", self.candidate.name))
    }
}

/// What a master says of itself, if it answers in time.
async fn ask(dialect: &dyn Dialect) -> Option<Progress> {
    tokio::time::timeout(PATIENCE, progress(dialect)).await.ok()?.ok().flatten()
}

impl Project {
    /// Whether a standby has every commit that a dead master acknowledged. The one that the master waited for is among all of
    /// them, so that all must be known and none may have received more.
    fn has_every_commit(&self, candidate: &str) -> bool {
        let is_dead = self.master().is_some_and(|master| master.state != State::Connected);
        let standbys =
            || self.replicas.values().filter(|replica| replica.standing.role == Some(ServerRole::Standby));
        let received =
            standbys().find(|standby| standby.config.name == candidate).map(|it| it.standing.received);
        let is_furthest = received.is_some_and(|received| {
            standbys().all(|other| other.state == State::Connected && other.standing.received <= received)
        });
        is_dead && self.is_synchronous && is_furthest
    }
}

impl Topology {
    /// Enters that a replica is being promoted; `None` if it is the master already.
    fn begin_promotion(&mut self, project: &str, name: &str) -> Result<Option<Plan>> {
        let entry = self.project_mut(project)?;
        let replica = entry.replicas.get(name).ok_or_else(|| unknown_replica(project, name))?;
        if replica.state != State::Connected {
            return Err(Error::NotConnected { replica: name.to_owned(), status: replica.state.name() });
        }
        if replica.config.role == Role::Master {
            return Ok(None);
        }
        if entry.is_promoting {
            return Err(Error::Promotion {
                replica: name.to_owned(),
                problem: "another promotion in this project has not ended yet".to_owned(),
            });
        }
        let party = |replica: &super::Replica| Party {
            name: replica.config.name.clone(),
            dialect: replica.connection.clone(),
            fence: Arc::clone(&replica.fence),
            is_unfed: !matches!(replica.config.feed, Feed::Auto | Feed::Managed),
        };
        let feed = replica.feed.clone().filter(|_| replica.fed_by == Some(FedBy::Managed));
        let plan = Plan {
            candidate: party(replica),
            master: entry.master().map(party),
            master_answers: entry.master().is_some_and(|master| master.state == State::Connected),
            is_strict: replica.config.lag_tolerance == Some(0),
            is_unfed: replica.demoted.is_some(),
            last_known: if feed.is_some() { entry.feed_timeline.end() } else { entry.timeline.end() },
            feed,
            was_fed: matches!(replica.fed_by, Some(FedBy::Native | FedBy::Managed)),
            is_incomplete: replica.is_incomplete,
            has_every_commit: entry.has_every_commit(name),
        };
        entry.is_promoting = true;
        Ok(Some(plan))
    }

    fn end_promotion(&mut self, project: &str) {
        if let Some(entry) = self.projects.get_mut(project) {
            entry.is_promoting = false;
        }
    }

    /// Makes a replica the master and the master a slave, which is not fed any more if the new master was its standby.
    fn swap_roles(&mut self, project: &str, name: &str, was_standby: bool) {
        let Some(entry) = self.projects.get_mut(project) else { return };
        for (other, replica) in &mut entry.replicas {
            if other == name {
                replica.config.role = Role::Master;
                (replica.standing, replica.demoted) = (Standing::unknown(), None);
                (replica.fed_by, replica.is_incomplete, replica.became_primary) = (None, false, false);
            } else if replica.config.role == Role::Master {
                replica.config.role = Role::Slave;
                replica.standing = Standing::unknown();
                let is_fed = matches!(replica.config.feed, Feed::Auto | Feed::Managed);
                replica.demoted = (was_standby || is_fed).then(Instant::now);
            }
        }
        entry.note_promoted(name);
        entry.timeline = super::lag::Timeline::default();
        entry.feed_timeline = super::lag::Timeline::default();
        entry.master_gone_at = None;
    }
}
