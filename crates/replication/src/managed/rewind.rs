//! A master of before that is brought back as a standby, by a command or function of the application.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use data::progress::{ServerRole, progress, server};
use serde::Serialize;
use tokio::time::Instant;

use super::detect::{Finding, detect};
use super::feed::Inner;
use super::place::{Parties, Place};
use crate::topology::Feed;

/// How long a server that was rewound may take to follow the new master.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked whether it does.
const ASKED: Duration = Duration::from_millis(100);

/// The server that is to be rewound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RewindRequest {
    /// The project.
    pub project: String,
    /// The replica that was the master.
    pub name: String,
    /// The one that is the master now.
    pub new_master: String,
}

/// Makes the server of a master of before a standby of the present one, by whatever the application has for that: `pg_rewind`, a
/// new base backup, its operator.
#[async_trait]
pub trait Rewinder: Send + Sync {
    /// Does it; returns when the server was started again, or why it could not be done.
    async fn rewind(&self, request: RewindRequest) -> Result<(), String>;
}

/// What became of an old master.
pub(super) enum Rewound {
    /// There is nothing to rewind it with, or it is no server of the same cluster.
    NotAsked,
    /// It follows the new master by its own database.
    Follows,
    /// It does not, and why.
    Failed(String),
    /// It was asked to end meanwhile.
    Stopped,
}

/// Has a master of before rewound, if the application knows how, and waits until it follows.
pub(super) async fn rewind(place: &Place, inner: &Inner, parties: &Parties) -> Rewound {
    let Some(rewinder) = place.rewinder().filter(|_| parties.wanted == Feed::Auto) else {
        return Rewound::NotAsked;
    };
    if inner.was_rewound() || !are_copies(parties).await {
        return Rewound::NotAsked;
    }
    let request = RewindRequest {
        project: place.project.clone(),
        name: place.slave.clone(),
        new_master: parties.master.name.clone(),
    };
    let rewound = tokio::select! {
        rewound = rewinder.rewind(request) => rewound,
        () = inner.stopping() => return Rewound::Stopped,
    };
    if let Err(reason) = rewound {
        return Rewound::Failed(reason);
    }
    let deadline = Instant::now() + FOLLOWS_WITHIN;
    while Instant::now() < deadline {
        if let Some(parties) = place.parties()
            && let Ok(Finding::Native) = detect(&place.project, &parties).await
        {
            return Rewound::Follows;
        }
        if !inner.pause(ASKED).await {
            return Rewound::Stopped;
        }
    }
    Rewound::Failed(format!("it does not follow the new master within {} s", FOLLOWS_WITHIN.as_secs()))
}

/// Whether both are copies of one cluster at servers of their own, so that one can follow the other.
async fn are_copies(parties: &Parties) -> bool {
    let (master, slave) = (&parties.master.dialect, &parties.slave.dialect);
    let asked = async {
        let is_primary =
            progress(slave.as_ref()).await?.is_some_and(|slave| slave.role == ServerRole::Primary);
        let (source, target) = (parties.master.end(), parties.slave.end());
        let is_same = source.tables()?.identity().await? == target.tables()?.identity().await?;
        let servers = (server(master.as_ref()).await?, server(slave.as_ref()).await?);
        Ok::<_, data::Error>(is_primary && is_same && servers.0.is_some() && servers.0 != servers.1)
    };
    asked.await.unwrap_or(false)
}

/// What the manager and its feeds share of it.
pub(crate) type SharedRewinder = Arc<dyn Rewinder>;
