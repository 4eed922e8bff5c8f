//! Whether two databases are still those that have exchanged changes: one that was restored, or replaced by a standby that lagged
//! behind, has lost rows that must not count as deleted.
//!
//! Each side keeps the checkpoint of the other one's log. The checkpoint carries a number that grows whenever it is written, and
//! the number up to which the other side's is known to be committed. A side whose number is below what the other one has seen
//! has gone back in time. As a side writes its number before anything is kept elsewhere that was read there, it cannot lose what
//! the other one holds of it without losing the number too. Which course of its history a server is on, where it tells that, shows
//! besides what was only read.

use std::time::Duration;

use data::log::{ChangeLog, Position, PositionForm};
use data::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

/// How long a log may take to reach what was read of it.
const HEAD_AWAITED: Duration = Duration::from_secs(5);
const HEAD_ASKED: Duration = Duration::from_millis(200);

/// What a checkpoint tells of the course of both sides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct History {
    /// Which course of its history the server is on whose log is read, where it tells that.
    pub(super) course: Option<String>,
    /// How often this checkpoint was written.
    pub(super) written: u64,
    /// How often that of the other log had been, as far as was known then.
    pub(super) seen: u64,
}

impl History {
    /// What is stored; nothing where no rule of both ways has written.
    pub(super) fn to_text(&self) -> Option<String> {
        if *self == Self::default() { None } else { serde_json::to_string(self).ok() }
    }

    pub(super) fn of_text(text: Option<&str>) -> Self {
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Both as they are to be written when an exchange begins on these courses.
    pub(super) fn begin([first, second]: [&Self; 2], courses: [Option<String>; 2]) -> [Self; 2] {
        let [course_of_first, course_of_second] = courses;
        let next = |own: &Self, other: &Self, course: Option<String>| Self {
            course: course.or_else(|| own.course.clone()),
            written: own.written.max(other.seen) + 1,
            seen: other.written,
        };
        [next(first, second, course_of_first), next(second, first, course_of_second)]
    }

    /// As it is to be written next, when that of the other log is known to be stored.
    pub(super) fn next(&self, other: &Self) -> Self {
        Self { course: self.course.clone(), written: self.written + 1, seen: other.written }
    }

    /// Whether the database that keeps this checkpoint has lost what the other one has seen of it.
    pub(super) fn has_gone_back(&self, other: &Self) -> bool {
        self.written < other.seen
    }

    /// Whether the server whose log is read is on another course of its history by now.
    pub(super) fn has_left(&self, course: Option<&String>) -> bool {
        matches!((&self.course, course), (Some(before), Some(now)) if before != now)
    }
}

/// Fails if a log ends before a position that was read of it: the server was restored, and what it writes up to there from now on
/// would be passed over.
pub(super) async fn check_reaches(log: &dyn ChangeLog, position: &Position) -> Result<()> {
    let form = log.position_form();
    let deadline = Instant::now() + HEAD_AWAITED;
    let head = loop {
        let head = log.head().await?;
        if head.order >= position.order {
            return Ok(());
        }
        // The number of a transaction may be told to readers before it counts as carried out, but an LSN may not.
        if form != PositionForm::Number || Instant::now() >= deadline {
            break head;
        }
        sleep(HEAD_ASKED).await;
    };
    let message = format!(
        "the log of the source ends at {}, and changes up to {} had been read, as after a restore; the tables must be synchronised anew",
        form.text(head.order),
        form.text(position.order)
    );
    Err(Error::new(ErrorKind::LogLost, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_that_was_restored_has_gone_back() {
        let begun = History::begin([&History::default(); 2], [None, None]);
        let [forth, back] = begun.clone();
        assert!(!forth.has_gone_back(&back) && !back.has_gone_back(&forth));
        let later = forth.next(&back);
        let latest = back.next(&later);
        assert!(!later.has_gone_back(&latest) && !latest.has_gone_back(&later));
        assert!(forth.has_gone_back(&latest), "the keeper of the first was restored");
        assert!(History::default().has_gone_back(&latest), "it was made anew");
        let [forth, back] = History::begin([&forth, &latest], [None, None]);
        assert!(!forth.has_gone_back(&back) && !back.has_gone_back(&forth), "they go on from there");
    }

    #[test]
    fn a_standby_that_was_promoted_is_on_another_course() {
        let [first, second] = [Some("00000001".to_owned()), Some("00000002".to_owned())];
        let history = History { course: first.clone(), ..History::default() };
        assert!(history.has_left(second.as_ref()));
        assert!(!history.has_left(first.as_ref()) && !history.has_left(None));
        assert!(!History::default().has_left(first.as_ref()));
        assert_eq!(History::of_text(history.to_text().as_deref()), history);
        assert_eq!(History::default().to_text(), None);
    }
}
