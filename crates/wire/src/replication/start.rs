//! START_REPLICATION: from where, of which publications, and in which form a slot is streamed.

use std::time::Duration;

use super::lsn::Lsn;
use super::stream::ReplicationStream;
use super::{quote, settings, version};
use crate::connection::Connection;
use crate::error::{Error, Result};

/// The time between status updates where the server does not demand a shorter one.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);
/// How long a server may be silent while something is expected of it.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);
/// A server that expects a sign of life within some time is given this many.
const SIGNS_OF_LIFE: u32 = 4;

/// What becomes of transactions that are too large for the server's memory (`logical_decoding_work_mem`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Streaming {
    /// The server writes them to its disk and sends them when they commit.
    #[default]
    Off,
    /// The server sends them in blocks while they run, from version 14 on. They may still be aborted.
    On,
    /// As `On`, with the position and the time of aborts, from version 16 on.
    Parallel,
}

/// Which changes are sent, by where they were first made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OriginFilter {
    /// All.
    #[default]
    Any,
    /// Only those made on this server: none that replication has brought there. From version 16 on.
    Local,
}

/// A stream of a logical slot, to be started with [`Connection::start_replication`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartReplication {
    /// The slot.
    pub slot: String,
    /// Where to begin: with the first transaction that commits after this position. The server begins no earlier
    /// than at what the slot has confirmed.
    pub start: Lsn,
    /// The publications, at least one.
    pub publications: Vec<String>,
    /// What becomes of large transactions.
    pub streaming: Streaming,
    /// Whether messages of `pg_logical_emit_message` are sent, from version 14 on.
    pub messages: bool,
    /// Whether values come in the binary format of their types where they have one, from version 14 on.
    pub binary: bool,
    /// Which changes are sent.
    pub origin: OriginFilter,
    /// The longest time between status updates. They are more frequent where the server's `wal_sender_timeout`
    /// makes it necessary.
    pub status_interval: Duration,
    /// How long the server may be silent while the caller waits for the next message, before the stream counts
    /// as dead; `None` for no limit. The server is asked for an answer in good time before.
    pub silence_limit: Option<Duration>,
}

impl StartReplication {
    /// A stream of whole transactions from where the slot stands, without logical messages, with text values.
    pub fn new<P: Into<String>>(slot: impl Into<String>, publications: impl IntoIterator<Item = P>) -> Self {
        Self {
            slot: slot.into(),
            start: Lsn::ZERO,
            publications: publications.into_iter().map(Into::into).collect(),
            streaming: Streaming::Off,
            messages: false,
            binary: false,
            origin: OriginFilter::Any,
            status_interval: STATUS_INTERVAL,
            silence_limit: Some(SILENCE_LIMIT),
        }
    }

    fn command(&self, major_version: u32) -> Result<String> {
        if self.publications.is_empty() {
            return Err(Error::config("publications", "at least one is needed"));
        }
        let protocol = match self.streaming {
            Streaming::Off => 1,
            Streaming::On => 2,
            Streaming::Parallel => 4,
        };
        let mut options = vec![
            ("proto_version", format!("'{protocol}'")),
            ("publication_names", quote::name_list(&self.publications)),
        ];
        let mut add = |option, needed, value: &str| {
            options.push((option, quote::string(value)));
            version::require(major_version, needed, option)
        };
        match self.streaming {
            Streaming::Off => {}
            Streaming::On => add("streaming", 14, "on")?,
            Streaming::Parallel => add("streaming", 16, "parallel")?,
        }
        if self.messages {
            add("messages", 14, "true")?;
        }
        if self.binary {
            add("binary", 14, "true")?;
        }
        if self.origin == OriginFilter::Local {
            add("origin", 16, "none")?;
        }
        let options: Vec<String> = options.iter().map(|(name, value)| format!("{name} {value}")).collect();
        Ok(format!(
            "START_REPLICATION SLOT {} LOGICAL {} ({})",
            quote::name(&self.slot),
            self.start,
            options.join(", ")
        ))
    }

    fn update_interval(&self, wal_sender_timeout: Option<Duration>) -> Duration {
        let needed = wal_sender_timeout.map_or(Duration::MAX, |timeout| timeout / SIGNS_OF_LIFE);
        self.status_interval.min(needed).max(Duration::from_millis(1))
    }
}

impl Connection {
    /// Starts the stream of a logical slot. The connection must be one of replication, and becomes the stream.
    ///
    /// Values come as text in one form whatever the server's settings: dates in ISO style, times with time zone in
    /// UTC, intervals in PostgreSQL's style, the shortest exact form of floating-point numbers, bytea in
    /// hexadecimal. To be called within a tokio runtime, on which the stream keeps a task until it ends.
    ///
    /// # Errors
    /// [`Error::Config`] where the server is too old for an option; [`Error::Server`]: SQLSTATE 42704 where there
    /// is no such slot, 55006 where it is in use, 55000 where it has been invalidated. A publication that does not
    /// exist is reported by the stream, when the first change is decoded.
    pub async fn start_replication(mut self, start: &StartReplication) -> Result<ReplicationStream> {
        let command = start.command(self.server_major_version()?)?;
        settings::fix_text_forms(&mut self).await?;
        let interval = start.update_interval(settings::wal_sender_timeout(&mut self).await?);
        let (reader, writer) = self.copy_both(&command).await?;
        Ok(ReplicationStream::new(reader, writer, interval, start.silence_limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_options() -> StartReplication {
        StartReplication {
            start: "1/A0".parse().unwrap(),
            streaming: Streaming::Parallel,
            messages: true,
            binary: true,
            origin: OriginFilter::Local,
            ..StartReplication::new("s", ["p", "q'\""])
        }
    }

    #[test]
    fn only_what_is_asked_for_is_in_the_command() {
        assert_eq!(
            StartReplication::new("s\"", ["p"]).command(10).unwrap(),
            "START_REPLICATION SLOT \"s\"\"\" LOGICAL 0/0 (proto_version '1', publication_names '\"p\"')"
        );
        assert_eq!(
            all_options().command(16).unwrap(),
            "START_REPLICATION SLOT \"s\" LOGICAL 1/A0 (proto_version '4', publication_names '\"p\",\"q''\"\"\"', \
             streaming 'parallel', messages 'true', binary 'true', origin 'none')"
        );
        let on = StartReplication { streaming: Streaming::On, ..StartReplication::new("s", ["p"]) };
        let command = on.command(14).unwrap();
        assert!(command.contains("proto_version '2'") && command.contains("streaming 'on'"), "{command}");
    }

    #[test]
    fn options_that_the_server_does_not_have_are_refused() {
        assert!(all_options().command(15).is_err());
        let plain = || StartReplication::new("s", ["p"]);
        for (start, needed) in [
            (StartReplication { streaming: Streaming::On, ..plain() }, 14),
            (StartReplication { messages: true, ..plain() }, 14),
            (StartReplication { binary: true, ..plain() }, 14),
            (StartReplication { origin: OriginFilter::Local, ..plain() }, 16),
        ] {
            assert!(start.command(needed - 1).is_err() && start.command(needed).is_ok(), "{start:?}");
        }
        assert!(StartReplication::new("s", [""; 0]).command(15).is_err());
    }

    #[test]
    fn updates_are_sent_well_within_the_servers_timeout() {
        let start = StartReplication::new("s", ["p"]);
        let seconds = Duration::from_secs;
        assert_eq!(start.update_interval(Some(seconds(60))), seconds(10));
        assert_eq!(start.update_interval(Some(seconds(1))), Duration::from_millis(250));
        assert_eq!(start.update_interval(None), seconds(10));
    }
}
