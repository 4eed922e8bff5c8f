//! How far a reader was told, by transactions and within one, so that another stream can go on from there.

use crate::error::{Error, ErrorKind, Result};
use crate::log::{LogEvent, Position};

/// How far a reader was told.
pub(super) struct Progress {
    /// Behind the last whole transaction.
    boundary: Position,
    open: Option<OpenTransaction>,
    /// What a stream that was begun anew tells once more.
    repeated: Option<OpenTransaction>,
}

/// A transaction of which a part was told.
#[derive(Debug, Clone)]
struct OpenTransaction {
    id: String,
    changes: usize,
}

impl Progress {
    pub(super) fn from(boundary: Position) -> Self {
        Self { boundary, open: None, repeated: None }
    }

    /// Behind the last whole transaction that was told.
    pub(super) fn boundary(&self) -> &Position {
        &self.boundary
    }

    /// Whether no transaction was told in part.
    pub(super) fn is_between_transactions(&self) -> bool {
        self.open.is_none()
    }

    /// From now on events come from a stream that begins at the boundary.
    pub(super) fn begin_anew(&mut self) {
        self.repeated.clone_from(&self.open);
    }

    /// Notes an event; without what was told before.
    ///
    /// # Errors
    /// [`ErrorKind::Connection`] if the stream does not repeat what was told before.
    pub(super) fn take(&mut self, event: LogEvent) -> Result<Option<LogEvent>> {
        let event = match self.repeated.take() {
            None => event,
            Some(repeated) => match self.repeat(repeated, event)? {
                None => return Ok(None),
                Some(event) => event,
            },
        };
        match &event {
            LogEvent::Begin(transaction) => {
                self.open = Some(OpenTransaction { id: transaction.id.clone(), changes: 0 });
            }
            LogEvent::Changes(changes) => {
                if let Some(open) = &mut self.open {
                    open.changes += changes.len();
                }
            }
            LogEvent::Message { .. } => {}
            LogEvent::Commit(position) | LogEvent::Idle(position) => {
                self.open = None;
                self.boundary.clone_from(position);
            }
        }
        Ok(Some(event))
    }

    /// What an event tells beyond what was told before.
    fn repeat(&mut self, mut repeated: OpenTransaction, event: LogEvent) -> Result<Option<LogEvent>> {
        match event {
            LogEvent::Begin(transaction) if transaction.id == repeated.id => {
                self.repeated = Some(repeated);
                Ok(None)
            }
            LogEvent::Changes(mut changes) => {
                let told = repeated.changes.min(changes.len());
                changes.drain(..told);
                repeated.changes -= told;
                if repeated.changes > 0 {
                    self.repeated = Some(repeated);
                }
                Ok((!changes.is_empty()).then_some(LogEvent::Changes(changes)))
            }
            LogEvent::Message { .. } | LogEvent::Idle(_) => {
                self.repeated = Some(repeated);
                Ok(None)
            }
            LogEvent::Commit(position) if repeated.changes == 0 => Ok(Some(LogEvent::Commit(position))),
            LogEvent::Begin(_) | LogEvent::Commit(_) => {
                let message = "a stream of changes that was begun anew tells something else than before";
                Err(Error::new(ErrorKind::Connection, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::log::{Change, LoggedTransaction, Operation};
    use crate::table::Table;
    use crate::value::{Timestamp, Value};

    fn begin(id: &str) -> LogEvent {
        LogEvent::Begin(LoggedTransaction {
            position: Position::at(7),
            committed_at: Timestamp(0),
            id: id.to_owned(),
            origin: None,
        })
    }

    fn changes(keys: &[i64]) -> LogEvent {
        let table =
            Table { name: "t".to_owned(), columns: Vec::new(), key: Vec::new(), references: Vec::new() };
        let table = Arc::new(table);
        let change = |key: &i64| Change {
            table: Arc::clone(&table),
            operation: Operation::Delete { key: vec![Value::from(*key)] },
        };
        LogEvent::Changes(keys.iter().map(change).collect())
    }

    fn told(progress: &mut Progress, event: LogEvent) -> String {
        match progress.take(event).unwrap() {
            Some(LogEvent::Changes(changes)) => changes.len().to_string(),
            Some(LogEvent::Begin(_)) => "begin".to_owned(),
            Some(LogEvent::Commit(position)) => format!("commit {}", position.order),
            Some(_) => "other".to_owned(),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn a_stream_begun_anew_within_a_transaction_tells_the_rest_of_it() {
        let mut progress = Progress::from(Position::at(1));
        assert_eq!(told(&mut progress, begin("a")), "begin");
        assert_eq!(told(&mut progress, changes(&[1, 2, 3])), "3");
        assert!(!progress.is_between_transactions());
        progress.begin_anew();
        assert_eq!(told(&mut progress, LogEvent::Idle(Position::at(2))), "nothing");
        assert_eq!(told(&mut progress, begin("a")), "nothing");
        assert_eq!(told(&mut progress, changes(&[1, 2])), "nothing");
        // It may break off once more meanwhile.
        progress.begin_anew();
        assert_eq!(told(&mut progress, begin("a")), "nothing");
        assert_eq!(told(&mut progress, changes(&[1, 2, 3, 4])), "1");
        assert_eq!(told(&mut progress, changes(&[5])), "1");
        assert_eq!(told(&mut progress, LogEvent::Commit(Position::at(7))), "commit 7");
        assert_eq!(progress.boundary(), &Position::at(7));
        progress.begin_anew();
        assert_eq!(told(&mut progress, begin("b")), "begin");
    }

    #[test]
    fn a_stream_that_tells_another_transaction_is_an_error() {
        for other in [begin("b"), LogEvent::Commit(Position::at(7))] {
            let mut progress = Progress::from(Position::at(1));
            progress.take(begin("a")).unwrap();
            progress.take(changes(&[1])).unwrap();
            progress.begin_anew();
            assert!(progress.take(other).is_err_and(|error| error.kind().is_retryable()));
        }
    }
}
