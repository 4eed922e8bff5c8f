//! Copying in bulk: the rows of one database or of files to others, once. The work is that of the snapshot engine, but
//! for the deletes: rows that only a destination has stay there.

mod collection;
mod end;
mod report;
mod run;
mod watch;

pub use end::{CopyEnd, CopyOptions, CopyTarget};
pub use report::{CollectionReport, CopyReport, DestinationReport, Problem};
pub use run::{CopyListener, CopyProgress, copy};
pub use watch::Stop;
