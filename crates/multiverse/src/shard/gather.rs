//! The answers of several shards to the parts of one request, taken down until all of them have ended.

use std::sync::{Arc, Mutex, PoisonError};

use wire::{Column, RowBatch};

use super::merge::ShardResult;
use crate::answer::{Answer, Completed, Flow};
use crate::error::Error;
use crate::written::Written;

/// What the shards have answered, in their order; or the failure of the first that failed.
pub(super) type Gathered = Result<Vec<ShardResult>, Error>;

/// Waits for so many answers.
pub(super) struct Gather(Mutex<State>);

struct State {
    left: usize,
    results: Vec<ShardResult>,
    failure: Option<Error>,
    done: Option<Box<dyn FnOnce(Gathered) + Send>>,
}

impl Gather {
    /// Answers for so many shards, which note what was written. `done` is called when all of them have ended, on the thread of the last.
    pub(super) fn answers(
        count: usize,
        written: &Arc<Written>,
        done: impl FnOnce(Gathered) + Send + 'static,
    ) -> Vec<Box<dyn Answer>> {
        let results = vec![ShardResult::default(); count];
        let state = State { left: count, results, failure: None, done: Some(Box::new(done)) };
        let gather = Arc::new(Self(Mutex::new(state)));
        let answer = |at| {
            let (gather, written) = (Arc::clone(&gather), Arc::clone(written));
            Box::new(ShardAnswer { gather, written, at, result: ShardResult::default() })
        };
        (0..count).map(|at| answer(at) as Box<dyn Answer>).collect()
    }

    fn end(&self, at: usize, result: Result<ShardResult, Error>) {
        let ended = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.left = state.left.saturating_sub(1);
            match result {
                Ok(result) => {
                    if let Some(place) = state.results.get_mut(at) {
                        *place = result;
                    }
                }
                Err(error) => drop(state.failure.get_or_insert(error)),
            }
            if state.left > 0 {
                return;
            }
            let outcome = match state.failure.take() {
                Some(error) => Err(error),
                None => Ok(std::mem::take(&mut state.results)),
            };
            state.done.take().map(|done| (done, outcome))
        };
        if let Some((done, outcome)) = ended {
            done(outcome);
        }
    }
}

/// Takes down the answer of one shard.
struct ShardAnswer {
    gather: Arc<Gather>,
    written: Arc<Written>,
    at: usize,
    result: ShardResult,
}

impl Answer for ShardAnswer {
    fn columns(&mut self, columns: &Arc<[Column]>) {
        self.result.columns = Some(Arc::clone(columns));
    }

    fn rows(&mut self, rows: RowBatch) -> Flow {
        // A small piece would hold on to the whole buffer it was read into.
        self.result.batches.push(rows.detached());
        Flow::Continue
    }

    fn result(&mut self, command_tag: &str) {
        command_tag.clone_into(&mut self.result.tag);
    }

    fn end(self: Box<Self>, outcome: Result<Completed, Error>) {
        let Self { gather, written, at, result } = *self;
        if let Ok(Completed { cluster, written: Some(position), .. }) = &outcome {
            written.note(cluster, *position);
        }
        gather.end(at, outcome.map(|_| result));
    }
}
