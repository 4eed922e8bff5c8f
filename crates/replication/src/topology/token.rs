//! Tokens by which a reader sees its own writes: a place in the log of the master that took them.

use data::DialectKind;

use super::Replica;
use crate::error::{Error, Result};

/// The place in a master's log behind a write. Its text is for this library alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteToken {
    master: String,
    dialect: String,
    /// `None` where the master has no log, so that only itself has the write for certain.
    position: Option<u64>,
}

impl WriteToken {
    pub(crate) fn new(master: &str, kind: DialectKind, position: Option<u64>) -> Self {
        Self { master: master.to_owned(), dialect: kind.name().to_owned(), position }
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
        let position = match position {
            "-" => None,
            number => Some(number.parse().map_err(|_| malformed())?),
        };
        Ok(Self { master: master.to_owned(), dialect: dialect.to_owned(), position })
    }

    /// Whether a slave of this master is known to have the write. Positions of PostgreSQL go on over promotions, those of
    /// other databases are those of one server's log.
    pub(super) fn is_seen_by(&self, slave: &Replica, master: Option<&str>) -> bool {
        let same_log = self.dialect == DialectKind::Postgres.name() || master == Some(self.master.as_str());
        match (self.position, slave.standing.applied) {
            (Some(written), Some(applied)) => same_log && applied >= written,
            _ => false,
        }
    }
}

impl std::fmt::Display for WriteToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.position {
            Some(position) => write!(f, "{}/{}/{position}", self.master, self.dialect),
            None => write!(f, "{}/{}/-", self.master, self.dialect),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_back_from_its_text() {
        for position in [Some(7), None] {
            let token = WriteToken::new("a/b", DialectKind::Postgres, position);
            assert_eq!(WriteToken::parse(&token.to_string()).unwrap(), token);
        }
        for text in ["", "m/postgres", "m/postgres/x"] {
            assert!(matches!(WriteToken::parse(text), Err(Error::Config { .. })), "{text}");
        }
    }
}
