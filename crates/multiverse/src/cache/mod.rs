//! Results of reads that are kept, so that asking again needs no server.
//!
//! A result is kept as it came off the wire and handed out anew for each caller: nobody shares rows with anybody, and
//! the values of a hit are those of the query itself. Entries are found by their full text, never by a hash alone. The
//! number of entries and their bytes are bounded. Misses of one key that come at one time run one query; what is being
//! fetched while it is invalidated is not kept.

mod epoch;
pub(crate) mod exchange;
mod flight;
mod key;
pub(crate) mod log;
mod members;
mod options;
mod queue;
mod recording;
mod remote;
mod results;
mod scope;
mod settings;
mod store;
mod stored;
#[cfg(test)]
mod tests;

pub(crate) use epoch::CacheEpoch;
pub use key::CacheKey;
pub use options::{CacheFigures, CacheOptions, EvictionReason};
pub(crate) use recording::Recording;
pub(crate) use remote::scope_names;
pub use remote::{RemoteAnswer, RemoteCache, RemoteEntry};
pub(crate) use results::{DroppedResults, Found, Landed, ResultCache, Wish};
pub use scope::Invalidation;
pub(crate) use scope::Scope;
pub use settings::{CacheSettings, EvictionStrategy};
pub use store::{Eviction, Lookup, Store, StoreFigures, StoreLimits};
