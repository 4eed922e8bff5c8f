//! A scout: a connection of its own to one server, over which it is asked for its role again and again. The pools may be full,
//! and what stands in their pipelines may be hanging.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::timeout;
use wire::{ConnectConfig, Connection};

use super::role::{PLAIN_ROLE, ROLE, Role};
use crate::engine::Event;

/// How long a server may take to let a scout in and to answer it.
pub(crate) const SCOUT_LIMIT: Duration = Duration::from_secs(2);

/// What a scout has seen.
pub(crate) struct Sighting {
    pub(crate) pool: usize,
    /// The number of the search it belongs to.
    pub(crate) search: u64,
    /// When the scout set out.
    pub(crate) begun: Instant,
    pub(crate) result: Result<Role, wire::Error>,
}

/// Where a scout goes and what it is told.
pub(super) struct Mission {
    pub(super) pool: usize,
    pub(super) search: u64,
    pub(super) connect: Arc<ConnectConfig>,
    /// The pause between two questions. The mission ends when nobody sets it any more.
    pub(super) pace: watch::Receiver<Duration>,
    pub(super) events: UnboundedSender<Event>,
}

impl Mission {
    pub(super) async fn run(mut self) {
        let mut open = None;
        loop {
            let begun = Instant::now();
            let result = within(ask(&self.connect, &mut open)).await;
            if result.is_err() {
                open = None;
            }
            let sighting = Sighting { pool: self.pool, search: self.search, begun, result };
            if self.events.send(Event::Sighted(sighting)).is_err() {
                return;
            }
            let pause = *self.pace.borrow_and_update();
            // Another pace begins with a question at once.
            if let Ok(Err(_)) = timeout(pause, self.pace.changed()).await {
                break;
            }
        }
        if let Some(connection) = open {
            // Nobody waits for it, so whether the server takes note makes no difference.
            let _ = within(connection.close()).await;
        }
    }
}

/// Asks a server for its role over a connection that is opened if there is none.
async fn ask(connect: &ConnectConfig, open: &mut Option<Connection>) -> wire::Result<Role> {
    let mut connection = match open.take() {
        Some(connection) => connection,
        None => Connection::connect(connect).await?,
    };
    let role = role_of(&mut connection).await?;
    *open = Some(connection);
    Ok(role)
}

/// What a server says of itself.
///
/// # Errors
/// As for any query; a server that does not know the question is asked a simpler one.
pub(super) async fn role_of(connection: &mut Connection) -> wire::Result<Role> {
    let answer = match connection.query(ROLE, &[]).await {
        Err(wire::Error::Server(error)) if !error.is_fatal() => connection.query(PLAIN_ROLE, &[]).await?,
        other => other?,
    };
    let row = answer.rows.get(0);
    let cells: Vec<Option<&str>> = match row {
        Some(row) => (0..row.len()).map(|position| row.get_str(position)).collect::<wire::Result<_>>()?,
        None => Vec::new(),
    };
    Role::read(&cells).ok_or_else(|| wire::Error::Protocol("the server does not tell its role".to_owned()))
}

/// Gives up what takes longer than a scout may.
pub(super) async fn within<T>(work: impl Future<Output = wire::Result<T>>) -> wire::Result<T> {
    let late =
        |_| Err(wire::Error::Timeout { context: "asking for its role".to_owned(), limit: SCOUT_LIMIT });
    timeout(SCOUT_LIMIT, work).await.unwrap_or_else(late)
}
