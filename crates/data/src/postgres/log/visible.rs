//! When others can read what a transaction has changed: the log tells of its commit a moment before, and much earlier where
//! commits wait for standbys.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wire::Connection;

use crate::error::{Error, ErrorKind, Result};
use crate::postgres::pool::Pool;

/// Between the first two looks; each later pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How long is waited at the most.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a new view shows all of these transactions.
pub(super) async fn await_visible(pool: &Pool, transactions: &[String]) -> Result<()> {
    let mut waiting: Vec<u32> = transactions.iter().filter_map(|id| id.parse().ok()).collect();
    let deadline = Instant::now() + PATIENCE;
    let mut pause = FIRST_PAUSE;
    while !waiting.is_empty() {
        let view = View::read(&mut *pool.get().await?).await?;
        waiting.retain(|id| !view.shows(*id));
        if waiting.is_empty() {
            break;
        }
        if Instant::now() >= deadline {
            let message =
                "a transaction was logged as committed and is not visible yet; does it wait for a standby?";
            return Err(Error::new(ErrorKind::Timeout, message));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

/// Which transactions a view shows, by the lower 32 bits of their numbers, as the log tells them.
#[derive(Debug, PartialEq, Eq)]
struct View {
    /// The first number that is not shown, nor is any behind it.
    end: u32,
    /// Those before it that were running.
    running: Vec<u32>,
}

impl View {
    async fn read(connection: &mut Connection) -> Result<Self> {
        let result = connection.query("SELECT txid_current_snapshot()::text", &[]).await?;
        let text = result.rows.get(0).map(|row| row.get_str(0)).transpose()?.flatten();
        text.and_then(Self::parse)
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the server told no view of its transactions"))
    }

    /// Reads `first:end:running,running`.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':').skip(1);
        let end = low_bits(parts.next()?)?;
        let running = parts.next()?.split(',').filter(|id| !id.is_empty());
        Some(Self { end, running: running.map(low_bits).collect::<Option<_>>()? })
    }

    fn shows(&self, id: u32) -> bool {
        // Numbers go round; those of which half a round lies ahead are older.
        let is_before = self.end.wrapping_sub(id).wrapping_sub(1) < u32::MAX / 2;
        is_before && !self.running.contains(&id)
    }
}

fn low_bits(text: &str) -> Option<u32> {
    let number: u64 = text.parse().ok()?;
    u32::try_from(number & u64::from(u32::MAX)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_shows_what_had_ended_before_it() {
        let view = View::parse("10:20:12,15").unwrap();
        let shown: Vec<u32> = (8..24).filter(|id| view.shows(*id)).collect();
        assert_eq!(shown, [8, 9, 10, 11, 13, 14, 16, 17, 18, 19]);
        assert_eq!(View::parse("10:20:"), Some(View { end: 20, running: Vec::new() }));
    }

    #[test]
    fn numbers_go_round() {
        let view = View::parse("4294967290:4294967300:4294967295").unwrap();
        assert!(view.shows(u32::MAX - 1) && view.shows(3));
        assert!(!view.shows(u32::MAX) && !view.shows(4));
    }
}
