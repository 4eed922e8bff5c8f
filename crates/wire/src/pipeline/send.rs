//! Writing requests: each is written whole, with its own Sync, or not at all.

use std::sync::Arc;

use bytes::BufMut;

use super::statements::PreparedResult;
use super::{Exchange, Pipeline, Protocol, Run, RunColumns};
use crate::error::Result;
use crate::protocol::frontend;

/// Execute of the unnamed portal to its end, and Sync.
const EXECUTE_AND_SYNC: &[u8] = b"E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04";

/// A statement with its parameters, as [`Pipeline::execute`] sends it.
#[derive(Debug, Clone, Copy)]
pub struct PipelinedStatement<'a> {
    /// A number that stands for the text and the parameter types, under which the statement is kept prepared; `None`
    /// to parse it for this run alone.
    pub key: Option<u64>,
    /// The text: one statement.
    pub sql: &'a str,
    /// The oids of the types of the first parameters; 0 and those left out are inferred by the server.
    pub parameter_types: &'a [u32],
    /// The middle of a Bind message: the number of parameter formats, the formats, the number of values, the values.
    pub parameters: &'a [u8],
}

impl Pipeline {
    /// Writes one statement with its parameters. The first run of a statement returns text; later runs return in
    /// binary form what is cheaper to read so.
    ///
    /// # Errors
    /// The statement is longer than the server accepts or holds a zero byte. Nothing was written.
    pub fn execute(&mut self, statement: &PipelinedStatement<'_>) -> Result<()> {
        self.execute_after(&[], statement)
    }

    /// Writes one statement with its parameters, and before it steps that run in the same transaction: when one of them
    /// fails, the statement does not run, and when the statement fails, the steps are undone. Only the results of the
    /// statement are reported. The keys of steps are not used: they are parsed for this run alone.
    ///
    /// # Errors
    /// As for [`Pipeline::execute`].
    pub fn execute_after(
        &mut self,
        steps: &[PipelinedStatement<'_>],
        statement: &PipelinedStatement<'_>,
    ) -> Result<()> {
        if self.statements.has_closing() {
            self.close_statements()?;
        }
        let mark = self.state.mark();
        let run = match self.write_steps(steps).and_then(|()| self.write_run(statement)) {
            Ok(run) => run,
            Err(error) => {
                self.state.rewind(mark);
                if let Some(key) = statement.key {
                    self.statements.remove(key);
                }
                return Err(error);
            }
        };
        self.state.outbound.put_slice(EXECUTE_AND_SYNC);
        self.state.begin_request();
        self.push(mark.length(), Protocol::Extended(run), steps.len());
        Ok(())
    }

    /// Writes statements by the simple protocol: there may be several, and all results are text.
    ///
    /// # Errors
    /// The text is longer than the server accepts or holds a zero byte. Nothing was written.
    pub fn execute_simple(&mut self, sql: &str) -> Result<()> {
        let mark = self.state.mark();
        self.state.simple_query(sql)?;
        self.push(mark.length(), Protocol::Simple, 0);
        Ok(())
    }

    fn push(&mut self, start: usize, protocol: Protocol, steps: usize) {
        self.queued_bytes += (self.state.outbound.len() - start) as u64;
        self.exchanges.push_back(Exchange { protocol, steps, end: self.queued_bytes, is_answered: false });
    }

    /// Writes statements without a Sync, so that what follows belongs to the same transaction.
    fn write_steps(&mut self, steps: &[PipelinedStatement<'_>]) -> Result<()> {
        let outbound = &mut self.state.outbound;
        for step in steps {
            frontend::parse("", step.sql, step.parameter_types, outbound)?;
            frontend::bind_ready("", step.parameters, &[0, 0], outbound)?;
            frontend::execute(outbound)?;
        }
        Ok(())
    }

    /// Writes Parse and Describe where they are needed, and Bind.
    fn write_run(&mut self, statement: &PipelinedStatement<'_>) -> Result<Run> {
        let PipelinedStatement { key, sql, parameter_types, parameters } = *statement;
        let key = key.filter(|_| self.statements.is_enabled());
        let outbound = &mut self.state.outbound;
        if let Some(key) = key
            && let Some(known) = self.statements.get(key)
        {
            let (formats, columns) = match &known.result {
                Some(PreparedResult { formats, columns: Some(columns), .. }) => {
                    (&**formats, RunColumns::Known(Arc::clone(columns)))
                }
                Some(PreparedResult { formats, .. }) => (&**formats, RunColumns::None),
                None => (&[0, 0][..], RunColumns::Awaited),
            };
            frontend::bind_ready(&known.name, parameters, formats, outbound)?;
            return Ok(Run { key: Some(key), parsing: false, parsed: true, bound: false, columns });
        }
        let name = key.map(|key| self.statements.insert(key)).unwrap_or_default();
        frontend::parse(&name, sql, parameter_types, outbound)?;
        frontend::describe_statement(&name, outbound)?;
        frontend::bind_ready(&name, parameters, &[0, 0], outbound)?;
        Ok(Run { key, parsing: true, parsed: false, bound: false, columns: RunColumns::Awaited })
    }

    /// Closes the statements that have given way. This comes before a request, not into it: the server passes over
    /// whatever follows an error up to the Sync, and these are never in the way of one.
    fn close_statements(&mut self) -> Result<()> {
        let before = self.state.outbound.len();
        for name in self.statements.take_closing() {
            frontend::close_statement(&name, &mut self.state.outbound)?;
        }
        self.queued_bytes += (self.state.outbound.len() - before) as u64;
        Ok(())
    }
}
