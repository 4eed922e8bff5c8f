//! Which of several servers answers the next read.

mod live;

pub use live::LiveServers;
