//! Transactions in which replication changes the documents of several collections.
//!
//! MongoDB has no savepoints: an error of a row ends the whole transaction on the server. What was done before is kept, so
//! that another transaction can be begun in its place and brought to where the first one stood.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::{Document, RawDocument};

use super::bulk::{Commands, Failed, Owner, run, run_within};
use super::connect::Connection;
use super::cursor::each_document;
use super::error::driver_error;
use super::scan::{Decoder, Unknown};
use super::transaction::{commit, name_of, start, start_within};
use super::write;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::Discriminator;
use crate::table::{Row, RowBatch, RowPatch, Table, TableTransaction};
use crate::value::Value;

/// The server ends a transaction that is older than a minute, unless it is told otherwise. One that it no longer knows
/// after this time has met with that.
const LIFETIME: Duration = Duration::from_secs(55);
/// The codes under which a server tells that it no longer knows a transaction, or has ended it because of its age.
const ENDED: [&str; 2] = ["251", "290"];

/// A transaction of a session; on a server that has none, calls that are carried out at once.
pub(super) struct CollectionTransaction {
    connection: Arc<Connection>,
    session: Option<Session>,
}

struct Session {
    session: ClientSession,
    /// When its first command was sent.
    begun: Option<Instant>,
    /// What was done so far.
    done: Vec<Done>,
    /// Whether the server has ended the transaction, and it was not brought back.
    is_lost: bool,
}

/// A call that has succeeded.
enum Done {
    Written(Commands),
    Read {
        collection: String,
        query: Document,
        /// What tells whether the same is read again.
        digest: u64,
    },
}

impl CollectionTransaction {
    pub(super) async fn begin(connection: Arc<Connection>) -> Result<Self> {
        let session = if connection.has_transactions {
            let session = start(&connection, None).await?;
            Some(Session { session, begun: None, done: Vec::new(), is_lost: false })
        } else {
            None
        };
        Ok(Self { connection, session })
    }

    fn owner(&self) -> Owner {
        if self.session.is_some() { Owner::Caller } else { Owner::Call }
    }

    /// Which of the rows' keys of 24 hexadecimal digits belong to documents whose `_id` is that text.
    async fn text_keys(&mut self, table: &Table, rows: &[Row]) -> Result<HashSet<String>> {
        let mut found = HashSet::new();
        if let Some(query) = write::text_keys_query(table, rows) {
            self.read(table, query, |document| write::note_text_key(document, &mut found)).await?;
        }
        Ok(found)
    }

    /// Runs the commands of a call.
    async fn write(
        &mut self,
        verb: &str,
        table: &Table,
        commands: Commands,
    ) -> Result<Vec<Document>, Failed> {
        self.connection.check_open()?;
        self.connection.trace(verb, &table.name);
        match &mut self.session {
            Some(session) => session.write(&self.connection, commands).await,
            None => run(&self.connection, &commands).await,
        }
    }

    /// Hands on the documents of a query.
    async fn read(
        &mut self,
        table: &Table,
        query: Document,
        take: impl FnMut(&RawDocument) -> Result<()> + Send,
    ) -> Result<()> {
        self.connection.check_open()?;
        self.connection.trace("find", &table.name);
        match &mut self.session {
            Some(session) => session.read(&self.connection, &table.name, query, take).await,
            None => {
                let collection = self.connection.collection(&table.name);
                let find = collection.find(query).batch().await;
                Ok(each_document(find.map_err(|error| driver_error(&error))?, take).await?)
            }
        }
    }
}

impl Session {
    fn check(&mut self) -> Result<()> {
        if self.is_lost {
            let message = "the server has ended the transaction after an error; start it again";
            return Err(Error::new(ErrorKind::Transaction, message));
        }
        self.begun.get_or_insert_with(Instant::now);
        Ok(())
    }

    async fn write(&mut self, connection: &Connection, commands: Commands) -> Result<Vec<Document>, Failed> {
        self.check()?;
        // Whoever waits for this may give up meanwhile.
        self.is_lost = true;
        match run_within(connection, &commands, &mut self.session).await {
            Ok(replies) => {
                self.is_lost = false;
                self.done.push(Done::Written(commands));
                Ok(replies)
            }
            Err(failed) if failed.error.kind().is_row_level() => {
                self.bring_back(connection).await?;
                Err(failed)
            }
            Err(failed) => Err(Failed { error: self.in_time(failed.error), ..failed }),
        }
    }

    async fn read(
        &mut self,
        connection: &Connection,
        collection: &str,
        query: Document,
        take: impl FnMut(&RawDocument) -> Result<()> + Send,
    ) -> Result<()> {
        self.check()?;
        self.is_lost = true;
        let digest = match read_within(connection, collection, &query, &mut self.session, take).await {
            Ok(digest) => digest,
            Err(error) => return Err(self.in_time(error)),
        };
        self.is_lost = false;
        self.done.push(Done::Read { collection: collection.to_owned(), query, digest });
        Ok(())
    }

    /// Begins another transaction in place of the one that the server has ended, and does in it what was done before.
    async fn bring_back(&mut self, connection: &Connection) -> Result<()> {
        // The server has done this already; only the driver's own bookkeeping is left to end.
        drop(self.session.abort_transaction().await);
        start_within(&mut self.session, None).await?;
        self.begun = Some(Instant::now());
        for done in &self.done {
            match done {
                Done::Written(commands) => {
                    let again = run_within(connection, commands, &mut self.session).await;
                    // Others have got in between.
                    again.map_err(|failed| match failed.error {
                        error if error.kind().is_row_level() => changed_meanwhile().with_source(error),
                        error => error,
                    })?;
                }
                Done::Read { collection, query, digest } => {
                    let again =
                        read_within(connection, collection, query, &mut self.session, |_| Ok(())).await?;
                    if again != *digest {
                        return Err(changed_meanwhile());
                    }
                }
            }
        }
        self.is_lost = false;
        Ok(())
    }

    /// The error, or what lies behind it: that the transaction has become too old.
    fn in_time(&self, error: Error) -> Error {
        let is_old = self.begun.is_some_and(|begun| begun.elapsed() >= LIFETIME);
        if !(is_old && ENDED.contains(&error.code())) {
            return error;
        }
        let message = "the transaction took longer than the server lets one live \
                       (transactionLifetimeLimitSeconds, a minute by default); make it smaller";
        Error::new(ErrorKind::Timeout, message).with_source(error)
    }
}

fn changed_meanwhile() -> Error {
    let message =
        "documents were changed by others while the transaction was begun anew after an error of a row";
    Error::new(ErrorKind::Conflict, message)
}

/// Hands on the documents of a query; a digest of them that does not depend on their order.
async fn read_within(
    connection: &Connection,
    collection: &str,
    query: &Document,
    session: &mut ClientSession,
    mut take: impl FnMut(&RawDocument) -> Result<()> + Send,
) -> Result<u64> {
    let mut digest = 0u64;
    let collection = connection.collection(collection);
    let find = collection.find(query.clone()).session(&mut *session);
    let mut cursor = find.batch().await.map_err(|error| driver_error(&error))?;
    each_document(cursor.stream(session), |document| {
        let mut hasher = DefaultHasher::new();
        document.as_bytes().hash(&mut hasher);
        digest = digest.wrapping_add(hasher.finish());
        take(document)
    })
    .await?;
    Ok(digest)
}

#[async_trait]
impl TableTransaction for CollectionTransaction {
    fn is_atomic(&self) -> bool {
        self.session.is_some()
    }

    fn session(&self) -> Option<String> {
        self.session.as_ref().and_then(|session| name_of(&session.session))
    }

    /// Documents that are changed after they were read collide with the changes of others.
    async fn fetch(&mut self, table: &Table, keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        let decoder = Decoder::new(table, Unknown::Ignore)?;
        let mut rows = Vec::with_capacity(keys.len());
        let take = |document: &RawDocument| {
            rows.push(decoder.row(document)?);
            Ok(())
        };
        self.read(table, write::keys_query(table, keys)?, take).await?;
        Ok(rows)
    }

    async fn insert(&mut self, table: &Table, batch: &RowBatch) -> Result<()> {
        let rows = write::decoded(batch)?;
        if !self.text_keys(table, rows).await?.is_empty() {
            // Under the same text as an object id they would stand beside those.
            let message = "documents with the same key exist, whose keys are text";
            return Err(Error::new(ErrorKind::UniqueViolation, message));
        }
        let commands = write::inserts(&self.connection, self.owner(), table, rows)?;
        let written = self.write("insert", table, commands).await;
        written.map(drop).map_err(|failed| write::in_row(failed, table, rows))
    }

    async fn upsert(&mut self, table: &Table, rows: &[Row]) -> Result<()> {
        let text_keys = self.text_keys(table, rows).await?;
        let commands = write::replacements(&self.connection, self.owner(), table, rows, &text_keys)?;
        let written = self.write("update", table, commands).await;
        written.map(drop).map_err(|failed| write::in_row(failed, table, rows))
    }

    async fn patch(&mut self, table: &Table, patches: &[RowPatch]) -> Result<u64> {
        let commands = write::changes(&self.connection, self.owner(), table, patches)?;
        let written = self.write("update", table, commands).await;
        Ok(write::count(&written.map_err(|failed| failed.error)?))
    }

    async fn delete(&mut self, table: &Table, keys: &[Vec<Value>]) -> Result<u64> {
        let commands = write::deletions(&self.connection, self.owner(), table, keys)?;
        let written = self.write("delete", table, commands).await;
        Ok(write::count(&written.map_err(|failed| failed.error)?))
    }

    async fn truncate(&mut self, table: &Table) -> Result<Option<u64>> {
        let commands = write::truncation(&self.connection, self.owner(), table)?;
        let written = self.write("delete", table, commands).await;
        Ok(Some(write::count(&written.map_err(|failed| failed.error)?)))
    }

    async fn delete_part(&mut self, table: &Table, part: &Discriminator) -> Result<u64> {
        let commands = write::part_deletion(&self.connection, self.owner(), table, part)?;
        let written = self.write("delete", table, commands).await;
        Ok(write::count(&written.map_err(|failed| failed.error)?))
    }

    async fn delete_beginning(&mut self, table: &Table, beginning: &Discriminator) -> Result<u64> {
        let commands = write::beginning_deletion(&self.connection, self.owner(), table, beginning)?;
        let written = self.write("delete", table, commands).await;
        Ok(write::count(&written.map_err(|failed| failed.error)?))
    }

    async fn commit(mut self: Box<Self>) -> Result<()> {
        let Some(session) = &mut self.session else { return Ok(()) };
        if session.begun.is_none() {
            return Ok(());
        }
        session.check()?;
        let committed = commit(&mut session.session).await;
        committed.map_err(|error| session.in_time(error))
    }

    async fn rollback(mut self: Box<Self>) -> Result<()> {
        if let Some(session) = &mut self.session {
            // If the server has ended it already, there is nothing left to abort, nor if it cannot be reached.
            drop(session.session.abort_transaction().await);
        }
        Ok(())
    }
}
