//! The state of one connection as the protocol sees it, and the bytes on their way in and out.

use std::collections::{HashMap, VecDeque};

use bytes::{Bytes, BytesMut};

use super::frame::{self, HEADER, Phase};
use super::frontend;
use super::message::BackendMessage;
use super::row::RowBatch;
use crate::error::{Error, Result};
use crate::notice::{Notification, ServerNotice};

/// Notices kept until they are asked for; beyond it the oldest are dropped and counted.
const MOST_NOTICES: usize = 1_000;
/// Notifications kept until they are asked for; beyond it the oldest are dropped and counted.
const MOST_NOTIFICATIONS: usize = 10_000;

/// The room made for one read.
const READ_BYTES: usize = 64 << 10;
/// The most room made at once for a long message, whatever length it announces.
const LONGEST_READ: usize = 1 << 20;
/// A buffer that a long message has grown beyond this is given back when it is empty.
pub(crate) const KEPT_BUFFER: usize = 1 << 20;

/// Where the session stands in its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// In none.
    Idle,
    /// In one.
    InTransaction,
    /// In one that failed: only ROLLBACK is accepted.
    Failed,
}

/// What the server's bytes amount to, without what [`ProtocolState`] keeps for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message other than a row.
    Message(BackendMessage),
    /// One row or more.
    Rows(RowBatch),
}

/// A place in the outbound bytes to return to when a request cannot be written to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    length: usize,
    outstanding: usize,
}

impl Mark {
    /// The bytes that were outbound.
    pub(crate) fn length(&self) -> usize {
        self.length
    }
}

/// The protocol's state of one connection.
///
/// Many requests may be outstanding at once: `outstanding` counts the ReadyForQuery still to come.
pub(crate) struct ProtocolState {
    pub(crate) inbound: BytesMut,
    pub(crate) outbound: BytesMut,
    phase: Phase,
    outstanding: usize,
    transaction_status: TransactionStatus,
    parameters: HashMap<String, String>,
    process_id: i32,
    secret_key: Bytes,
    notices: VecDeque<ServerNotice>,
    dropped_notices: u64,
    notifications: VecDeque<Notification>,
    dropped_notifications: u64,
    /// Where the length field of the CopyData message that is still being filled lies in `outbound`.
    open_copy_data: Option<usize>,
}

impl ProtocolState {
    /// The state before anything was sent.
    pub(crate) fn new() -> Self {
        Self {
            inbound: BytesMut::new(),
            outbound: BytesMut::new(),
            phase: Phase::Startup,
            outstanding: 0,
            transaction_status: TransactionStatus::Idle,
            parameters: HashMap::new(),
            process_id: 0,
            secret_key: Bytes::new(),
            notices: VecDeque::new(),
            dropped_notices: 0,
            notifications: VecDeque::new(),
            dropped_notifications: 0,
            open_copy_data: None,
        }
    }

    /// Adds bytes that came from the server. The driver reads into `inbound` itself.
    #[cfg(test)]
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.inbound.extend_from_slice(bytes);
    }

    /// The next event in the bytes received so far, or `None` when more are needed.
    ///
    /// Notices, notifications, parameters and the key for cancelling are kept and give no event.
    ///
    /// # Errors
    /// The bytes are not what the protocol allows. Nothing after them can be understood.
    pub(crate) fn next_event(&mut self) -> Result<Option<Event>> {
        loop {
            if self.phase == Phase::Running && self.inbound.first() == Some(&b'D') {
                let rows = RowBatch::take(&mut self.inbound)?;
                return Ok(if rows.is_empty() { None } else { Some(Event::Rows(rows)) });
            }
            let Some(frame) = frame::split(&mut self.inbound, self.phase)? else { return Ok(None) };
            if let Some(message) = self.absorb(BackendMessage::parse(frame)?)? {
                return Ok(Some(Event::Message(message)));
            }
        }
    }

    /// Keeps what concerns the connection and passes on what concerns a request.
    fn absorb(&mut self, message: BackendMessage) -> Result<Option<BackendMessage>> {
        match message {
            BackendMessage::NoticeResponse(notice) => {
                if self.notices.len() >= MOST_NOTICES {
                    self.notices.pop_front();
                    self.dropped_notices += 1;
                }
                self.notices.push_back(*notice);
            }
            BackendMessage::NotificationResponse(notification) => {
                if self.notifications.len() >= MOST_NOTIFICATIONS {
                    self.notifications.pop_front();
                    self.dropped_notifications += 1;
                }
                self.notifications.push_back(notification);
            }
            BackendMessage::ParameterStatus { name, value } => {
                self.parameters.insert(name, value);
                // A server reports some twenty parameters; one that invents them without end is none.
                if self.parameters.len() > 1_000 {
                    return Err(Error::protocol("the server reports more parameters than there are"));
                }
            }
            BackendMessage::BackendKeyData { process_id, secret_key } => {
                self.process_id = process_id;
                self.secret_key = secret_key;
            }
            BackendMessage::NegotiateProtocolVersion { minor, .. } => {
                tracing::debug!(minor, "the server speaks an older minor version of the protocol");
            }
            BackendMessage::ReadyForQuery(status) => {
                self.outstanding = self
                    .outstanding
                    .checked_sub(1)
                    .ok_or_else(|| Error::protocol("ReadyForQuery without a request"))?;
                self.transaction_status = status;
                self.phase = Phase::Running;
                return Ok(Some(BackendMessage::ReadyForQuery(status)));
            }
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    /// Moves the payloads of the CopyData messages at the start of the inbound bytes to `chunk`, until it
    /// holds `target` bytes. Returns how many messages were moved.
    pub(crate) fn take_copy_data(&mut self, chunk: &mut BytesMut, target: usize) -> Result<usize> {
        let mut end = 0;
        let mut messages = 0;
        while chunk.len() < target {
            let rest = self.inbound.get(end..).unwrap_or_default();
            if rest.first() != Some(&b'd') {
                break;
            }
            let Some((_, length)) = frame::peek(rest, self.phase)? else { break };
            let Some(payload) = rest.get(HEADER..HEADER + length) else { break };
            chunk.extend_from_slice(payload);
            end += HEADER + length;
            messages += 1;
        }
        bytes::Buf::advance(&mut self.inbound, end);
        Ok(messages)
    }

    /// Takes the payload of the CopyData message at the start of the inbound bytes, where there is one and it has
    /// arrived completely.
    pub(crate) fn next_copy_data(&mut self) -> Result<Option<Bytes>> {
        if self.inbound.first() != Some(&b'd') {
            return Ok(None);
        }
        Ok(frame::split(&mut self.inbound, self.phase)?.map(|frame| frame.body))
    }

    /// Makes room for the next read in the inbound bytes.
    pub(crate) fn make_room(&mut self) {
        if self.inbound.is_empty() && self.inbound.capacity() > KEPT_BUFFER {
            self.inbound = BytesMut::new();
        }
        if self.inbound.capacity() - self.inbound.len() < READ_BYTES / 4 {
            self.inbound.reserve(self.missing().clamp(READ_BYTES, LONGEST_READ));
        }
    }

    /// Whether COPY data has arrived in part, or nothing has arrived at all.
    pub(crate) fn awaits_copy_data(&self) -> bool {
        matches!(self.inbound.first(), None | Some(b'd'))
    }

    /// The bytes the next frame still lacks, 1 where not even that is known.
    pub(crate) fn missing(&self) -> usize {
        match frame::peek(&self.inbound, self.phase) {
            Ok(Some((_, length))) => (HEADER + length).saturating_sub(self.inbound.len()).max(1),
            _ => 1,
        }
    }

    /// Counts a request that was written into `outbound` with its Sync.
    pub(crate) fn begin_request(&mut self) {
        self.outstanding += 1;
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { length: self.outbound.len(), outstanding: self.outstanding }
    }

    /// Takes back what was written since `mark`, of which nothing may have been sent.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.outbound.truncate(mark.length);
        self.outstanding = mark.outstanding;
    }

    pub(crate) fn start(&mut self, parameters: &[(&str, &str)]) -> Result<()> {
        frontend::startup(parameters, &mut self.outbound)?;
        self.outstanding += 1;
        Ok(())
    }

    pub(crate) fn simple_query(&mut self, sql: &str) -> Result<()> {
        let mark = self.mark();
        if let Err(error) = frontend::query(sql, &mut self.outbound) {
            self.rewind(mark);
            return Err(error);
        }
        self.outstanding += 1;
        Ok(())
    }

    pub(crate) fn sync(&mut self) {
        frontend::sync(&mut self.outbound);
        self.outstanding += 1;
    }

    /// Sends the Sync that a COPY FROM STDIN swallowed while it waited for data, so it is not counted again.
    pub(crate) fn repeat_sync(&mut self) {
        frontend::sync(&mut self.outbound);
    }

    /// Appends to the CopyData message being filled. COPY data has no message boundaries, so small pieces
    /// share one message.
    pub(crate) fn copy_data(&mut self, mut data: &[u8]) {
        // One message must stay far below the server's limit of 1 GiB.
        const LONGEST: usize = 16 << 20;
        while !data.is_empty() {
            let start = *self.open_copy_data.get_or_insert_with(|| {
                self.outbound.extend_from_slice(b"d\0\0\0\0");
                self.outbound.len() - 4
            });
            let room = LONGEST.saturating_sub(self.outbound.len() - start);
            let (piece, rest) = data.split_at(data.len().min(room));
            self.outbound.extend_from_slice(piece);
            data = rest;
            if self.outbound.len() - start >= LONGEST {
                self.close_copy_data();
            }
        }
    }

    /// Ends the CopyData message being filled; must precede everything else that is written or sent.
    pub(crate) fn close_copy_data(&mut self) {
        if let Some(start) = self.open_copy_data.take() {
            frontend::patch_length(&mut self.outbound, start);
        }
    }

    pub(crate) fn copy_done(&mut self) {
        self.close_copy_data();
        frontend::copy_done(&mut self.outbound);
    }

    pub(crate) fn copy_fail(&mut self, message: &str) {
        self.close_copy_data();
        frontend::copy_fail(message, &mut self.outbound);
    }

    /// The ReadyForQuery still to come.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Where the session stood in its transaction at the last ReadyForQuery.
    pub(crate) fn transaction_status(&self) -> TransactionStatus {
        self.transaction_status
    }

    /// The last value the server reported of one of its parameters, as `server_version`.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// The process id of the session.
    pub(crate) fn process_id(&self) -> i32 {
        self.process_id
    }

    pub(crate) fn secret_key(&self) -> Bytes {
        self.secret_key.clone()
    }

    /// Takes the notices collected, and the number of those dropped because nobody took them.
    pub(crate) fn take_notices(&mut self) -> (Vec<ServerNotice>, u64) {
        (std::mem::take(&mut self.notices).into(), std::mem::take(&mut self.dropped_notices))
    }

    /// Takes the notifications collected, and the number of those dropped because nobody took them.
    pub(crate) fn take_notifications(&mut self) -> (Vec<Notification>, u64) {
        (std::mem::take(&mut self.notifications).into(), std::mem::take(&mut self.dropped_notifications))
    }

    pub(crate) fn has_notifications(&self) -> bool {
        !self.notifications.is_empty()
    }

    pub(crate) fn has_notices(&self) -> bool {
        !self.notices.is_empty()
    }
}

impl Default for ProtocolState {
    fn default() -> Self {
        Self::new()
    }
}
