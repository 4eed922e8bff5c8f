//! Reading answers: the bytes received so far, as events of the oldest unanswered request.

use std::sync::Arc;

use bytes::Buf;

use super::{Exchange, Pipeline, PipelineEvent, Protocol, RunColumns};
use crate::error::{Error, Result, ServerError};
use crate::protocol::frame::{self, HEADER, Phase};
use crate::protocol::message::BackendMessage;
use crate::protocol::row::{Column, RowBatch};
use crate::protocol::state::{Event, TransactionStatus};

impl Pipeline {
    /// The next event in the bytes received so far, or `None` when more are needed.
    ///
    /// # Errors
    /// The server broke the protocol, or has ended the session and said why. The connection is of no more use.
    pub fn next_event(&mut self) -> Result<Option<PipelineEvent>> {
        loop {
            // The messages of nearly every answer are read in place; the others by the protocol's own reader.
            let event = match self.state.inbound.first() {
                None => return Ok(None),
                Some(b'D') => {
                    let rows = RowBatch::take(&mut self.state.inbound)?;
                    if rows.is_empty() {
                        return Ok(None);
                    }
                    self.rows(rows)?
                }
                Some(b'2') => {
                    if !self.take_frame(|_| Ok(()))? {
                        return Ok(None);
                    }
                    self.bound()?
                }
                Some(b'C') => {
                    let mut tag = std::mem::take(&mut self.command_tag);
                    tag.clear();
                    let taken = self.take_frame(|body| {
                        let text = body
                            .strip_suffix(&[0])
                            .ok_or_else(|| Error::protocol("CommandComplete has no end"))?;
                        tag.push_str(&String::from_utf8_lossy(text));
                        Ok(())
                    });
                    self.command_tag = tag;
                    if !taken? {
                        return Ok(None);
                    }
                    self.completed()?
                }
                Some(_) => match self.state.next_event()? {
                    None => return Ok(None),
                    Some(Event::Rows(rows)) => self.rows(rows)?,
                    Some(Event::Message(message)) => self.take_message(message)?,
                },
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// Hands the body of the next frame to `read` and passes over it. Returns whether the frame has arrived.
    fn take_frame(&mut self, read: impl FnOnce(&[u8]) -> Result<()>) -> Result<bool> {
        let Some((_, length)) = frame::peek(&self.state.inbound, Phase::Running)? else { return Ok(false) };
        let Some(body) = self.state.inbound.get(HEADER..HEADER + length) else { return Ok(false) };
        read(body)?;
        self.state.inbound.advance(HEADER + length);
        Ok(true)
    }

    fn take_message(&mut self, message: BackendMessage) -> Result<Option<PipelineEvent>> {
        match message {
            BackendMessage::ReadyForQuery(status) => self.ready(status).map(Some),
            BackendMessage::ErrorResponse(error) => self.failed(error).map(Some),
            BackendMessage::ParseComplete => {
                match self.exchanges.front_mut() {
                    Some(Exchange { steps: 1.., .. }) => {}
                    Some(Exchange { protocol: Protocol::Extended(run), .. }) if run.parsing => {
                        run.parsed = true
                    }
                    _ => return Err(self.unexpected("ParseComplete")),
                }
                Ok(None)
            }
            BackendMessage::RowDescription(columns) => self.described(Some(columns.into())),
            BackendMessage::NoData => self.described(None),
            // A notice has come before it.
            BackendMessage::BindComplete => self.bound(),
            BackendMessage::CommandComplete { tag } => {
                self.command_tag = tag;
                self.completed()
            }
            BackendMessage::EmptyQueryResponse => {
                self.command_tag.clear();
                self.completed()
            }
            BackendMessage::CopyInResponse(_) => {
                self.refuse_copy_in()?;
                Ok(None)
            }
            // As node-postgres, the data of COPY TO STDOUT is passed over: only its command tag is a result.
            BackendMessage::CopyOutResponse(_)
            | BackendMessage::CopyData(_)
            | BackendMessage::CopyDone
            | BackendMessage::ParameterDescription(_)
                if !self.exchanges.is_empty() =>
            {
                Ok(None)
            }
            // A statement that gave way is closed between requests.
            BackendMessage::CloseComplete => Ok(None),
            other => Err(self.unexpected(other.name())),
        }
    }

    fn rows(&mut self, rows: RowBatch) -> Result<Option<PipelineEvent>> {
        match self.exchanges.front() {
            Some(Exchange { steps: 1.., .. }) => Ok(None),
            Some(_) => Ok(Some(PipelineEvent::Rows(rows))),
            None => Err(self.unexpected("DataRow")),
        }
    }

    /// BindComplete: the statement runs, so its rows may be announced.
    fn bound(&mut self) -> Result<Option<PipelineEvent>> {
        match self.exchanges.front_mut() {
            Some(Exchange { steps: 1.., .. }) => Ok(None),
            Some(Exchange { protocol: Protocol::Extended(run), .. }) => {
                run.bound = true;
                match &run.columns {
                    RunColumns::Known(columns) => Ok(Some(PipelineEvent::Columns(Arc::clone(columns)))),
                    RunColumns::None => Ok(None),
                    RunColumns::Awaited => Err(self.unexpected("BindComplete")),
                }
            }
            _ => Err(self.unexpected("BindComplete")),
        }
    }

    /// What a statement returns: announced by itself in the simple protocol, kept for the runs in the extended one.
    fn described(&mut self, columns: Option<Arc<[Column]>>) -> Result<Option<PipelineEvent>> {
        let key = match self.exchanges.front_mut() {
            Some(Exchange { protocol: Protocol::Simple, .. }) => {
                return Ok(columns.map(PipelineEvent::Columns));
            }
            Some(Exchange { protocol: Protocol::Extended(run), .. }) if run.parsing => {
                run.columns = columns.clone().map_or(RunColumns::None, RunColumns::Known);
                run.key
            }
            _ => return Err(self.unexpected("RowDescription")),
        };
        let Some(key) = key else { return Ok(None) };
        // Runs sent before the description was known asked for text too.
        for exchange in self.exchanges.iter_mut().skip(1) {
            if let Protocol::Extended(run) = &mut exchange.protocol
                && run.key == Some(key)
                && matches!(run.columns, RunColumns::Awaited)
            {
                run.columns = columns.clone().map_or(RunColumns::None, RunColumns::Known);
            }
        }
        self.statements.describe(key, columns);
        Ok(None)
    }

    fn completed(&mut self) -> Result<Option<PipelineEvent>> {
        match self.exchanges.front_mut() {
            Some(Exchange { steps: steps @ 1.., .. }) => {
                *steps -= 1;
                return Ok(None);
            }
            Some(exchange) => exchange.is_answered = true,
            None => return Err(self.unexpected("CommandComplete")),
        }
        if matches!(self.command_tag.as_str(), "DISCARD ALL" | "DEALLOCATE ALL") {
            self.statements.clear();
        }
        Ok(Some(PipelineEvent::Complete))
    }

    fn ready(&mut self, status: TransactionStatus) -> Result<PipelineEvent> {
        // Nobody asks for the notices that come with answers; they must not pile up.
        if self.state.has_notices() {
            self.state.take_notices();
        }
        match self.exchanges.pop_front() {
            Some(Exchange { is_answered: true, .. }) => Ok(PipelineEvent::Ready(status)),
            _ => Err(self.unexpected("ReadyForQuery")),
        }
    }

    fn failed(&mut self, error: Box<ServerError>) -> Result<PipelineEvent> {
        let Some(exchange) = self.exchanges.front_mut() else {
            return Err(Error::Server(error));
        };
        exchange.is_answered = true;
        let mut is_stale = false;
        if let Protocol::Extended(run) = &exchange.protocol
            && let Some(key) = run.key
        {
            // What was not parsed, or not described, cannot be run again by its name.
            let is_unusable = run.parsing && (!run.parsed || matches!(run.columns, RunColumns::Awaited));
            // One that was refused before it ran may only have kept parameters of types that its columns no longer have.
            let is_outdated = error.invalidates_statement() || (!run.bound && error.may_be_of_former_types());
            is_stale = !run.parsing && exchange.steps == 0 && is_outdated;
            if is_unusable || is_stale {
                self.statements.remove(key);
            }
        }
        // The server says why it ends the session, and then ends it.
        if error.is_fatal() {
            return Err(Error::Server(error));
        }
        Ok(PipelineEvent::Failed { error, is_stale })
    }

    /// Ends a COPY FROM STDIN: there is no data for it.
    fn refuse_copy_in(&mut self) -> Result<()> {
        let is_extended = match self.exchanges.front() {
            Some(Exchange { protocol: Protocol::Extended(_), .. }) => true,
            Some(Exchange { protocol: Protocol::Simple, .. }) => false,
            None => return Err(self.unexpected("CopyInResponse")),
        };
        let before = self.state.outbound.len();
        self.state.copy_fail("No source stream defined");
        if is_extended {
            // The server has passed over the Sync sent with the request while it waited for data.
            self.state.repeat_sync();
        }
        self.queued_bytes += (self.state.outbound.len() - before) as u64;
        Ok(())
    }
}
