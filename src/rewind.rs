//! The function of an application that brings a master of before back as a standby.

use async_trait::async_trait;
use napi::Status;
use napi::bindgen_prelude::Promise;
use napi::threadsafe_function::ThreadsafeFunction;
use replication::{RewindRequest, Rewinder};

/// A JavaScript function that takes a request as JSON text and answers why it could not be met; nothing if it was. Its promise does
/// not reject. It does not keep the process alive.
pub(crate) type RewindFunction =
    ThreadsafeFunction<String, Promise<Option<String>>, String, Status, false, true>;

/// Rewinds by a JavaScript function.
pub(crate) struct JsRewinder(RewindFunction);

impl JsRewinder {
    pub(crate) fn new(function: RewindFunction) -> Self {
        Self(function)
    }
}

#[async_trait]
impl Rewinder for JsRewinder {
    async fn rewind(&self, request: RewindRequest) -> Result<(), String> {
        let text = serde_json::to_string(&request).map_err(|error| error.to_string())?;
        let promise = self.0.call_async_catch(text).await.map_err(|error| error.reason.clone())?;
        promise.await.map_err(|error| error.reason.clone())?.map_or(Ok(()), Err)
    }
}
