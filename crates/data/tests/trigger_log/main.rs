//! The behaviour of logs that triggers fill: on a SQLite file, a SQLite database in memory, and a real MariaDB.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should panic")]

mod capture;
#[path = "../sql_dialects/database.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod database;
mod follower;
mod mariadb_order;
mod mariadb_schema;
mod mariadb_values;
mod readers;
mod sqlite_conflicts;
mod sqlite_files;
mod sqlite_schema;
mod sqlite_values;

/// The log that is followed.
pub(crate) const LOG_KIND: data::log::LogKind = data::log::LogKind::Trigger;

/// Runs each behaviour against a fresh database of every kind.
#[macro_export]
macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&$crate::database::Database::sqlite()).await;
            })*
        }
        mod sqlite_in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&$crate::database::Database::sqlite_in_memory()).await;
            })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&$crate::database::Database::mariadb()).await;
            })*
        }
    };
}
