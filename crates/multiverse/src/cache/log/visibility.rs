//! Which servers show the changes that were told: a commit may be in the log before any query sees it.

use std::collections::{HashMap, VecDeque};

/// What was asked of a server, when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Probe {
    /// The change that was the last when the server was asked.
    last: u64,
}

/// A change that some server may not show yet.
#[derive(Debug, Clone, Copy)]
struct Told {
    number: u64,
    xid: u32,
    end: u64,
}

/// The number of a transaction that every snapshot shows.
const FROZEN: u32 = 2;

/// More changes than this that no server has confirmed are remembered as one.
const MOST_TOLD: usize = 50_000;

/// The changes that were told of a cluster, and what each of its servers shows of them.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    last: u64,
    told: VecDeque<Told>,
    /// By table, the number of its last change.
    by_table: HashMap<u32, u64>,
    /// The number of the last change of everything.
    everything: u64,
    /// By the number of a pool, the last change up to which it shows all.
    shown: HashMap<u64, u64>,
    asked: HashMap<u64, Probe>,
}

impl Changes {
    /// Takes note of a commit.
    pub(crate) fn tell(&mut self, xid: u32, end: u64, tables: impl Iterator<Item = u32>) {
        self.last += 1;
        let number = self.last;
        self.told.push_back(Told { number, xid, end });
        if self.told.len() > MOST_TOLD {
            // A server that shows the newest of them may be one that lacks another: nobody is told that it shows them.
            self.told.pop_front();
        }
        self.by_table.extend(tables.map(|table| (table, number)));
    }

    /// Takes note that anything may have changed up to a position of the log, which the primary shows by now.
    pub(crate) fn tell_everything(&mut self, end: u64) {
        self.tell(FROZEN, end, std::iter::empty());
        self.everything = self.last;
    }

    /// Whether a query that a server is asked now sees every change of these tables that was told.
    pub(crate) fn are_shown(&self, pool: u64, tables: &[u32]) -> bool {
        let shown = self.shown.get(&pool).copied().unwrap_or(0);
        self.everything <= shown
            && tables.iter().all(|table| self.by_table.get(table).is_none_or(|number| *number <= shown))
    }

    /// The number of the last change up to which a server shows all.
    pub(crate) fn shown_by(&self, pool: u64) -> u64 {
        self.shown.get(&pool).copied().unwrap_or(0)
    }

    /// Whether a server is to be asked what it shows.
    pub(crate) fn ask(&mut self, pool: u64) -> bool {
        let is_behind = self.shown.get(&pool).copied().unwrap_or(0) < self.last;
        if !is_behind || self.asked.contains_key(&pool) {
            return false;
        }
        self.asked.insert(pool, Probe { last: self.last });
        true
    }

    /// The primary has answered with its snapshot, `xmin:xmax:xip,xip`. Returns whether it is to be asked again.
    pub(crate) fn primary_answered(&mut self, pool: u64, snapshot: Option<&str>) -> bool {
        let snapshot = snapshot.and_then(Snapshot::read);
        self.answered(pool, |told| snapshot.as_ref().is_some_and(|snapshot| snapshot.shows(told.xid)))
    }

    /// A standby has answered with the position up to which it has replayed. Returns whether it is to be asked again.
    pub(crate) fn standby_answered(&mut self, pool: u64, replayed: Option<u64>) -> bool {
        self.answered(pool, |told| replayed.is_some_and(|replayed| told.end <= replayed))
    }

    fn answered(&mut self, pool: u64, is_shown: impl Fn(&Told) -> bool) -> bool {
        let Some(probe) = self.asked.remove(&pool) else { return false };
        let before = self.shown.get(&pool).copied().unwrap_or(0);
        let asked_for = self.told.iter().filter(|told| told.number > before && told.number <= probe.last);
        let mut shown = before;
        for told in asked_for {
            // One that was forgotten is not known to be shown.
            if told.number != shown + 1 && self.told.len() >= MOST_TOLD || !is_shown(told) {
                break;
            }
            shown = told.number;
        }
        self.shown.insert(pool, shown);
        self.forget_shown();
        shown < self.last
    }

    /// What all servers that were ever asked show needs no remembering.
    fn forget_shown(&mut self) {
        let all_show = self.shown.values().copied().min().unwrap_or(0);
        while self.told.front().is_some_and(|told| told.number <= all_show) {
            self.told.pop_front();
        }
    }
}

/// Which transactions a query sees.
#[derive(Debug, PartialEq, Eq)]
struct Snapshot {
    end: u64,
    running: Vec<u64>,
}

impl Snapshot {
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':').skip(1);
        let end = parts.next()?.parse().ok()?;
        let running = parts.next()?.split(',').filter(|xid| !xid.is_empty());
        Some(Self { end, running: running.map(|xid| xid.parse().ok()).collect::<Option<_>>()? })
    }

    /// The log tells the lower half of the number; transactions in it are no more than 2^31 apart.
    fn shows(&self, xid: u32) -> bool {
        let mut full = (self.end & !0xffff_ffff) | u64::from(xid);
        if full > self.end + (1 << 31) {
            full = full.saturating_sub(1 << 32);
        }
        full < self.end && !self.running.contains(&full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_shows_what_had_ended_when_it_was_taken() {
        let snapshot = Snapshot::read("730:735:730,733").unwrap();
        let shown: Vec<u32> = (728..738).filter(|xid| snapshot.shows(*xid)).collect();
        assert_eq!(shown, [728, 729, 731, 732, 734]);
        assert_eq!(Snapshot::read("7:7:").unwrap().running, Vec::<u64>::new());
        assert_eq!(Snapshot::read("7"), None);
        // Beyond 2^32 transactions.
        let late = Snapshot::read("4294967300:4294967310:4294967301").unwrap();
        assert!(late.shows(4_294_967_295) && late.shows(2) && !late.shows(5) && !late.shows(14));
    }

    #[test]
    fn a_table_is_shown_once_the_server_shows_its_last_change() {
        let mut changes = Changes::default();
        assert!(changes.are_shown(0, &[1, 2]));
        changes.tell_everything(900);
        assert!(!changes.are_shown(0, &[1, 2]));
        assert!(changes.ask(0) && changes.ask(1));
        assert!(!changes.primary_answered(0, Some("99:99:")) && changes.standby_answered(1, Some(899)));
        assert!(changes.are_shown(0, &[3]) && !changes.are_shown(1, &[3]));
        changes.tell(100, 1_000, [1].into_iter());
        assert!(!changes.are_shown(0, &[1]) && changes.are_shown(0, &[2]));
        assert!(changes.ask(0) && !changes.ask(0) && changes.ask(1));
        // Told after the question, so that the answer says nothing about it.
        changes.tell(101, 1_100, [2].into_iter());
        assert!(changes.primary_answered(0, Some("102:102:")));
        assert!(changes.are_shown(0, &[1]) && !changes.are_shown(0, &[2]));
        assert!(changes.standby_answered(1, Some(999)));
        assert!(!changes.are_shown(1, &[1]));
        assert!(changes.ask(1) && changes.ask(0));
        assert!(!changes.standby_answered(1, Some(1_100)));
        assert!(changes.primary_answered(0, Some("101:102:101")));
        assert!(changes.are_shown(1, &[1, 2]) && !changes.are_shown(0, &[2]));
        assert!(changes.ask(0));
        assert!(changes.primary_answered(0, None));
        assert!(!changes.are_shown(0, &[2]));
    }
}
