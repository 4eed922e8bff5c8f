//! Relations between entities, alike on every dialect: reading the other side, passing writes on to it, and what a
//! delete means to the rows that refer to the deleted one.
//!
//! An [`Entity`] without relations costs nothing here: each operation is the dialect's own, without a further query or
//! a transaction.

mod cascade;
mod consequence;
mod delete;
mod entity;
mod link;
mod load;
mod mirror;
mod nested;
mod pending;
mod plan;
mod projection;
mod schemas;
mod unit;
mod works;
mod write;

pub use entity::Entity;
