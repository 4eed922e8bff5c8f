//! Mode cdc: changes are read from the log of the source and applied to the target, each transaction once in effect.
//!
//! A run holds the [`lease`], opens the log ([`run`]), copies what is there already ([`first_sync`]) and then streams
//! ([`stream`]): transactions become batches ([`batch`]) whose changes are brought down to one per key ([`coalesce`]) and
//! written together with the [`checkpoint`]. What fails is tried again ([`runner`]) or set aside ([`dead_letter`]).

mod apply;
mod batch;
mod begin;
mod checkpoint;
mod choose;
mod chunk;
mod coalesce;
mod conflict;
mod control_tables;
mod dead_letter;
mod event;
mod feed;
mod first_sync;
mod heal;
mod history;
mod holding;
mod identity;
mod isolate;
mod lease;
mod leftover;
mod letter_view;
mod monitor;
mod pace;
mod prepare;
mod provenance;
mod pump;
mod removal;
mod routes;
mod run;
mod runner;
mod schema_change;
mod settle;
mod shared;
mod standing;
mod stream;
mod succession;
mod truncation;
mod two_way;
mod typed_json;
mod watermark;

pub use event::{CdcEvent, CdcObserver, Resolution, RowOperation, RowVersions, RuleState, RunState};
pub use feed::{ChangeFeed, FeedChange};
pub(crate) use holding::{Held, HeldName};
pub(crate) use identity::digest;
pub(crate) use letter_view::letters_of;
pub use letter_view::{DeadLetterView, DeadLetters};
pub use removal::RemovalFailure;
pub(crate) use removal::{remove_reader, remove_rows};
pub(crate) use runner::{Goal, Runner, catch_up_with, log_kind};
pub(crate) use shared::{LastReader, RunSettings, Shared};
pub(crate) use standing::{Checkpoints, applying_reader, continues, head_of, remove_log_of};
pub(crate) use two_way::{has_streamed, letters_of_both, remove_both};

/// Both ends of a rule.
pub(crate) type Ends = (crate::snapshot::End, crate::snapshot::End);
