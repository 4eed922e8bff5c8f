//! Commits that are given up because the engine is closed: who waits for one is told what is known of it.

use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::transactions::{Committed, Transaction, Transactions};

impl Transactions {
    /// Commits as [`Self::commit`] does, and tells the outcome even if the engine is closed meanwhile.
    pub fn commit_and_tell(
        &self,
        id: &str,
        prepare_limit: Option<Duration>,
        tell: impl FnOnce(Result<Committed, Error>) + Send + 'static,
    ) {
        let mut waiting = Waiting { transaction: self.find(id), tell: Some(tell) };
        let (transactions, id) = (self.clone(), Arc::<str>::from(id));
        self.spawn(async move {
            let outcome = transactions.commit(&id, prepare_limit).await;
            if let Some(tell) = waiting.tell.take() {
                tell(outcome);
            }
        });
    }
}

/// Somebody who waits for a commit.
struct Waiting<T: FnOnce(Result<Committed, Error>)> {
    transaction: Option<Arc<Transaction>>,
    tell: Option<T>,
}

impl<T: FnOnce(Result<Committed, Error>)> Drop for Waiting<T> {
    fn drop(&mut self) {
        let Some(tell) = self.tell.take() else { return };
        let closed = Err(Error::Database(crate::Error::Closed));
        tell(self.transaction.as_ref().map_or(closed, |transaction| transaction.when_given_up()));
    }
}
