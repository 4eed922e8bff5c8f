//! The function of an application that changes the rows of a rule on their way.

use std::time::Duration;

use async_trait::async_trait;
use data::{Error, ErrorKind, Record, Result, Value};
use napi::bindgen_prelude::FnArgs;
use replication::{RowOperation, RowToTransform, RowTransform, TransformOutcome};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::foreign_dialect::ForeignFunction;
use crate::value::{read_list, write_records};

/// A JavaScript function that takes what is known of rows as JSON, and their keys and the rows themselves as the text of
/// rows. It does not keep the process alive. Its promise does not reject: that it failed for a row is an answer.
pub(crate) type TransformFunction = ForeignFunction;

/// What is known of rows.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Header<'a> {
    collection: &'a str,
    operations: Vec<RowOperation>,
    /// How many milliseconds one of them may take.
    limit_ms: u64,
}

#[derive(Deserialize)]
struct Answer {
    outcomes: Vec<Outcome>,
    /// For each row that is kept, the fields that have new values.
    rows: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Outcome {
    /// The row is kept, without these fields.
    Kept {
        /// The fields.
        removed: Vec<String>,
    },
    Dropped,
    Failed {
        /// Why.
        reason: String,
    },
}

/// Passes rows through a JavaScript function.
pub(crate) struct JsTransform(TransformFunction);

impl JsTransform {
    pub(crate) fn new(function: TransformFunction) -> Self {
        Self(function)
    }
}

#[async_trait]
impl RowTransform for JsTransform {
    async fn apply(
        &self,
        collection: &str,
        rows: &[RowToTransform],
        limit: Duration,
    ) -> Result<Vec<TransformOutcome>> {
        let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let operations = rows.iter().map(|row| row.operation).collect();
        let header = Header { collection, operations, limit_ms };
        let header = serde_json::to_string(&header)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("rows as JSON: {error}")))?;
        let records: Vec<Record> =
            rows.iter().flat_map(|given| [given.key.clone(), given.row.clone()]).collect();
        let call = self.0.call_async_catch(FnArgs::from((header, write_records(&records)?))).await;
        let promise = call.map_err(|error| gone(&error))?;
        let text = promise.await.map_err(|error| gone(&error))?;
        let Answer { outcomes, rows: changed } =
            serde_json::from_str(&text).map_err(|error| malformed(&error.to_string()))?;
        let mut changed = read_list(Some(changed.get()))?.into_iter();
        let mut answers = Vec::with_capacity(outcomes.len());
        for (given, outcome) in rows.iter().zip(outcomes) {
            answers.push(match outcome {
                Outcome::Dropped => TransformOutcome::Dropped,
                Outcome::Failed { reason } => TransformOutcome::Failed(reason),
                Outcome::Kept { removed } => match changed.next() {
                    Some(Value::Object(fields)) => {
                        TransformOutcome::Row(merged(&given.row, &removed, *fields))
                    }
                    _ => return Err(malformed("no row for one that is kept")),
                },
            });
        }
        Ok(answers)
    }
}

/// The row with what has changed of it. Values that were left alone keep what JavaScript has no form for.
fn merged(row: &Record, removed: &[String], fields: Record) -> Record {
    let mut merged = row.clone();
    merged.retain(|name, _| !removed.contains(name));
    merged.extend(fields);
    merged
}

/// The function cannot be reached: its environment is ending, or it broke its promise not to throw.
fn gone(error: &napi::Error) -> Error {
    Error::new(ErrorKind::Closed, format!("the transform cannot be called: {}", error.reason))
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the transform was answered with {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_alone_is_kept_as_it_was() {
        let row = Record::from_iter([
            ("id".to_owned(), Value::Int64(1)),
            ("price".to_owned(), Value::Decimal("1.50".into())),
            ("secret".to_owned(), Value::from("x")),
        ]);
        let fields = Record::from_iter([("name".to_owned(), Value::from("a"))]);
        let merged = merged(&row, &["secret".to_owned()], fields);
        let expected =
            [("id", Value::Int64(1)), ("price", Value::Decimal("1.50".into())), ("name", Value::from("a"))];
        assert_eq!(merged, Record::from_iter(expected.map(|(name, value)| (name.to_owned(), value))));
    }
}
