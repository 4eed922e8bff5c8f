//! Several statements in one round trip.

use std::collections::HashMap;
use std::sync::Arc;

use super::Connection;
use super::parameter::{Param, QueryOptions, given_types};
use super::query::{QueryResult, Sent};
use super::statement::{Statement, cache_key};
use crate::error::{Error, Result};
use crate::protocol::state::TransactionStatus;

/// The failure of a batch: none of its statements took effect, unless some ended transactions themselves.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct BatchError {
    /// The statement that failed, from 0; `None` where it was none in particular.
    pub index: Option<usize>,
    /// Why.
    #[source]
    pub error: Error,
}

impl From<BatchError> for Error {
    fn from(failure: BatchError) -> Self {
        failure.error
    }
}

/// A statement of a batch: parsed with it, known from before, or parsed with an earlier one of the same batch.
enum InBatch {
    Own(Sent),
    SameAs(String),
}

impl Connection {
    /// Runs statements in their order, in one round trip. Outside a transaction they form one of their own:
    /// either all take effect or none.
    ///
    /// # Errors
    /// The first statement that fails, with its index; those after it are not run.
    pub async fn query_batch(
        &mut self,
        statements: &[(&str, &[Param<'_>])],
    ) -> Result<Vec<QueryResult>, BatchError> {
        self.query_batch_with(statements, &QueryOptions::default()).await
    }

    /// As [`Connection::query_batch`], with options that hold for every statement.
    ///
    /// # Errors
    /// As for [`Connection::query_batch`].
    pub async fn query_batch_with(
        &mut self,
        statements: &[(&str, &[Param<'_>])],
        options: &QueryOptions,
    ) -> Result<Vec<QueryResult>, BatchError> {
        let mut is_first = true;
        loop {
            let mut results = Vec::with_capacity(statements.len());
            let error = match self.run_batch(statements, options, &mut results).await {
                Ok(()) => return Ok(results),
                Err(error) => error,
            };
            let index = (results.len() < statements.len()).then_some(results.len());
            if !(is_first && self.can_repeat(&error, index, statements, &results)) {
                return Err(BatchError { index, error });
            }
            is_first = false;
        }
    }

    /// Whether the batch failed only because a statement kept from before has become unusable, and all that
    /// ran before it was rolled back.
    fn can_repeat(
        &mut self,
        error: &Error,
        index: Option<usize>,
        statements: &[(&str, &[Param<'_>])],
        results: &[QueryResult],
    ) -> bool {
        let Some((sql, parameters)) = index.and_then(|index| statements.get(index)) else { return false };
        let ends_transaction = |result: &QueryResult| {
            let tag = result.command_tag.as_str();
            ["COMMIT", "ROLLBACK", "PREPARE TRANSACTION"].iter().any(|command| tag.starts_with(command))
        };
        error.server().is_some_and(|error| error.invalidates_statement())
            && self.statements.remove(&cache_key(sql, &given_types(parameters)))
            && self.transaction_status() == TransactionStatus::Idle
            && !results.iter().any(ends_transaction)
    }

    async fn run_batch(
        &mut self,
        statements: &[(&str, &[Param<'_>])],
        options: &QueryOptions,
        results: &mut Vec<QueryResult>,
    ) -> Result<()> {
        self.ready().await?;
        if statements.is_empty() {
            return Ok(());
        }
        let sent = self.write(|connection| connection.write_batch(statements, options))?;
        self.state.sync();
        let read = self.read_batch(sent, options, results).await;
        self.end(read).await
    }

    fn write_batch(
        &mut self,
        statements: &[(&str, &[Param<'_>])],
        options: &QueryOptions,
    ) -> Result<Vec<InBatch>> {
        let mut parsing: HashMap<String, String> = HashMap::new();
        let mut sent = Vec::with_capacity(statements.len());
        for (sql, parameters) in statements {
            let types = given_types(parameters);
            let key = cache_key(sql, &types);
            let statement = match parsing.get(key.as_ref()) {
                Some(name) => {
                    self.write_execution(name, parameters, &options.result_format)?;
                    InBatch::SameAs(key.into_owned())
                }
                None => {
                    let statement = self.write_statement(sql, &types, options.cache)?;
                    self.write_execution(statement.name(), parameters, &options.result_format)?;
                    if let Sent::Parsing { name, key } = &statement
                        && !name.is_empty()
                    {
                        parsing.insert(key.clone(), name.clone());
                    }
                    InBatch::Own(statement)
                }
            };
            sent.push(statement);
        }
        Ok(sent)
    }

    async fn read_batch(
        &mut self,
        sent: Vec<InBatch>,
        options: &QueryOptions,
        results: &mut Vec<QueryResult>,
    ) -> Result<()> {
        let mut parsed: HashMap<String, Arc<Statement>> = HashMap::new();
        let last = sent.len().saturating_sub(1);
        for (index, sent) in sent.into_iter().enumerate() {
            let statement = match sent {
                InBatch::SameAs(key) => parsed
                    .get(&key)
                    .cloned()
                    .ok_or_else(|| Error::protocol("a statement of the batch was not parsed"))?,
                InBatch::Own(sent) => {
                    let key = match &sent {
                        Sent::Parsing { key, .. } => Some(key.clone()),
                        Sent::Known(_) => None,
                    };
                    let statement = self.read_statement(sent).await?;
                    parsed.extend(key.map(|key| (key, Arc::clone(&statement))));
                    statement
                }
            };
            self.read_bind_complete().await?;
            let columns = statement.columns_in(&options.result_format);
            results.push(self.read_result(columns, index == last).await?);
        }
        Ok(())
    }
}
