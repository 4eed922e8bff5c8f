//! The behaviour of the binary log as a log of changes, on a real MariaDB.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should panic")]

mod columns;
mod failover;
#[path = "../trigger_log/follower.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod follower;
mod losses;
#[path = "../sql_dialects/mariadb_server.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod mariadb_server;
mod refusals;
mod source;
mod transactions;
mod values;

/// The log that is followed.
pub(crate) const LOG_KIND: data::log::LogKind = data::log::LogKind::Log;
