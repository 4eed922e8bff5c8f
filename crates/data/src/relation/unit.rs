//! Several writes as one: in a transaction of their own, which runs again where another one was in its way.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::dialect::Dialect;
use crate::error::{Error, ErrorKind, Result};

/// How long writes that collide with those of others are tried.
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest pause between two attempts, in milliseconds.
const LONGEST_PAUSE: u64 = 100;

/// Writes that belong together. They may be run several times.
#[async_trait]
pub(super) trait Work: Sync {
    type Output: Send;

    async fn run(&self, dialect: &dyn Dialect) -> Result<Self::Output>;
}

/// Runs work in a transaction; within one, under a savepoint. Where the database has none, it is run as it is.
pub(super) async fn atomically<W: Work>(dialect: &dyn Dialect, work: &W) -> Result<W::Output> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = 2;
    loop {
        match once(dialect, work).await {
            // A transaction of the caller is the caller's to run again.
            Err(error)
                if error.kind() == ErrorKind::Conflict
                    && Instant::now() < deadline
                    && !is_transaction(dialect) =>
            {
                tokio::time::sleep(Duration::from_millis(up_to(pause))).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// A random number from 1 to this, so that those who collided do not meet again.
fn up_to(limit: u64) -> u64 {
    RandomState::new().hash_one(0) % limit + 1
}

async fn once<W: Work>(dialect: &dyn Dialect, work: &W) -> Result<W::Output> {
    let transaction = match dialect.begin_step().await {
        Ok(transaction) => transaction,
        Err(error) if has_no_transaction(dialect, &error) => return work.run(dialect).await,
        Err(error) => return Err(error),
    };
    match work.run(&*transaction).await {
        Ok(output) => transaction.commit().await.map(|()| output),
        Err(error) => {
            // The error that matters is the first one; what could not be undone ends with the connection.
            if let Err(failure) = transaction.rollback().await {
                tracing::warn!(error = %failure, "a transaction could not be rolled back");
            }
            Err(error)
        }
    }
}

fn is_transaction(dialect: &dyn Dialect) -> bool {
    dialect.tables().is_none()
}

/// MongoDB has no transactions within transactions, and on a standalone server none at all.
fn has_no_transaction(dialect: &dyn Dialect, error: &Error) -> bool {
    dialect.kind().is_schemaless() && matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Transaction)
}
