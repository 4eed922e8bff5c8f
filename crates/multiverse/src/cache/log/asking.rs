//! When the servers that do not show every change yet are asked again.

use std::time::Duration;

/// The pause before a server is asked again that does not show a change yet, and the longest: for one that has failed, or
/// has shown nothing more for some time.
const SOON: Duration = Duration::from_millis(3);
const LATER: Duration = Duration::from_millis(250);

/// The plan to ask the servers of a cluster again: one at a time, however many of them have answered.
#[derive(Debug)]
pub(crate) struct Asking {
    is_planned: bool,
    pause: Duration,
}

impl Default for Asking {
    fn default() -> Self {
        Self { is_planned: false, pause: SOON }
    }
}

impl Asking {
    /// A server shows more than before, so that others may soon.
    pub(crate) fn hurry(&mut self) {
        self.pause = SOON;
    }

    /// A server does not show everything, or has not answered. Gives the pause after which all are to be asked, unless that
    /// is planned already.
    pub(crate) fn plan(&mut self, has_answered: bool) -> Option<Duration> {
        if std::mem::replace(&mut self.is_planned, true) {
            return None;
        }
        let pause = if has_answered { self.pause } else { LATER };
        self.pause = (self.pause * 2).min(LATER);
        Some(pause)
    }

    /// They are being asked.
    pub(crate) fn begin(&mut self) {
        self.is_planned = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_answer_one_question_is_planned_at_a_time() {
        let mut asking = Asking::default();
        assert_eq!(asking.plan(true), Some(SOON));
        assert_eq!((asking.plan(true), asking.plan(false)), (None, None));
        asking.begin();
        assert_eq!(asking.plan(false), Some(LATER));
    }

    #[test]
    fn servers_that_show_nothing_more_are_asked_ever_less_often() {
        let mut asking = Asking::default();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            pauses.extend(asking.plan(true));
            asking.begin();
        }
        assert!(pauses.is_sorted() && pauses.last() == Some(&LATER));
        asking.hurry();
        assert_eq!(asking.plan(true), Some(SOON));
    }
}
