//! Work of the core on the runtime's threads: futures as JavaScript promises, and what must be dropped there.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Waker};

use data::{Error, ErrorKind};
use futures_util::FutureExt as _;
use napi::Env;
use napi::bindgen_prelude::{
    AsyncBlock, AsyncBlockBuilder, Either, ToNapiValue, within_runtime_if_available,
};
use tokio::runtime::Handle;

use crate::error::js_error;

/// Runs a future on the runtime's threads and settles a promise with its outcome. A panic in it rejects the promise
/// with kind `Internal`.
pub(crate) fn promise_of<T, F>(env: &Env, future: F) -> napi::Result<AsyncBlock<T>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = data::Result<T>> + Send + 'static,
{
    AsyncBlockBuilder::new(async move { without_panic(future).await.map_err(|error| js_error(&error)) })
        .build(env)
}

/// As [`promise_of`], but a future that is finished by its first step, which is taken on JavaScript's thread, gives its
/// outcome at once. Only for futures whose first step is short. The others go on as those of [`promise_of`] do.
pub(crate) fn outcome_or_promise<T, F>(
    env: &Env,
    runtime: &Handle,
    future: F,
) -> napi::Result<Either<T, AsyncBlock<T>>>
where
    T: ToNapiValue + Send + 'static,
    F: Future<Output = data::Result<T>> + Send + 'static,
{
    let mut future = Box::pin(without_panic(future));
    let first = {
        let _entered = runtime.enter();
        // Nobody has to be woken: the runtime takes the next step in any case.
        future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
    match first {
        Poll::Ready(outcome) => outcome.map(Either::A).map_err(|error| js_error(&error)),
        Poll::Pending => {
            AsyncBlockBuilder::new(async move { future.await.map_err(|error| js_error(&error)) })
                .build(env)
                .map(Either::B)
        }
    }
}

/// The outcome of a future, in which a panic is an error like others. What the future held is dropped by then, so that
/// nobody sees it half changed.
pub(crate) async fn without_panic<T>(future: impl Future<Output = data::Result<T>>) -> data::Result<T> {
    AssertUnwindSafe(future).catch_unwind().await.unwrap_or_else(|panic| Err(defect(&*panic)))
}

fn defect(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    Error::new(ErrorKind::Internal, format!("a defect in replicaverse, please report it: {text}"))
}

/// What holds connections. JavaScript's objects are dropped on its thread, by the garbage collector or as their
/// environment ends, but closing connections needs the runtime. It may have been shut down by then; a handle to it can
/// be entered even so.
pub(crate) struct OnRuntime<T> {
    /// `None` only while it is dropped.
    value: Option<T>,
    runtime: Handle,
}

impl<T> OnRuntime<T> {
    /// Takes a value, on the runtime or on JavaScript's thread.
    pub(crate) fn new(value: T) -> Self {
        let runtime = Handle::try_current().unwrap_or_else(|_| within_runtime_if_available(Handle::current));
        Self { value: Some(value), runtime }
    }

    /// The runtime.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The value.
    ///
    /// # Errors
    /// Of the kind `Closed` while it is dropped, when nobody can ask any more.
    pub(crate) fn get(&self) -> napi::Result<&T> {
        let closed = || js_error(&Error::new(ErrorKind::Closed, "the object is closed"));
        self.value.as_ref().ok_or_else(closed)
    }
}

impl<T> Drop for OnRuntime<T> {
    fn drop(&mut self) {
        let _entered = self.runtime.enter();
        let value = self.value.take();
        // A panic must not reach the JavaScript engine, which would abort the process. The value is gone either way.
        drop(catch_unwind(AssertUnwindSafe(|| drop(value))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(future: impl Future<Output = data::Result<u8>>) -> data::Result<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(without_panic(future))
    }

    #[test]
    fn a_panic_becomes_an_error_that_says_what_it_was() {
        let number: usize = std::hint::black_box(3);
        let error = outcome(async move { Ok([1, 2][number]) }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().contains("index out of bounds"), "{error}");
        assert_eq!(outcome(async { Ok(7) }).unwrap(), 7);
    }
}
