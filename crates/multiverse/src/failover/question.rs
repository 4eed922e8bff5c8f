//! Asking servers for their roles over the connections of their pools, while nothing is in doubt.

use std::time::Duration;

use super::Role;
use super::role::{PLAIN_ROLE, ROLE};
use crate::engine::{Core, OwnResult, Purpose};
use crate::error::{Error, ErrorKind};

/// How long a server may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

impl Core {
    /// Asks a server for a sign of life and for its role.
    pub(crate) fn ask_role(&mut self, key: usize, purpose: Purpose) {
        let Some(pool) = self.pools.get(key) else { return };
        let question = if pool.has_plain_role { PLAIN_ROLE } else { ROLE };
        self.ask(key, question, purpose, LIMIT);
    }

    /// A standby that comes back is left out until it has told its role: it may be a primary whose history has ended.
    pub(crate) fn prove(&mut self, key: usize) {
        let Some(pool) = self.pools.get_mut(key) else { return };
        let Some(cluster) = self.clusters.get(pool.cluster) else { return };
        if cluster.pools.len() > 1 && cluster.pools.get(cluster.primary) != Some(&key) {
            pool.is_fenced = true;
            self.ask_role(key, Purpose::Role { pool: key });
        }
    }

    /// A server that came back has told its role, or has gone again.
    pub(crate) fn found_role(&mut self, key: usize, result: &OwnResult) {
        if let Err(error) = self.take_answer_of_role(key, result)
            && let Some(pool) = self.pools.get_mut(key)
        {
            tracing::debug!(server = %pool.id, %error, "the server does not tell its role");
            // It is asked anew when it is back again.
            pool.is_up = false;
        }
    }

    /// Takes note of the answer to the question for a role.
    ///
    /// # Errors
    /// The server gave no sign of life. One that refuses the question gives one all the same.
    pub(crate) fn take_answer_of_role(&mut self, key: usize, result: &OwnResult) -> Result<(), Error> {
        match result {
            Ok(rows) => {
                if let Some(role) = rows.first().and_then(|row| Role::read(row)) {
                    self.take_role(key, role);
                }
                Ok(())
            }
            Err(Error::Server(error)) if !error.is_fatal() => {
                if let Some(pool) = self.pools.get_mut(key) {
                    pool.has_plain_role = true;
                    pool.is_fenced = false;
                }
                Ok(())
            }
            Err(error) => Err(error.clone()),
        }
    }

    /// A health check has found that a server gives no sign of life.
    pub(crate) fn found_unwell(&mut self, key: usize, error: &Error) {
        let Some((index, true)) = self.place_of(key) else { return };
        self.note_failure(index, &error.to_string());
        if error.kind() != ErrorKind::Authentication {
            self.suspect(key);
        }
    }
}
