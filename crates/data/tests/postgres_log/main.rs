//! PostgreSQL's log as a log of changes, against a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should panic")]

mod changes;
mod opening;
mod partition;
mod position;
mod refusals;
mod source;
mod trigger;
mod values;
