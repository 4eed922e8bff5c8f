//! Places in the binary log: by the transactions that lie before them, or by file and offset.
//!
//! Where the server numbers its transactions (GTIDs), a place is the set of those that came before. It is the same at every
//! server that has them, so that reading goes on at another one after a failover. How many there are grows along the log,
//! and is the order of a position. Without such numbers a place is a file and an offset.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::log::Position;

/// Bits of an order that hold the offset within a file; no file is as large.
const OFFSET_BITS: u32 = 36;

/// A place between two transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// MariaDB: for each domain, the last transaction.
    Mariadb(BTreeMap<u32, Last>),
    /// MySQL: for each source of transactions, the ranges of their numbers, first and last.
    Mysql(BTreeMap<String, Vec<(u64, u64)>>),
    /// A file and the offset behind the last transaction.
    File { file: String, offset: u64 },
}

/// The last transaction of a domain of MariaDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) server: u32,
    pub(super) number: u64,
    /// By what it is told from another server's of the same number, where that is known.
    pub(super) fingerprint: Option<u32>,
}

/// How a transaction is numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gtid {
    Mariadb {
        domain: u32,
        server: u32,
        number: u64,
    },
    Mysql {
        source: String,
        number: u64,
    },
    /// Not at all.
    Anonymous,
}

impl Place {
    /// Reads the text of `@@gtid_binlog_pos`; behind each number may stand a fingerprint, as positions have it.
    pub(super) fn mariadb(text: &str) -> Option<Self> {
        let mut domains = BTreeMap::new();
        for gtid in text.split(',').map(str::trim).filter(|gtid| !gtid.is_empty()) {
            let (gtid, fingerprint) = match gtid.split_once('@') {
                Some((gtid, fingerprint)) => (gtid, Some(fingerprint.parse().ok()?)),
                None => (gtid, None),
            };
            let mut numbers = gtid.split('-');
            let domain = numbers.next()?.parse().ok()?;
            let (server, number) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
            domains.insert(domain, Last { server, number, fingerprint });
        }
        Some(Self::Mariadb(domains))
    }

    /// Reads the text of `@@gtid_executed`.
    pub(super) fn mysql(text: &str) -> Option<Self> {
        let mut sources: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let mut words = part.split(':').map(str::trim);
            let uuid = words.next()?.to_ascii_lowercase();
            let mut source = uuid.clone();
            for word in words {
                if !word.starts_with(|first: char| first.is_ascii_digit()) {
                    source = format!("{uuid}:{word}");
                    continue;
                }
                let (first, last) = word.split_once('-').unwrap_or((word, word));
                let (first, last) = (first.parse().ok()?, last.parse().ok()?);
                if first == 0 || last < first {
                    return None;
                }
                sources.entry(source.clone()).or_default().push((first, last));
            }
        }
        for ranges in sources.values_mut() {
            ranges.sort_unstable();
        }
        Some(Self::Mysql(sources))
    }

    /// The place that a position of this log names.
    ///
    /// # Errors
    /// [`ErrorKind::LogLost`] if it is one of another log.
    pub(super) fn of(position: &Position) -> Result<Self> {
        let token = position.token.as_deref().unwrap_or_default();
        let place = match token.split_once('/') {
            Some(("mariadb", text)) => Self::mariadb(text),
            Some(("mysql", text)) => Self::mysql(text),
            Some(("file", text)) => text.rsplit_once(':').and_then(|(file, offset)| {
                Some(Self::File { file: file.to_owned(), offset: offset.parse().ok()? })
            }),
            _ => None,
        };
        place.ok_or_else(|| {
            let message = "the position is none of the binary log; the tables must be synchronised anew";
            Error::new(ErrorKind::LogLost, message)
        })
    }

    /// The position of this place.
    pub(super) fn position(&self) -> Position {
        let token = match self {
            Self::Mariadb(domains) => {
                let marked = domains.iter().map(|(domain, last)| match last.fingerprint {
                    Some(fingerprint) => format!("{domain}-{last}@{fingerprint}"),
                    None => format!("{domain}-{last}"),
                });
                format!("mariadb/{}", marked.collect::<Vec<_>>().join(","))
            }
            Self::Mysql(_) => format!("mysql/{self}"),
            Self::File { .. } => format!("file/{self}"),
        };
        Position { order: self.order(), token: Some(token) }
    }

    /// Grows with every transaction.
    pub(super) fn order(&self) -> u64 {
        match self {
            Self::Mariadb(domains) => {
                domains.values().fold(0, |sum: u64, last| sum.saturating_add(last.number))
            }
            Self::Mysql(sources) => {
                let ranges = sources.values().flatten();
                ranges.fold(0, |sum, (first, last)| sum.saturating_add(last - first).saturating_add(1))
            }
            Self::File { file, offset } => file_number(file) << OFFSET_BITS | offset,
        }
    }

    /// Whether everything before this place lies before the other one too.
    pub(super) fn leads_to(&self, other: &Self) -> bool {
        let within = |ranges: &[(u64, u64)], first: u64, last: u64| {
            ranges.iter().any(|(from, to)| *from <= first && last <= *to)
        };
        match (self, other) {
            (Self::Mariadb(own), Self::Mariadb(other)) => own.iter().all(|(domain, last)| {
                other.get(domain).is_some_and(|others_last| last.number <= others_last.number)
            }),
            (Self::Mysql(own), Self::Mysql(other)) => own.iter().all(|(source, ranges)| {
                other.get(source).is_some_and(|others_ranges| {
                    ranges.iter().all(|(first, last)| within(others_ranges, *first, *last))
                })
            }),
            (Self::File { .. }, Self::File { .. }) => self.order() <= other.order(),
            _ => false,
        }
    }

    /// The same place, but before this transaction of a domain of MariaDB.
    pub(super) fn before(&self, domain: u32, last: Last) -> Option<Self> {
        let Self::Mariadb(domains) = self else { return None };
        let mut domains = domains.clone();
        match last.number.checked_sub(1)? {
            0 => domains.remove(&domain),
            number => domains.insert(domain, Last { number, fingerprint: None, ..last }),
        };
        Some(Self::Mariadb(domains))
    }

    /// Goes beyond a transaction that ends at this offset.
    pub(super) fn pass(&mut self, gtid: &Gtid, end: u64, fingerprint: Option<u32>) {
        match (self, gtid) {
            (Self::Mariadb(domains), Gtid::Mariadb { domain, server, number }) => {
                domains.insert(*domain, Last { server: *server, number: *number, fingerprint });
            }
            (Self::Mysql(sources), Gtid::Mysql { source, number }) => {
                add(sources.entry(source.clone()).or_default(), *number);
            }
            (Self::File { offset, .. }, _) if end > 0 => *offset = end,
            _ => {}
        }
    }

    /// Goes on with another file.
    pub(super) fn rotate(&mut self, next_file: &str, next_offset: u64) {
        if let Self::File { file, offset } = self {
            next_file.clone_into(file);
            *offset = next_offset;
        }
    }
}

/// Adds a number to ranges in ascending order.
fn add(ranges: &mut Vec<(u64, u64)>, number: u64) {
    let behind = ranges.partition_point(|(first, _)| *first <= number);
    let joins_next = ranges.get(behind).is_some_and(|(first, _)| *first == number.saturating_add(1));
    let before = behind.checked_sub(1).and_then(|at| ranges.get_mut(at));
    match before {
        Some((_, last)) if *last >= number => {}
        Some((_, last)) if last.saturating_add(1) == number => {
            *last = number;
            if joins_next {
                let (_, end) = ranges.remove(behind);
                if let Some((_, last)) = behind.checked_sub(1).and_then(|at| ranges.get_mut(at)) {
                    *last = end;
                }
            }
        }
        _ if joins_next => {
            if let Some((first, _)) = ranges.get_mut(behind) {
                *first = number;
            }
        }
        _ => ranges.insert(behind, (number, number)),
    }
}

/// The number at the end of a file's name.
fn file_number(file: &str) -> u64 {
    file.rsplit('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

impl fmt::Display for Place {
    /// As the server writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mariadb(domains) => {
                for (i, (domain, last)) in domains.iter().enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    write!(f, "{comma}{domain}-{last}")?;
                }
                Ok(())
            }
            Self::Mysql(sources) => {
                for (i, (source, ranges)) in sources.iter().enumerate() {
                    let comma = if i > 0 { "," } else { "" };
                    write!(f, "{comma}{source}")?;
                    for (first, last) in ranges {
                        if first == last { write!(f, ":{first}")? } else { write!(f, ":{first}-{last}")? }
                    }
                }
                Ok(())
            }
            Self::File { file, offset } => write!(f, "{file}:{offset}"),
        }
    }
}

impl fmt::Display for Last {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.server, self.number)
    }
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mariadb { domain, server, number } => write!(f, "{domain}-{server}-{number}"),
            Self::Mysql { source, number } => write!(f, "{source}:{number}"),
            Self::Anonymous => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn a_place_is_the_same_after_it_was_stored() {
        let tagged = format!("{UUID}:1-5:7,{UUID}:blue:1-3");
        for place in [
            Place::mariadb("1-10-7,0-1-5").unwrap(),
            Place::mariadb("").unwrap(),
            Place::mariadb("1-10-7@1732412345,0-1-5").unwrap(),
            Place::mysql(&tagged).unwrap(),
            Place::File { file: "mysql-bin.000012".to_owned(), offset: 4 },
        ] {
            assert_eq!(Place::of(&place.position()).unwrap(), place);
        }
        assert_eq!(Place::mysql(&format!("{UUID}:1-5:7:blue:1-3")), Place::mysql(&tagged));
        assert_eq!(Place::of(&Position::at(7)).unwrap_err().kind(), ErrorKind::LogLost);
    }

    #[test]
    fn every_transaction_moves_the_order_by_one() {
        let mut place = Place::mysql(&format!("{UUID}:1-5:7:9")).unwrap();
        for (number, expected) in
            [(8, "1-5:7-9"), (6, "1-9"), (11, "1-9:11"), (10, "1-11"), (12, "1-12"), (3, "1-12")]
        {
            let before = place.order();
            place.pass(&Gtid::Mysql { source: UUID.to_owned(), number }, 0, None);
            assert_eq!(place.to_string(), format!("{UUID}:{expected}"));
            assert_eq!(place.order(), before + u64::from(number != 3));
        }
        let mut place = Place::mariadb("0-1-5").unwrap();
        place.pass(&Gtid::Mariadb { domain: 0, server: 2, number: 6 }, 0, Some(1_732_412_345));
        assert_eq!((place.to_string().as_str(), place.order()), ("0-2-6", 6));
        assert_eq!(place.position().token.as_deref(), Some("mariadb/0-2-6@1732412345"));
    }

    #[test]
    fn a_later_file_lies_behind_every_offset_of_an_earlier_one() {
        let at = |file: &str, offset| Place::File { file: file.to_owned(), offset }.order();
        assert!(at("bin.000002", 4) > at("bin.000001", 5 << 30));
    }

    #[test]
    fn a_place_leads_to_those_that_lack_nothing_of_it() {
        let mysql = |text: &str| Place::mysql(&format!("{UUID}:{text}")).unwrap();
        assert!(mysql("1-5").leads_to(&mysql("1-7")));
        assert!(mysql("1-5:9").leads_to(&mysql("1-5:8-9")));
        assert!(!mysql("1-5:9").leads_to(&mysql("1-8")));
        let mariadb = |text: &str| Place::mariadb(text).unwrap();
        assert!(mariadb("0-1-5").leads_to(&mariadb("0-2-6,1-1-1")));
        assert!(!mariadb("0-1-5,1-1-1").leads_to(&mariadb("0-2-6")));
        assert!(!mariadb("0-1-5").leads_to(&mysql("1-7")));
    }

    #[test]
    fn text_that_is_no_place_is_refused() {
        for text in ["0", "0-1", "0-1-x", "a-b-c", "0-1-2@x"] {
            assert_eq!(Place::mariadb(text), None, "{text}");
        }
        for text in [&format!("{UUID}:0"), &format!("{UUID}:5-1"), &format!("{UUID}:1-x")] {
            assert_eq!(Place::mysql(text), None, "{text}");
        }
    }
}
