//! The behaviour of the SQL dialects, the same suite against SQLite, a real PostgreSQL and a real MariaDB.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should panic")]

mod aggregate;
mod atomic;
mod create;
mod database;
mod dates;
mod documents;
mod drop_and_truncate;
mod faults;
mod filters;
mod group;
mod many;
mod mariadb_tables;
mod mariadb_values;
mod naming;
mod packed_rows;
mod postgres_tables;
mod postgres_values;
mod reads;
mod schema_strategy;
mod search;
mod shared_transactions;
mod sqlite_files;
mod sqlite_tables;
mod statements;
mod table_transactions;
mod tables;
mod transactions;
mod upsert;

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
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&$crate::database::Database::postgres()).await;
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
