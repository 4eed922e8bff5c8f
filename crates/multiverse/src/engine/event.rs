//! What the engine's own tasks tell it: connections opened, cancellations delivered, its own queries answered.

use std::time::Instant;

use wire::Pipeline;

use super::Token;
use super::own_query::OwnResult;
use crate::cache::log::LogNews;
use crate::failover::{Promoted, Sighting};

pub(crate) enum Event {
    /// An attempt to open a connection has ended.
    Connected { pool: usize, generation: u64, result: Result<Box<Pipeline>, wire::Error> },
    /// The server has closed the connection on which it was asked to cancel something, or could not be asked.
    CancelDelivered { token: Token, result: Result<(), wire::Error> },
    /// There is news of a log that the cache follows.
    Log { number: u64, news: LogNews },
    /// A query of the engine itself has been answered. `started` is when it was asked.
    OwnQuery { purpose: super::own_query::Purpose, started: Instant, result: OwnResult },
    /// A server of a cluster whose primary is looked for was seen, or not.
    Sighted(Sighting),
    /// A standby was promoted, or not.
    Promoted(Promoted),
}
