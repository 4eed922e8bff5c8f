//! What the servers say in the end, against what the process said meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use crate::servers::{NAMES, Servers};

/// How a transfer ended, as its process said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Committed,
    Aborted,
    Unknown,
}

/// What processes have said so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) said: BTreeMap<String, Said>,
}

impl Ledger {
    /// Takes in a line of a process.
    pub(crate) fn hear(&mut self, line: &str) {
        let mut words = line.split(' ');
        let said = match words.next() {
            Some("committed") => Said::Committed,
            Some("aborted") => Said::Aborted,
            Some("unknown") => Said::Unknown,
            _ => return,
        };
        if let Some(id) = words.next() {
            self.said.insert(id.to_owned(), said);
        }
    }

    pub(crate) fn count(&self, wanted: Said) -> usize {
        self.said.values().filter(|said| **said == wanted).count()
    }

    /// Every transfer stands on all servers or on none, as was said; and no money was made or lost.
    pub(crate) fn check(&self, servers: &Servers, context: &str) {
        let transfers: Vec<BTreeSet<String>> = (0..NAMES.len())
            .map(|at| {
                servers.column(at, &format!("SELECT id FROM {}.transfer", NAMES[at])).into_iter().collect()
            })
            .collect();
        for (name, found) in NAMES.iter().zip(&transfers) {
            let difference: Vec<_> = found.symmetric_difference(&transfers[0]).collect();
            assert!(difference.is_empty(), "{context}: {name} differs from {} in {difference:?}", NAMES[0]);
        }
        for (id, said) in &self.said {
            match said {
                Said::Committed => {
                    assert!(transfers[0].contains(id), "{context}: {id} was committed and is gone")
                }
                Said::Aborted => {
                    assert!(!transfers[0].contains(id), "{context}: {id} was rolled back and is there")
                }
                Said::Unknown => {}
            }
        }
        let sum = |at: usize| -> i64 {
            let sums = servers.column(at, &format!("SELECT sum(amount) FROM {}.account", NAMES[at]));
            sums[0].parse().expect("a number")
        };
        let sums: Vec<i64> = (0..NAMES.len()).map(sum).collect();
        assert_eq!(sums.iter().sum::<i64>(), 30_000, "{context}: {sums:?}");
        let made = i64::try_from(transfers[0].len()).expect("few");
        assert_eq!(sums, [10_000 - 2 * made, 10_000 + made, 10_000 + made], "{context}");
    }
}
