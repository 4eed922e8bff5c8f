//! What a pinned connection brings unasked: notifications of other sessions, and its own end.

use std::sync::Arc;

use wire::Notification;

use crate::engine::{Core, Token};
use crate::request::SessionId;

/// What a pinned connection brings that no statement asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionNews {
    /// A session, perhaps itself, has notified a channel that it listens to.
    Notification(Notification),
    /// The connection is lost, for this reason; with it, what it listened to.
    Lost(Arc<str>),
}

/// Is told what a pinned connection brings. Called on the engine's thread.
pub type SessionListener = Box<dyn FnMut(SessionNews) + Send>;

impl Core {
    /// Has a listener told what the connection of a session brings, in place of the one before.
    pub(crate) fn listen_in_session(&mut self, id: SessionId, mut listener: SessionListener) {
        match self.sessions.get_mut(&id.0) {
            Some(session) => session.listener = Some(listener),
            // It was lost before anybody could listen.
            None => listener(SessionNews::Lost("the session has ended".into())),
        }
    }

    /// Hands on the notifications that a connection has received; they are dropped where nobody listens.
    pub(crate) fn hand_on_notifications(&mut self, token: Token) {
        let Some(connection) = self.connection(token) else { return };
        let (session, notifications) = (connection.session, connection.pipeline.take_notifications());
        let Some(session) = session else { return };
        for notification in notifications {
            self.tell_session(session, SessionNews::Notification(notification));
        }
    }

    pub(crate) fn tell_session(&mut self, id: SessionId, news: SessionNews) {
        let session = self.sessions.get_mut(&id.0);
        if let Some(listener) = session.and_then(|session| session.listener.as_mut()) {
            listener(news);
        }
    }
}
