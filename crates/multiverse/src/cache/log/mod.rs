//! The cache follows the log of a cluster's primary: what a commit has touched is dropped.
//!
//! [`follow`] streams the log over a temporary slot and tells the engine of each commit ([`touched`]). [`sources`] knows
//! from which tables a query reads, through views; [`row_key`] whether it reads only the row of one primary key.

mod asking;
mod follow;
pub(crate) mod row_key;
mod sources;
mod touched;
mod visibility;

pub(crate) use asking::Asking;
pub(crate) use follow::{Follower, LogNews, Position, follow};
pub(crate) use sources::{Reading, Sources};
pub(crate) use touched::{Commit, Touch};
pub(crate) use visibility::Changes;
