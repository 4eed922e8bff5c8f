//! The lag of one slave, from one look at it and what was seen before.

use std::time::{Duration, Instant};

use data::progress::{Progress, ServerRole};

use super::timeline::Timeline;

/// One look at a slave, next to one at its master that was taken just before.
pub(crate) struct Sighting<'a> {
    /// What the slave said; `None` where its kind has no replication of its own.
    pub(crate) slave: Option<&'a Progress>,
    /// What the master said; `None` where it did not answer, or has no log.
    pub(crate) master: Option<&'a Progress>,
    /// Whether the master answered at all.
    pub(crate) master_answers: bool,
    pub(crate) now: Instant,
}

/// What is known of how far a slave has come.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// Milliseconds behind, where that has been measured.
    pub(crate) lag: Option<u64>,
    /// Bytes of log behind.
    pub(crate) behind_bytes: Option<u64>,
    /// Up to where it has applied the master's log.
    pub(crate) applied: Option<u64>,
    /// Up to where it has received it.
    pub(crate) received: Option<u64>,
    /// What it is within the replication of its database.
    pub(crate) role: Option<ServerRole>,
    /// Whether something receives the master's log.
    pub(crate) receiving: bool,
    /// When it was last seen being fed.
    fed_at: Option<Instant>,
}

impl Standing {
    /// What a slave that has just been added counts as.
    pub(crate) fn fresh() -> Self {
        Self { lag: Some(0), ..Self::default() }
    }

    /// What a slave counts as whose position is not known any more.
    pub(crate) fn unknown() -> Self {
        Self::default()
    }

    /// Takes in a look.
    pub(crate) fn saw(&mut self, sighting: &Sighting<'_>, timeline: &Timeline) {
        let Some(slave) = sighting.slave else {
            *self = Self::unknown();
            return;
        };
        self.role = Some(slave.role);
        self.receiving = slave.receiving;
        let follows = match sighting.master {
            Some(master) => slave.follows(master) && !is_same_server(slave, master),
            // What it follows is not told by a master that does not answer.
            None => !sighting.master_answers && slave.role != ServerRole::Primary && self.applied.is_some(),
        };
        if !follows {
            (self.lag, self.behind_bytes, self.applied, self.received) = (None, None, None, None);
            return;
        }
        let advanced = slave.applied > self.applied;
        // A worker that has died tells of no position, but what it had applied stays.
        self.applied = slave.applied.or(self.applied);
        self.received = slave.received.max(self.applied);
        if slave.receiving || advanced || self.fed_at.is_none() {
            self.fed_at = Some(sighting.now);
        }
        let Some(applied) = self.applied else {
            (self.lag, self.behind_bytes) = (slave.own_lag, None);
            return;
        };
        let end = timeline.end();
        self.behind_bytes = end.and_then(|end| slave.bytes_between(applied, end));
        let missing = missing_for(applied, slave, sighting, timeline);
        self.lag = Some(missing.max(self.cut_off_for(slave, sighting)));
    }

    /// For how long nothing has come from a master that answers, in ms; 0 while it is being fed. What a master that does
    /// not answer has written meanwhile, if it lives, nobody can tell.
    fn cut_off_for(&self, slave: &Progress, sighting: &Sighting<'_>) -> u64 {
        let fed_at = self.fed_at.filter(|fed_at| *fed_at < sighting.now);
        match fed_at {
            Some(fed_at) if !slave.receiving && sighting.master_answers => {
                millis(sighting.now.saturating_duration_since(fed_at)).max(1)
            }
            None if !slave.receiving && sighting.master_answers => 1,
            _ => 0,
        }
    }
}

/// For how long, in ms, the master has had something that the slave lacks; 0 where nothing is known to be missing.
fn missing_for(applied: u64, slave: &Progress, sighting: &Sighting<'_>, timeline: &Timeline) -> u64 {
    let Some(age) = timeline.age(applied, sighting.now) else { return 0 };
    // Both moments are told by the clock of the master, so that clocks that differ do no harm.
    let since_commit = slave.applied_at.zip(sighting.master.and_then(|master| master.now));
    let since_commit = since_commit
        .map(|(commit, now)| Duration::from_micros(u64::try_from(now.saturating_sub(commit)).unwrap_or(0)));
    let told = since_commit.or(slave.own_lag.map(Duration::from_millis));
    let lag = match (told, age.most) {
        (Some(told), Some(most)) => told.clamp(age.least, most.max(age.least)),
        (Some(told), None) => told.max(age.least),
        (None, _) => age.likely,
    };
    millis(lag).max(1)
}

/// Whether both are one server: a driver that looks for the members of a set itself answers by any of them.
fn is_same_server(slave: &Progress, master: &Progress) -> bool {
    slave.server.is_some() && slave.server == master.server
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn progress(role: ServerRole) -> Progress {
        Progress { receiving: true, byte_bits: 64, ..Progress::of(role) }
    }

    fn look(standing: &mut Standing, slave: &Progress, master: &Progress, timeline: &Timeline, now: Instant) {
        let sighting = Sighting { slave: Some(slave), master: Some(master), master_answers: true, now };
        standing.saw(&sighting, timeline);
    }

    #[test]
    fn an_idle_standby_that_has_everything_has_no_lag_however_old_its_last_commit_is() {
        let now = Instant::now();
        let mut timeline = Timeline::default();
        timeline.saw(100, now);
        let master = Progress { now: Some(3_600_000_000), ..progress(ServerRole::Primary) };
        let slave = Progress { applied: Some(100), applied_at: Some(0), ..progress(ServerRole::Standby) };
        let mut standing = Standing::fresh();
        look(&mut standing, &slave, &master, &timeline, now);
        assert_eq!((standing.lag, standing.behind_bytes), (Some(0), Some(0)));
    }

    #[test]
    fn a_standby_whose_receiver_is_dead_falls_behind_though_its_master_is_idle() {
        let now = Instant::now();
        let mut timeline = Timeline::default();
        timeline.saw(100, now);
        let master = progress(ServerRole::Primary);
        let mut slave = Progress { applied: Some(100), ..progress(ServerRole::Standby) };
        let mut standing = Standing::fresh();
        look(&mut standing, &slave, &master, &timeline, now);
        slave.receiving = false;
        look(&mut standing, &slave, &master, &timeline, now + 3 * SECOND);
        assert_eq!(standing.lag, Some(3000));
    }

    #[test]
    fn wrong_clocks_make_lag_neither_negative_nor_infinite() {
        let start = Instant::now();
        let mut timeline = Timeline::default();
        timeline.saw(100, start);
        timeline.saw(200, start + SECOND);
        let now = start + 2 * SECOND;
        for commit in [i64::MIN, 0, i64::MAX] {
            let master = Progress { now: Some(5), ..progress(ServerRole::Primary) };
            let slave =
                Progress { applied: Some(150), applied_at: Some(commit), ..progress(ServerRole::Standby) };
            let mut standing = Standing::fresh();
            look(&mut standing, &slave, &master, &timeline, now);
            assert!((1000..=2000).contains(&standing.lag.unwrap()), "{standing:?}");
        }
    }

    #[test]
    fn a_slave_that_is_fed_by_another_database_has_no_known_lag() {
        let now = Instant::now();
        let mut timeline = Timeline::default();
        timeline.saw(100, now);
        let master = Progress { cluster: Some("1".to_owned()), ..progress(ServerRole::Primary) };
        let slave =
            Progress { cluster: Some("2".to_owned()), applied: Some(100), ..progress(ServerRole::Standby) };
        let mut standing = Standing::fresh();
        look(&mut standing, &slave, &master, &timeline, now);
        assert_eq!(standing.lag, None);
    }
}
