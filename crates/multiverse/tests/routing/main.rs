//! Routing against a real server: what it refuses to a reader is never sent to a replica.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should panic")]

mod catalogue;
mod database;
mod misroute;
mod mutations;
mod reads;
mod schema;
mod writes;
