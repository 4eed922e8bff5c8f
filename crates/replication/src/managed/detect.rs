//! What feeds a slave: its own database, this library, or nothing.

use data::DialectKind;
use data::Result;
use data::log::LogKind;
use data::progress::{Progress, ServerRole, progress, server};

use super::member::term;
use super::place::Parties;
use crate::topology::Feed;

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// Its database feeds it.
    Native,
    /// This library can, from this log of the master.
    Managed(LogKind),
    /// Nothing can, and why.
    Nothing(String),
}

/// Looks at both databases.
pub(super) async fn detect(project: &str, parties: &Parties) -> Result<Finding> {
    let (master, slave) = (&parties.master.dialect, &parties.slave.dialect);
    let stands = match slave.kind() {
        // Every question to it would run code of the application.
        DialectKind::Foreign => {
            return Ok(nothing("a dialect of the application's own cannot be fed from a log"));
        }
        _ => progress(slave.as_ref()).await?,
    };
    if let Some(native) =
        fed_by_its_database(parties.wanted, stands.as_ref(), || progress(master.as_ref())).await?
    {
        return Ok(native);
    }
    let (source, target) = (parties.master.end(), parties.slave.end());
    let tables = source.tables()?;
    let Some(kind) = tables.automatic_log() else {
        return Ok(nothing("changes of the master's database cannot be captured"));
    };
    if tables.identity().await? == target.tables()?.identity().await?
        && server(master.as_ref()).await? == server(slave.as_ref()).await?
    {
        return Ok(nothing("it is the same database as the master"));
    }
    if term(&target, project).await? > term(&source, project).await? {
        return Ok(nothing(
            "it was made the master of the project later than the present one, so that it is not overwritten; enter it as the \
             master",
        ));
    }
    Ok(Finding::Managed(kind))
}

/// Whether the slave's own database feeds it, or keeps others from feeding it.
async fn fed_by_its_database<F: Future<Output = Result<Option<Progress>>>>(
    wanted: Feed,
    stands: Option<&Progress>,
    ask_master: impl FnOnce() -> F,
) -> Result<Option<Finding>> {
    let Some(stands) = stands.filter(|stands| stands.role != ServerRole::Primary) else { return Ok(None) };
    let follows = match ask_master().await? {
        Some(master) => stands.follows(&master),
        None => false,
    };
    Ok(Some(match (wanted, follows, stands.role) {
        (Feed::Auto, true, _) => Finding::Native,
        (_, true, _) => nothing("its database feeds it already; use feed: 'auto' or 'native'"),
        (_, false, ServerRole::Standby | ServerRole::Replica) => {
            nothing("its database follows another one than the master, and takes no writes")
        }
        (_, false, _) => nothing("its database has a subscription to another one than the master"),
    }))
}

fn nothing(reason: &str) -> Finding {
    Finding::Nothing(reason.to_owned())
}
