//! The Node-API addon: converts between JavaScript and the core crates, and decides nothing itself.
//!
//! The modules of exported classes are public, because JavaScript is who uses them.

pub mod change_feed;
pub mod connection_config;
pub mod copy;
pub mod dialect;
mod error;
mod foreign_dialect;
pub mod js_text;
pub mod lz4;
pub mod multiverse;
pub mod replication;
mod rewind;
mod rule_observer;
mod rule_transform;
pub mod schema;
mod statement_log;
mod task;
pub mod topology;
mod value;
