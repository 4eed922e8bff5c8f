//! Cancelling what another connection is doing.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::protocol::frontend;
use crate::socket::{Encryption, Endpoint, Socket};

/// How long cancelling may take where the configuration sets no limit to connecting.
const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

/// The right to cancel the running request of one connection. It can be cloned and sent anywhere.
#[derive(Clone)]
pub struct CancelToken {
    endpoint: Endpoint,
    encryption: Encryption,
    limit: Duration,
    process_id: i32,
    secret_key: Bytes,
}

impl CancelToken {
    /// The token of a connection whose key the server has not told yet.
    pub(crate) fn unknown(
        endpoint: &Endpoint,
        encryption: &Encryption,
        socket: &Socket,
        limit: Option<Duration>,
    ) -> Self {
        // The key is a secret: where the connection is encrypted, it is never sent in the clear.
        let encryption = match encryption {
            Encryption::Offered(client) | Encryption::Required(client) if socket.is_encrypted() => {
                Encryption::Required(client.clone())
            }
            _ => Encryption::None,
        };
        Self {
            endpoint: endpoint.clone(),
            encryption,
            limit: limit.unwrap_or(DEFAULT_LIMIT),
            process_id: 0,
            secret_key: Bytes::new(),
        }
    }

    pub(super) fn complete(&mut self, process_id: i32, secret_key: Bytes) {
        self.process_id = process_id;
        self.secret_key = secret_key;
    }

    /// Asks the server to cancel what the connection is doing now, on a connection of its own, and waits until
    /// the server has taken note.
    ///
    /// The server does not say whether there was anything to cancel. A request that was running fails with
    /// SQLSTATE 57014.
    ///
    /// # Errors
    /// The server could not be reached, or not in time.
    pub async fn cancel(&self) -> Result<()> {
        if self.secret_key.is_empty() {
            return Err(Error::Closed("the server gave no key for cancelling".to_owned()));
        }
        timeout(self.limit, self.send())
            .await
            .unwrap_or_else(|_| Err(Error::Timeout { context: "cancelling".to_owned(), limit: self.limit }))
    }

    async fn send(&self) -> Result<()> {
        let mut socket = Socket::connect(&self.endpoint, &self.encryption).await?;
        let mut request = BytesMut::new();
        frontend::cancel_request(self.process_id, &self.secret_key, &mut request);
        let failed = |error| Error::io("cancelling", error);
        socket.write_all(&request).await.map_err(failed)?;
        socket.flush().await.map_err(failed)?;
        // The server closes the connection, without a word, after it has sent the signal. It does so without
        // ending TLS in order, so an error here says no more than the end of the stream would.
        let _ = socket.read(&mut [0; 1]).await;
        Ok(())
    }
}

impl std::fmt::Debug for CancelToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CancelToken").field("process_id", &self.process_id).finish_non_exhaustive()
    }
}
