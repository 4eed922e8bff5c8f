//! Which server of a cluster takes writes: looked after while it is in doubt, and found anew when another one was promoted.

mod event;
mod lineage;
mod promotion;
mod question;
mod role;
mod scout;
mod search;
mod silence;
mod standing;
mod succession;

pub use event::{ClusterEvent, ClusterListener, FailoverReply};
pub(crate) use lineage::Lineage;
pub(crate) use promotion::{Order, Promoted};
pub(crate) use role::Role;
pub(crate) use scout::Sighting;
pub(crate) use search::Search;
pub(crate) use standing::Standing;

/// What is known of a cluster's primary, besides which server it is.
#[derive(Default)]
pub(crate) struct Watch {
    /// The history that takes the cluster's writes, once a primary has told it.
    pub(crate) lineage: Option<Lineage>,
    /// The look for a primary that is under way.
    pub(crate) search: Option<Search>,
    pub(crate) standing: Standing,
    /// The promotion of a standby that was asked for and has not ended.
    pub(crate) order: Option<Order>,
}
