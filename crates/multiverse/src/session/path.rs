//! The search path of a connection: a schema first, then the path that the connection has by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;
use wire::{PipelinedStatement, TransactionStatus};

use crate::engine::{Core, Token};
use crate::error::Error;
use crate::pool::{PooledConnection, Work};
use crate::request::BindParameters;

/// The number of a path that is not known. No schema's path has it.
pub(crate) const UNKNOWN: u32 = u32::MAX;
/// Back to the path that the connection has by itself.
const RESET: &str = "RESET search_path";
/// The schema before the present path, which is the connection's own by now. The server passes over a schema that does not
/// exist, and finds it as soon as it does: asking whether it exists would be right only until somebody makes it.
const PREPEND: &str = "SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', \
     pg_catalog.quote_ident($1), NULLIF(pg_catalog.current_setting('search_path'), '')), false)";

/// Search paths by number: 0 is the connection's own, each other one has a schema first.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    numbers: HashMap<Arc<str>, u32, RandomState>,
    schemas: Vec<Arc<str>>,
}

impl Paths {
    /// The number of the path with this schema first.
    pub(crate) fn number(&mut self, schema: &Arc<str>) -> u32 {
        if let Some(number) = self.numbers.get(schema) {
            return *number;
        }
        self.schemas.push(Arc::clone(schema));
        let number = self.schemas.len() as u32;
        self.numbers.insert(Arc::clone(schema), number);
        number
    }

    fn schema(&self, path: u32) -> Option<&Arc<str>> {
        self.schemas.get((path as usize).checked_sub(1)?)
    }

    /// Hands on the statements that bring a connection to `path`. `is_reset`: it has its own path now.
    pub(crate) fn with_steps<T>(
        &self,
        is_reset: bool,
        path: u32,
        act: impl FnOnce(&[PipelinedStatement<'_>]) -> T,
    ) -> T {
        let step = |sql, parameter_types, parameters| PipelinedStatement {
            key: None,
            sql,
            parameter_types,
            parameters,
        };
        let none = BindParameters::none();
        let reset = step(RESET, &[], none.section());
        let Some(schema) = self.schema(path) else { return act(&[reset]) };
        let parameters = BindParameters::from_texts(&[Some(schema)]);
        let prepend = step(PREPEND, &[25], parameters.section());
        if is_reset { act(&[prepend]) } else { act(&[reset, prepend]) }
    }

    /// Writes what brings a free connection to `path`. The request itself is sent only once that has succeeded, as it
    /// must never run under another path.
    pub(crate) fn write_switch(
        &self,
        connection: &mut PooledConnection,
        request: usize,
        path: u32,
        now: Instant,
    ) -> wire::Result<()> {
        let schema = self.schema(path);
        if connection.path != 0 || schema.is_none() {
            connection.pipeline.execute_simple(RESET)?;
            connection.push(Work::Path { request, path, is_last: schema.is_none() }, now);
        }
        if let Some(schema) = schema {
            let parameters = BindParameters::from_texts(&[Some(schema)]);
            connection.pipeline.execute(&PipelinedStatement {
                key: None,
                sql: PREPEND,
                parameter_types: &[25],
                parameters: parameters.section(),
            })?;
            connection.push(Work::Path { request, path, is_last: true }, now);
        }
        connection.is_exclusive = true;
        Ok(())
    }
}

impl Core {
    /// A step towards a search path has ended.
    pub(crate) fn path_step_done(&mut self, token: Token, key: usize, path: u32, is_last: bool) {
        let Some(pending) = self.requests.get_mut(key) else { return };
        if !is_last && pending.failure.is_none() {
            return;
        }
        let is_wanted = pending.answer.is_some();
        let failure = pending.failure.take();
        let Some(connection) = self.connection(token) else { return };
        if failure.is_none() {
            connection.path = path;
            connection.has_path_of_transaction |=
                connection.pipeline.transaction_status() != TransactionStatus::Idle;
            if is_wanted && is_last {
                if let Err(error) = self.send_after_switch(token, key) {
                    self.stop_running(token);
                    self.end(key, Err(Error::Request(error.into())));
                }
                return;
            }
        } else {
            // Which path it has now is not known.
            connection.is_outdated = true;
            if !is_last {
                // The step after this one still has an answer to come, and ends the request.
                if let (Some(pending), Some(failure)) = (self.requests.get_mut(key), failure) {
                    pending.failure = Some(failure);
                }
                return;
            }
        }
        self.stop_running(token);
        match failure {
            Some(failure) if is_wanted => self.end(key, Err(Error::Server(failure.error))),
            _ => self.forget(key),
        }
    }

    pub(super) fn stop_running(&mut self, token: Token) {
        if let Some(pool) = self.pools.get_mut(token.pool) {
            pool.running = pool.running.saturating_sub(1);
        }
    }
}
