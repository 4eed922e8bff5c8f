//! PostgreSQL wire client: a protocol core without I/O, and a tokio driver over it.
//!
//! [`ConnectConfig`] is read from any connection string libpq takes; [`Connection::connect`] opens one
//! connection. Everything on a connection takes `&mut self`: the connection owns its socket and starts no
//! background task, other than a [replication stream](replication::ReplicationStream). A future dropped half-way leaves the connection usable: what it left unread is drained
//! when the connection is used next.
//!
//! ```no_run
//! # async fn example() -> Result<(), wire::Error> {
//! use wire::{ConnectConfig, Connection, Param};
//!
//! let config = ConnectConfig::parse("postgresql://alice@db.example:5432/shop?sslmode=verify-full")?;
//! let mut connection = Connection::connect(&config).await?;
//! let result = connection.query("SELECT name FROM item WHERE id = $1", &[Param::text("7")]).await?;
//! for row in result.rows.iter() {
//!     println!("{:?}", row.get_str(0)?);
//! }
//! # Ok(()) }
//! ```
//!
//! The layers, from the bytes up: the module `protocol` turns bytes into events and knows no socket; `socket` is
//! TCP or a unix socket, with or without TLS; [`Connection`] drives both. [`copy`] reads and writes the binary
//! COPY format; [`replication`] streams changes and decodes them.

mod config;
mod connection;
pub mod copy;
mod error;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod notice;
mod pipeline;
mod protocol;
pub mod replication;
mod socket;
mod tls;
mod transfer;

pub use config::{
    ChannelBinding, ConnectConfig, Host, KeepAlive, ReplicationMode, RootCertificates, SslMode,
    TargetSessionAttributes,
};
pub use connection::{
    BatchError, CancelToken, Connection, CopyIn, CopyOut, IsolationLevel, Param, QueryOptions, QueryResult,
    ResultFormat, RowStream, Statement,
};
pub use error::{ConfigError, Error, ErrorKind, Result, ServerError};
pub use notice::{Notification, ServerNotice};
pub use pipeline::{Pipeline, PipelineEvent, PipelinedStatement, TextTypes};
pub use protocol::row::{Column, Format, Row, RowBatch, Rows};
pub use protocol::state::TransactionStatus;
