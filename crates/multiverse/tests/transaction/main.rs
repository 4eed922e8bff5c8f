//! Transactions over several clusters, whose processes and servers are killed at every step.
//!
//! A process of this program makes transfers between three servers. It is stopped at a step of the protocol; then it, or a
//! server, is killed. In the end every transfer stands on all servers or on none, and nothing is left prepared.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod kills;
mod ledger;
mod recovery;
mod servers;
#[path = "../../../wire/tests/support/mod.rs"]
#[allow(dead_code, reason = "the tests of another crate use the rest")]
mod support;
mod transfers;
