//! Mode cdc from source to target: the logs of PostgreSQL, MongoDB and MariaDB, and the triggers of SQLite and MariaDB, to
//! SQLite, PostgreSQL, MariaDB and MongoDB.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should panic")]

mod basics;
mod columns;
mod crashes;
mod fan_out;
mod faults;
mod feed;
mod filters;
mod lost_source;
mod managed;
mod mariadbsource;
mod mongodb;
mod mongosource;
mod names;
mod recovery;
mod retyping;
mod shapes;
mod stored_values;
mod streaming;
mod two_way;
mod two_way_crashes;
mod two_way_faults;
mod two_way_restores;
mod world;

/// Runs each behaviour between every pair of databases.
#[macro_export]
macro_rules! between_databases {
    ($($name:ident),* $(,)?) => {
        mod sqlite_to_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::Pair::sqlite_to_sqlite()).await;
            })*
        }
        mod memory_to_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::Pair::memory_to_memory()).await;
            })*
        }
        mod postgres_to_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::Pair::postgres_to_sqlite()).await;
            })*
        }
        mod postgres_to_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::Pair::postgres_to_mariadb()).await;
            })*
        }
        mod postgres_to_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::Pair::postgres_to_postgres()).await;
            })*
        }
        mod mariadb_to_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::Pair::mariadb_to_sqlite()).await;
            })*
        }
        mod mariadb_to_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::Pair::mariadb_to_postgres()).await;
            })*
        }
        mod mariadb_to_mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::Pair::mariadb_to_mariadb()).await;
            })*
        }
        mod mariadb_triggers_to_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name($crate::world::Pair::mariadb_triggers_to_sqlite()).await;
            })*
        }
    };
}
