//! Queries of the engine itself: they take the way of every request, to a server of the engine's choice.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;
use wire::{Column, RowBatch};

use super::event::Event;
use crate::answer::{Answer, Completed, Flow};
use crate::error::Error;

/// The rows of a query, as text.
pub(crate) type OwnResult = Result<Vec<Vec<Option<String>>>, Error>;

/// What a query of the engine is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// One server of a health check.
    Health { check: u64, pool: usize },
    /// What a server that came back is.
    Role { pool: usize },
    /// How far a standby has replayed.
    Replay { pool: usize },
    /// Which changes a server shows, of a log that is followed.
    Shown { number: u64, pool: u64 },
    /// A part of a cluster's catalogue.
    Catalogue { cluster: usize, reading: u64 },
}

/// Collects the rows of a query and tells the engine.
pub(crate) struct OwnAnswer {
    pub(crate) purpose: Purpose,
    pub(crate) started: Instant,
    pub(crate) rows: Vec<Vec<Option<String>>>,
    pub(crate) events: UnboundedSender<Event>,
}

impl Answer for OwnAnswer {
    fn columns(&mut self, _: &Arc<[Column]>) {}

    fn rows(&mut self, rows: RowBatch) -> Flow {
        // The queries are written so that every column is text.
        let text = |cell: Option<&[u8]>| cell.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        self.rows.extend(rows.iter().map(|row| row.iter().map(text).collect()));
        Flow::Continue
    }

    fn result(&mut self, _: &str) {}

    fn end(self: Box<Self>, outcome: Result<Completed, Error>) {
        let Self { purpose, started, rows, events } = *self;
        let result = outcome.map(|_| rows);
        // When the engine has ended nobody asks any more.
        let _ = events.send(Event::OwnQuery { purpose, started, result });
    }
}
