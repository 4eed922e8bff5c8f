//! How far a slave is behind its master: from positions in the master's log and the times at which they were seen.

mod estimate;
mod timeline;

pub(crate) use estimate::{Sighting, Standing};
pub(crate) use timeline::Timeline;
