//! Logical replication: the commands of a replication connection, the stream of a slot, and pgoutput decoded.
//!
//! A connection opened with [`ReplicationMode::Database`](crate::ReplicationMode::Database) takes the commands
//! [`identify_system`](crate::Connection::identify_system),
//! [`create_replication_slot`](crate::Connection::create_replication_slot),
//! [`drop_replication_slot`](crate::Connection::drop_replication_slot) and
//! [`start_replication`](crate::Connection::start_replication). The last one turns it into a
//! [`ReplicationStream`], whose payloads a [`pgoutput::Decoder`] reads.
//!
//! ```no_run
//! # async fn example() -> Result<(), wire::Error> {
//! use wire::replication::pgoutput::{Decoder, Message};
//! use wire::replication::{StartReplication, StreamMessage};
//! use wire::{ConnectConfig, Connection, ReplicationMode};
//!
//! let mut config = ConnectConfig::parse("postgresql://alice@db.example/shop")?;
//! config.replication = Some(ReplicationMode::Database);
//! let connection = Connection::connect(&config).await?;
//! let mut stream = connection.start_replication(&StartReplication::new("slot", ["publication"])).await?;
//! let mut decoder = Decoder::new();
//! loop {
//!     if let StreamMessage::Data(data) = stream.next().await? {
//!         match decoder.decode(data.payload)? {
//!             Message::Insert(insert) => println!("{}: {:?}", insert.relation.name, insert.new),
//!             Message::Commit(commit) => stream.acknowledge(commit.end_lsn),
//!             _ => {}
//!         }
//!     }
//! }
//! # }
//! ```

mod acknowledge;
mod lsn;
mod message;
pub mod pgoutput;
mod quote;
mod settings;
mod slot;
mod start;
mod status;
mod stream;
mod system;
mod timestamp;
mod version;

pub use acknowledge::Acknowledger;
pub use lsn::{Lsn, ParseLsnError};
pub use message::{Keepalive, StreamMessage, XLogData};
pub use slot::{CreateSlot, CreatedSlot, PhysicalSlot, SnapshotAction};
pub use start::{OriginFilter, StartReplication, Streaming};
pub use stream::ReplicationStream;
pub use system::{FormerTimeline, SystemIdentity};
pub use timestamp::Timestamp;
