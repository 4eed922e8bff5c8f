//! The look for a cluster's primary: begun when it fails, refuses writes or falls silent, and ended when one takes writes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Role;
use super::lineage::{Finding, Lineage, judge};
use super::scout::{Mission, SCOUT_LIMIT, Sighting};
use crate::engine::{Core, Haste, Place};
use crate::error::{is_full, is_refusal};
use crate::pool::Ticket;

/// The pause between two questions to a server while writes wait for a primary.
const QUICK: Duration = Duration::from_millis(150);
/// A search is quick for so long, and later while a caller waits for the primary.
const QUICK_FOR: Duration = Duration::from_secs(60);
/// The pause between two questions while only this crate itself waits, which looks after what transactions have left.
const BACKGROUND: Duration = Duration::from_secs(1);
/// After a primary was found the servers are watched for a while: what was promoted, or comes back, shows up then.
const VIGIL: Duration = Duration::from_secs(10);
const VIGIL_PACE: Duration = Duration::from_secs(1);
/// How long a primary that is back waits for what the other servers say, before it is believed.
const PROOF: Duration = SCOUT_LIMIT.saturating_add(Duration::from_millis(500));

/// A look for a primary.
pub(crate) struct Search {
    number: u64,
    begun: Instant,
    stage: Stage,
    /// The primary was seen to be of no use, so that it must prove to be of use again.
    is_serious: bool,
    /// When each server, by its pool, was last seen or found to be away.
    looked: HashMap<usize, Instant>,
    /// What the scouts are told; without it they go home.
    pace: watch::Sender<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There is no primary.
    Looking,
    /// The primary says that it is one; the others have not been asked since.
    Proving { since: Instant },
    /// There is one.
    Vigil { until: Instant },
}

impl Core {
    /// The primary of a cluster has failed, if the pool is that of one.
    pub(crate) fn suspect(&mut self, key: usize) {
        let Some((cluster, is_primary)) = self.place_of(key) else { return };
        if !is_primary || self.pools.get(key).is_none_or(|pool| pool.is_leaving) {
            return;
        }
        if self.pools.get(key).is_some_and(|pool| !pool.is_up) {
            self.hold(key);
        }
        self.search(cluster);
    }

    /// The primary refuses writes: it has become a standby.
    pub(crate) fn demote(&mut self, key: usize) {
        let Some((cluster, is_primary)) = self.place_of(key) else { return };
        if !is_primary {
            return;
        }
        if self.pools.get(key).is_some_and(|pool| !pool.is_held) {
            self.empty_pool(key);
        }
        self.hold(key);
        self.search(cluster);
        self.look_anew(cluster);
    }

    /// Looks for a primary, if that is not done already.
    pub(crate) fn search(&mut self, index: usize) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(index) else { return };
        let is_held = |key: &usize| self.pools.get(*key).is_some_and(|pool| pool.is_held);
        let is_serious = cluster.pools.get(cluster.primary).is_some_and(is_held);
        if let Some(search) = &mut cluster.watch.search {
            if matches!(search.stage, Stage::Vigil { .. }) {
                search.begin_anew(now);
            }
            search.is_serious |= is_serious;
            return;
        }
        self.serials += 1;
        let (pace, scouts) = watch::channel(QUICK);
        let search = Search {
            number: self.serials,
            begun: now,
            stage: Stage::Looking,
            is_serious,
            looked: HashMap::new(),
            pace,
        };
        tracing::debug!(cluster = %cluster.id, "looking for the primary");
        for key in &cluster.pools {
            let Some(pool) = self.pools.get(*key) else { continue };
            let mission = Mission {
                pool: *key,
                search: search.number,
                connect: Arc::clone(&pool.connect),
                pace: scouts.clone(),
                events: self.events.clone(),
            };
            self.runtime.spawn(mission.run());
        }
        cluster.watch.search = Some(search);
    }

    /// What was found so far is not true any more.
    pub(super) fn look_anew(&mut self, index: usize) {
        let now = self.now;
        if let Some(search) = self.clusters.get_mut(index).and_then(|cluster| cluster.watch.search.as_mut()) {
            search.is_serious = true;
            search.begin_anew(now);
        }
    }

    /// Takes in what a scout has seen.
    pub(crate) fn sighted(&mut self, sighting: Sighting) {
        let Sighting { pool: key, search: number, begun, result } = sighting;
        let now = self.now;
        let Some((index, _)) = self.place_of(key) else { return };
        let search = self.clusters.get_mut(index).and_then(|cluster| cluster.watch.search.as_mut());
        let Some(search) = search.filter(|search| search.number == number) else { return };
        search.looked.insert(key, now);
        match result {
            Ok(role) => {
                if let Some(pool) = self.pools.get_mut(key) {
                    pool.sighted = Some(now);
                }
                self.take_role(key, role);
                self.welcome(key);
            }
            Err(error) => self.missed(key, begun, error),
        }
        self.conclude(index);
    }

    /// A server has let a scout in, so it lets others in too.
    fn welcome(&mut self, key: usize) {
        let Some(pool) = self.pools.get_mut(key) else { return };
        if !pool.is_up {
            pool.welcome();
            self.call_dispatch(key);
        }
    }

    /// A scout was not let in, or not answered.
    fn missed(&mut self, key: usize, begun: Instant, error: wire::Error) {
        let Some((index, is_primary)) = self.place_of(key) else { return };
        let Some(pool) = self.pools.get_mut(key) else { return };
        // Who answers others is only busy, or full.
        if is_full(&error) || pool.heard().is_some_and(|heard| heard > begun) {
            return;
        }
        if is_refusal(&error) {
            // Whoever waits is to be told so by the server.
            return self.release(key);
        }
        tracing::debug!(server = %pool.id, %error, "the server cannot be reached");
        let reason = format!("{}: {error}", pool.id);
        pool.is_up = false;
        pool.unreachable = Some(Arc::new(error));
        if is_primary {
            self.hold(key);
            self.look_anew(index);
            self.note_failure(index, &reason);
        } else {
            // Reads that hang there are tried elsewhere.
            self.lose_all(key, "the server cannot be reached");
        }
    }

    /// Takes note of what a server says of itself.
    pub(crate) fn take_role(&mut self, key: usize, role: Role) {
        let now = self.now;
        let Some((index, is_primary)) = self.place_of(key) else { return };
        let Some(cluster) = self.clusters.get_mut(index) else { return };
        let watch = &mut cluster.watch;
        let is_in_doubt = watch.search.as_ref().is_some_and(Search::is_in_doubt);
        let finding = judge(watch.lineage, is_primary, is_in_doubt, role);
        if let Some(pool) = self.pools.get_mut(key) {
            pool.is_fenced = finding == Finding::Outdated;
        }
        match finding {
            Finding::Leads => {
                watch.lineage = Some(Lineage::of(role));
                match &mut watch.search {
                    Some(search) if search.stage == Stage::Looking => {
                        search.stage = Stage::Proving { since: now };
                    }
                    Some(_) => {}
                    None => self.note_success(index),
                }
            }
            Finding::Succeeds => {
                if let Some(position) = cluster.pools.iter().position(|pool| *pool == key) {
                    watch.lineage = Some(Lineage::of(role));
                    self.succeed(index, position);
                }
            }
            Finding::Demoted => {
                watch.lineage.get_or_insert(Lineage::of(role));
                self.demote(key);
                self.note_failure(index, "the primary is in recovery and takes no writes");
            }
            Finding::Outdated if is_primary => {
                self.hold(key);
                self.search(index);
                self.look_anew(index);
                self.note_failure(index, "another server was promoted while the primary was away");
            }
            Finding::Outdated | Finding::Follows | Finding::Apart => {}
        }
    }

    /// Ends a search, or a part of it, when that is due, and sets the pace of the scouts.
    fn conclude(&mut self, index: usize) {
        let now = self.now;
        let Some(cluster) = self.clusters.get_mut(index) else { return };
        let Some(primary) = cluster.pools.get(cluster.primary).copied() else { return };
        let Some(search) = &mut cluster.watch.search else { return };
        match search.stage {
            Stage::Proving { since } => {
                let is_asked = |key: &usize| {
                    *key == primary || search.looked.get(key).is_some_and(|looked| *looked > since)
                };
                if now < since + PROOF && !cluster.pools.iter().all(is_asked) {
                    return;
                }
                let vigil = if search.is_serious { VIGIL } else { Duration::ZERO };
                search.stage = Stage::Vigil { until: now + vigil };
                // Before a promotion that was asked for the primary stays as it is.
                if cluster.watch.order.is_none() {
                    self.release(primary);
                }
                self.note_success(index);
                self.conclude(index);
            }
            Stage::Vigil { until } if now >= until => cluster.watch.search = None,
            Stage::Vigil { .. } => search.set_pace(VIGIL_PACE),
            Stage::Looking => self.hurry(primary),
        }
    }

    /// Who waits for a server that takes no writes, the most urgent of all.
    fn haste_at(&self, key: usize) -> Option<Haste> {
        let queue = self.pools.get(key).filter(|pool| pool.waiting > 0)?.queue.iter();
        let mut waiting = queue.filter_map(|ticket| match ticket {
            Ticket::Request { key, id } => {
                let pending = self.requests.get(*key).filter(|pending| pending.id == *id)?;
                (pending.place == Place::Queued).then_some(Haste::Caller)
            }
            Ticket::Session(id) => {
                self.sessions.get(&id.0).filter(|session| session.is_waiting()).map(|session| session.haste)
            }
        });
        let first = waiting.next()?;
        if waiting.any(|haste| haste == Haste::Caller) { Some(Haste::Caller) } else { Some(first) }
    }

    /// Looks for a primary as quickly as those need it who wait for it.
    pub(crate) fn hurry(&mut self, key: usize) {
        let Some((index, _)) = self.place_of(key) else { return };
        let (now, haste) = (self.now, self.haste_at(key));
        let slow = self.settings.manager.recovery_check_interval.max(QUICK);
        if let Some(search) = self.clusters.get_mut(index).and_then(|cluster| cluster.watch.search.as_mut())
            && search.stage == Stage::Looking
        {
            search.set_pace(match haste {
                _ if now < search.begun + QUICK_FOR => QUICK,
                Some(Haste::Caller) => QUICK,
                Some(Haste::Background) => BACKGROUND.min(slow),
                None => slow,
            });
        }
    }

    /// The position of a pool's cluster, and whether its server is the one that takes the writes.
    pub(super) fn place_of(&self, key: usize) -> Option<(usize, bool)> {
        let index = self.pools.get(key)?.cluster;
        let cluster = self.clusters.get(index)?;
        Some((index, cluster.pools.get(cluster.primary) == Some(&key)))
    }
}

impl Search {
    /// Whether there is no primary that can be believed.
    fn is_in_doubt(&self) -> bool {
        self.is_serious && !matches!(self.stage, Stage::Vigil { .. })
    }

    fn begin_anew(&mut self, now: Instant) {
        // A change of pace wakes the scouts, so it must not come with every sighting.
        if matches!(self.stage, Stage::Vigil { .. }) {
            self.begun = now;
            self.set_pace(QUICK);
        }
        self.stage = Stage::Looking;
    }

    /// Watches the servers for a while, after a primary was found.
    pub(super) fn keep_vigil(&mut self, now: Instant) {
        self.stage = Stage::Vigil { until: now + VIGIL };
        self.set_pace(VIGIL_PACE);
    }

    fn set_pace(&mut self, pace: Duration) {
        self.pace.send_if_modified(|now| std::mem::replace(now, pace) != pace);
    }
}
