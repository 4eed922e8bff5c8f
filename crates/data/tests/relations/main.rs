//! Relations between entities, the same behaviour against SQLite, and a real PostgreSQL, MariaDB and MongoDB.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should panic")]

mod bookshop;
mod cascade;
mod concurrency;
mod databases;
mod delete;
mod eager;
mod faults;
mod load;

/// Runs each behaviour against a fresh database of every kind.
#[macro_export]
macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&$crate::databases::Fresh::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&$crate::databases::Fresh::postgres()).await;
            })*
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&$crate::databases::Fresh::mariadb()).await;
            })*
        }
        mod mongodb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(&$crate::databases::Fresh::mongodb()).await;
            })*
        }
    };
}
