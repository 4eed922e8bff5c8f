//! Migrations: one plan over the schemas of all clusters, carried out under a lock, recorded where it was carried out.
//!
//! [`Migrator`] is the door. What a migration does stands in SQL, which runs here, or in a function of the application,
//! which the [`Host`] calls on the connection that the transaction was begun on.

mod apply;
mod atomic;
mod attempts;
mod checksum;
mod control;
mod database;
mod definition;
mod dry_run;
mod error;
mod graph;
mod history;
mod host;
pub mod lint;
mod lock;
mod migrator;
mod outside;
mod pending_lint;
mod plan;
mod run;
mod script_session;
mod settings;
mod sql_file;
mod state;
mod statements;
mod status;
mod survey;
mod unit;
mod upkeep;

pub use definition::{Migration, Place, Source};
pub use error::{Error, ErrorKind, Failure};
pub use host::{Direction, Event, Host, ScriptCall, ScriptError};
pub use migrator::Migrator;
pub use script_session::ScriptSession;
pub use settings::{DryRun, LintMode, MigrateOptions, Resolution, RollbackOptions, Settings, UpkeepOptions};
pub use sql_file::{SqlFile, read_sql_file};
pub use statements::{Statement, leaves_transaction, split_statements};
pub use status::{PlanStep, Report, Standing, Status};
