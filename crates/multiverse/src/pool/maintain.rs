//! Looking through the connections of a pool from time to time: those unused for long and those too old are closed,
//! those that are missing are opened.

use std::time::Duration;

use super::Pool;
use crate::engine::{Core, Timer};

const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(10);

impl Core {
    pub(crate) fn maintain(&mut self, key: usize, number: u64) {
        let now = self.now;
        let Some(pool) = self.pools.get_mut(key) else { return };
        if pool.number != number || pool.is_leaving {
            return;
        }
        let mut to_close: Vec<usize> = Vec::new();
        let mut open = pool.connections.len();
        for slot in &pool.idle {
            let Some(connection) = pool.connections.get(*slot) else { continue };
            let is_unused = now.saturating_duration_since(connection.since) >= pool.settings.idle_timeout;
            if connection.is_worn_out(now) || (is_unused && open > pool.settings.min) {
                to_close.push(*slot);
                open -= 1;
            }
        }
        let pause = pool.maintenance_pause();
        for slot in to_close {
            self.close_connection(key, slot);
        }
        self.timers.add(now + pause, Timer::Maintain { pool: key, number });
        // Also grows up to the minimum.
        self.call_dispatch(key);
    }
}

impl Pool {
    /// The time from one look to the next.
    pub(crate) fn maintenance_pause(&self) -> Duration {
        let shortest = self.settings.max_lifetime.unwrap_or(LONGEST).min(self.settings.idle_timeout);
        (shortest / 4).clamp(SHORTEST, LONGEST)
    }
}
