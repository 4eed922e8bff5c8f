//! Database commands that the application writes itself, as JSON text.

use mongodb::bson::{Document, RawDocument, RawDocumentBuf};

use super::MongoDialect;
use super::bson::object_of;
use super::cursor::{Failure, each_document, settle};
use super::error::{malformed, number, write_errors};
use super::record::shown;
use crate::error::{Error, ErrorKind, Result};
use crate::record::Record;
use crate::value::{Object, Value};

/// The commands whose reply is a cursor.
const CURSOR_COMMANDS: [&str; 4] = ["find", "aggregate", "listCollections", "listIndexes"];

impl MongoDialect {
    /// Runs a command such as `{"find": "users", "filter": {"age": {"$gt": 18}}}`, in which Extended JSON like
    /// `{"$oid": "…"}` and `{"$date": "…"}` gives the types that JSON lacks. A cursor is read to its end; every other
    /// command gives its reply as the only record.
    pub(super) async fn run_for_records(&self, statement: &str, params: &[Value]) -> Result<Vec<Record>> {
        let command = parse(statement, params)?;
        let name = command_name(&command)?;
        if !CURSOR_COMMANDS.contains(&name.as_str()) {
            let reply = self.run(command).await?;
            let reply = RawDocumentBuf::try_from(&reply).map_err(malformed)?;
            return Ok(vec![shown_record(&reply)?]);
        }
        let mut loan = self.lend().await?;
        self.connection.trace(&name, "");
        let mut records = Vec::new();
        let take = |document: &RawDocument| {
            records.push(shown_record(document)?);
            Ok(())
        };
        let run = self.connection.database.run_cursor_command(command);
        let outcome = match loan.session() {
            None => match run.batch().await {
                Ok(cursor) => each_document(cursor, take).await,
                Err(error) => Err(Failure::Driver(error)),
            },
            Some(session) => match run.session(&mut *session).batch().await {
                Ok(mut cursor) => each_document(cursor.stream(session), take).await,
                Err(error) => Err(Failure::Driver(error)),
            },
        };
        settle(&mut loan, outcome)?;
        Ok(records)
    }

    /// Runs a command and gives how many documents it changed.
    pub(super) async fn run_for_count(&self, statement: &str, params: &[Value]) -> Result<u64> {
        let command = parse(statement, params)?;
        let reply = self.run(command).await?;
        let inserted_by_upsert = reply.get_array("upserted").map_or(0, Vec::len);
        let last = || reply.get_document("lastErrorObject").ok().and_then(|last| number(last, "n"));
        let count = match number(&reply, "nModified") {
            Some(modified) => modified.saturating_add(i64::try_from(inserted_by_upsert).unwrap_or(i64::MAX)),
            None => number(&reply, "n").or_else(last).unwrap_or(0),
        };
        Ok(u64::try_from(count).unwrap_or(0))
    }

    async fn run(&self, mut command: Document) -> Result<Document> {
        let name = command_name(&command)?;
        let mut loan = self.lend().await?;
        self.connection.trace(&name, "");
        let is_write = ["insert", "update", "delete", "findAndModify"].contains(&name.as_str());
        if loan.session().is_none()
            && is_write
            && !command.contains_key("writeConcern")
            && let Some(concern) = self.connection.write_concern()
        {
            command.insert("writeConcern", concern);
        }
        let mut run = self.connection.database.run_command(command);
        if let Some(session) = loan.session() {
            run = run.session(session);
        }
        let reply = run.await;
        let reply = loan.check(reply)?;
        match write_errors(&reply).into_iter().next() {
            None => Ok(reply),
            Some(failed) => {
                loan.abort();
                Err(failed.error)
            }
        }
    }
}

fn parse(statement: &str, params: &[Value]) -> Result<Document> {
    if !params.is_empty() {
        return Err(Error::new(
            ErrorKind::Config,
            "params: a MongoDB command takes none; write the values into its JSON text",
        ));
    }
    serde_json::from_str(statement).map_err(|error| {
        Error::new(ErrorKind::Statement, format!("expected a database command as a JSON object: {error}"))
    })
}

/// The name of a command is its first key.
fn command_name(command: &Document) -> Result<String> {
    let name = command.keys().next().cloned();
    name.ok_or_else(|| Error::new(ErrorKind::Statement, "expected a database command, found an empty object"))
}

fn shown_record(document: &RawDocument) -> Result<Record> {
    Ok(object_of(document)?.into_iter().map(|(name, value)| (name, shown(value))).collect::<Object>())
}
