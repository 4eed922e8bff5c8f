//! Servers that have fallen silent while statements wait for them, as behind a cut cable: no error tells of that.

use std::time::{Duration, Instant};

use crate::engine::{Core, Routine, Timer};
use crate::pool::Pool;

/// A statement that waits for so long, while nothing at all comes from its server, has the server asked for a sign of life.
const SILENCE: Duration = Duration::from_secs(1);
/// Where nothing was begun since the last sign of life, the next one is asked for after this time.
const LONG_SILENCE: Duration = Duration::from_secs(10);

impl Pool {
    /// Whether a statement waits for a server of which nothing is heard.
    fn is_silent(&self, now: Instant) -> bool {
        let Some(heard) = self.heard() else { return false };
        self.connections.iter().any(|(_, connection)| {
            // What is not read has nobody to blame but its reader.
            !connection.in_flight.is_empty()
                && !connection.is_paused
                && now.saturating_duration_since(connection.since) >= SILENCE
                && (heard <= connection.since || now.saturating_duration_since(heard) >= LONG_SILENCE)
        })
    }

    /// When the server was heard last.
    pub(crate) fn heard(&self) -> Option<Instant> {
        self.connections.iter().map(|(_, connection)| connection.heard).max().max(self.sighted)
    }
}

impl Core {
    /// Has a pool on which something runs looked at regularly until nothing does.
    pub(crate) fn watch_silence(&mut self, key: usize) {
        let Some(pool) = self.pools.get_mut(key) else { return };
        pool.is_watched = true;
        self.timers
            .add(self.now + SILENCE, Timer::Routine(Routine::Silence { pool: key, number: pool.number }));
    }

    pub(crate) fn look_for_silence(&mut self, key: usize, number: u64) {
        let now = self.now;
        let Some(pool) = self.pools.get_mut(key).filter(|pool| pool.number == number) else { return };
        if pool.running == 0 {
            pool.is_watched = false;
            return;
        }
        let (is_silent, cluster) = (pool.is_silent(now) && !pool.is_leaving, pool.cluster);
        self.watch_silence(key);
        if is_silent {
            self.search(cluster);
        }
    }
}
