//! The strategies by which a slave is chosen for a read.

use std::hash::{BuildHasher, RandomState};

use super::Replica;
use crate::error::{Error, Result};

/// How a slave is chosen for a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReadRouting {
    /// Each in turn.
    #[default]
    RoundRobin,
    /// The one with the least measured lag; equals, and those whose lag is unknown, in turn.
    LeastLag,
    /// Any.
    Random,
}

impl ReadRouting {
    /// Reads the name that configurations use.
    ///
    /// # Errors
    /// [`Error::Config`] naming the known ones.
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "round-robin" => Ok(Self::RoundRobin),
            "least-lag" => Ok(Self::LeastLag),
            "random" => Ok(Self::Random),
            other => Err(Error::config(
                "read routing",
                format!("unknown strategy \"{other}\"; known are round-robin, least-lag, random"),
            )),
        }
    }

    /// The name that configurations use.
    pub fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::LeastLag => "least-lag",
            Self::Random => "random",
        }
    }

    /// One of the replicas; `turn` counts the reads so far.
    pub(super) fn choose<'a>(self, usable: &[&'a Replica], turn: u64) -> Option<&'a Replica> {
        match self {
            Self::RoundRobin => pick(usable, turn),
            Self::Random => pick(usable, RandomState::new().hash_one(turn)),
            Self::LeastLag => {
                let lag = |replica: &&'a Replica| replica.standing.lag.unwrap_or(u64::MAX);
                let least = usable.iter().map(lag).min()?;
                let freshest: Vec<_> =
                    usable.iter().copied().filter(|replica| lag(replica) == least).collect();
                pick(&freshest, turn)
            }
        }
    }
}

fn pick<'a>(replicas: &[&'a Replica], number: u64) -> Option<&'a Replica> {
    let count = u64::try_from(replicas.len()).ok().filter(|count| *count > 0)?;
    usize::try_from(number % count).ok().and_then(|position| replicas.get(position).copied())
}
