//! Slaves that this library feeds: each by a rule of its own, which streams the changes of its project's master to it.
//!
//! A [`ManagedFeed`] belongs to one slave. Its task finds out what feeds the slave ([`detect`]), streams the master to it
//! where nothing else does ([`run`]), brings a slave back that went its own way ([`resync`], [`rewind`]), and is asked how far it has
//! come ([`measure`]). Which slaves held rows of their own is kept at the master ([`member`]).

mod detect;
mod feed;
mod measure;
mod member;
mod place;
mod resync;
mod rewind;
mod run;

pub(crate) use feed::ManagedFeed;
pub(crate) use measure::{FeedHead, FeedLook, head_for, look_at_feed};
pub(crate) use member::{Member, crown, database_of, remember, term};
pub(crate) use rewind::SharedRewinder;
pub use rewind::{RewindRequest, Rewinder};
