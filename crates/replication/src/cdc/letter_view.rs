//! Rows that were set aside, as an operator looks at them.

use data::{Result, Timestamp};
use serde::Serialize;

use super::control_tables::ControlTables;
use super::dead_letter::for_each_letter;
use crate::snapshot::End;

/// The rows of a rule that its target refused and that are set aside there.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters {
    /// How many there are.
    pub count: u64,
    /// Some of them.
    pub rows: Vec<DeadLetterView>,
}

/// A row that is set aside. Its values stay in the database.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetterView {
    /// The collection, as the rule names it.
    pub collection: String,
    /// Its primary key at the source, for a person.
    pub key: String,
    /// What was to be done with it.
    pub operation: String,
    /// Why the target refused it.
    pub error: String,
    /// How often it was tried.
    pub attempts: u64,
    /// When it was set aside, in ms since the epoch.
    pub first_at: i64,
    /// When it was last tried, in ms since the epoch.
    pub last_at: i64,
}

/// The rows that a reader has set aside, so many of them at the most.
pub(crate) async fn letters_of(target: &End, reader: &str, most: usize) -> Result<DeadLetters> {
    let mut letters = DeadLetters::default();
    let Some(control) = ControlTables::existing(target.tables()?).await? else { return Ok(letters) };
    for_each_letter(target, &control.dead_letter, reader, |fields, _| {
        letters.count += 1;
        if letters.rows.len() >= most {
            return;
        }
        let text = |name: &str| fields.text(name).unwrap_or_default().to_owned();
        letters.rows.push(DeadLetterView {
            collection: text("collection"),
            key: text("row_key"),
            operation: text("operation"),
            error: text("error"),
            attempts: fields.unsigned("attempts"),
            first_at: Timestamp(fields.integer("first_at")).millis(),
            last_at: Timestamp(fields.integer("last_at")).millis(),
        });
    })
    .await?;
    Ok(letters)
}
