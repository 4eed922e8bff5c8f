//! Tokens by which a reader sees its own writes: a place in the log of the master that took them.

use data::DialectKind;

use super::{FedBy, Replica};
use crate::error::{Error, Result};

/// The place in a master's log behind a write. Its text is for this library alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteToken {
    master: String,
    dialect: String,
    /// `None` where the master has no log, so that only itself has the write for certain.
    position: Option<u64>,
    /// In the log from which this library feeds slaves, where there are such slaves.
    fed_position: Option<u64>,
}

impl WriteToken {
    pub(crate) fn new(master: &str, kind: DialectKind, position: Option<u64>) -> Self {
        Self { master: master.to_owned(), dialect: kind.name().to_owned(), position, fed_position: None }
    }

    /// The same with its place in the log from which this library feeds slaves.
    pub(crate) fn with_fed_position(self, fed_position: Option<u64>) -> Self {
        Self { fed_position, ..self }
    }

    /// Reads a token back.
    ///
    /// # Errors
    /// [`Error::Config`] for a text that is none.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || Error::config("after", "expected a token that lastWriteToken gave");
        let mut parts = text.rsplitn(3, '/');
        let (position, dialect, master) = (parts.next(), parts.next(), parts.next());
        let (Some(position), Some(dialect), Some(master)) = (position, dialect, master) else {
            return Err(malformed());
        };
        let number = |text: &str| match text {
            "-" => Ok(None),
            number => number.parse().map(Some).map_err(|_| malformed()),
        };
        let (position, fed_position) = match position.split_once('~') {
            Some((position, fed)) => (number(position)?, number(fed)?),
            None => (number(position)?, None),
        };
        Ok(Self { master: master.to_owned(), dialect: dialect.to_owned(), position, fed_position })
    }

    /// Whether a slave of this master is known to have the write. Positions of PostgreSQL go on over promotions, those of
    /// other databases are those of one server's log.
    pub(super) fn is_seen_by(&self, slave: &Replica, master: Option<&str>) -> bool {
        let same_master = master == Some(self.master.as_str());
        if slave.fed_by == Some(FedBy::Managed) {
            let (written, applied) = (self.fed_position, slave.standing.applied);
            return same_master && written.zip(applied).is_some_and(|(written, applied)| applied >= written);
        }
        let same_log = self.dialect == DialectKind::Postgres.name() || same_master;
        match (self.position, slave.standing.applied) {
            (Some(written), Some(applied)) => same_log && applied >= written,
            _ => false,
        }
    }
}

impl std::fmt::Display for WriteToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |position: Option<u64>| position.map_or("-".to_owned(), |position| position.to_string());
        write!(f, "{}/{}/{}", self.master, self.dialect, number(self.position))?;
        match self.fed_position {
            Some(_) => write!(f, "~{}", number(self.fed_position)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_from_its_text() {
        for position in [Some(7), None] {
            for fed in [Some(9), None] {
                let token = WriteToken::new("a/b", DialectKind::Postgres, position).with_fed_position(fed);
                assert_eq!(WriteToken::parse(&token.to_string()).unwrap(), token);
            }
        }
        for text in ["", "m/postgres", "m/postgres/x", "m/postgres/1~x"] {
            assert!(matches!(WriteToken::parse(text), Err(Error::Config { .. })), "{text}");
        }
    }
}
