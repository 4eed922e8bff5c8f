//! Transactions as JavaScript asks for them: begun and joined, committed or rolled back, by their ids. Options come, and
//! what is known of transactions leaves, as JSON text.

use std::sync::Arc;
use std::time::Duration;

use multiverse::Written;
use multiverse::transaction::{
    Begun, Committed, Error, Isolation, Participant, TransactionOptions, Transactions,
};
use napi::Env;
use napi::bindgen_prelude::{AsyncBlock, ToNapiValue};
use napi_derive::napi;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::failure::transaction_failure_text;
use super::report::session_json;
use super::{NativeMultiverse, promise, route_text};

/// The transactions of an application on the clusters of an engine.
#[napi]
pub struct NativeTransactions {
    transactions: Transactions,
    written: Arc<Written>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OptionsText {
    isolation: Option<IsolationText>,
    read_only: Option<bool>,
    deferrable: Option<bool>,
    /// Milliseconds.
    begin_limit: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum IsolationText {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

#[napi]
impl NativeTransactions {
    /// Begins to finish what processes that died have left on the clusters, and goes on with it until the engine is closed.
    #[napi(constructor)]
    pub fn new(engine: &NativeMultiverse) -> Self {
        Self { transactions: Transactions::start(engine.engine()), written: engine.written() }
    }

    /// Begins a transaction on the clusters of schemas; gives its id, and the connections of its clusters.
    ///
    /// # Errors
    /// The promise rejects with a failure as JSON text, as those of all other methods do.
    #[napi]
    pub fn begin(
        &self,
        env: &Env,
        schemas: Vec<String>,
        options: String,
    ) -> napi::Result<AsyncBlock<String>> {
        let options = read_options(&options).map_err(napi::Error::from_reason)?;
        let schemas: Vec<Arc<str>> = schemas.into_iter().map(Arc::from).collect();
        self.promise(env, move |transactions| async move {
            transactions.begin(&schemas, options).await.map(|begun| begun_json(&begun).to_string())
        })
    }

    /// The connection of the cluster that a route leads to. A cluster that has no part yet gets one, if it may join.
    #[napi]
    pub fn join(
        &self,
        env: &Env,
        id: String,
        route: String,
        may_join: bool,
    ) -> napi::Result<AsyncBlock<String>> {
        let route = route_text::read_route(&route).map_err(napi::Error::from_reason)?;
        self.promise(env, move |transactions| async move {
            let joined = transactions.join(&id, &route, may_join).await;
            joined.map(|participant| participant_json(&participant).to_string())
        })
    }

    /// Commits. What precedes the decision may take so many milliseconds. Gives whether several clusters were written to.
    #[napi]
    pub fn commit(
        &self,
        env: &Env,
        id: String,
        prepare_limit: Option<u32>,
    ) -> napi::Result<AsyncBlock<bool>> {
        let written = Arc::clone(&self.written);
        let limit = prepare_limit.map(|millis| Duration::from_millis(millis.into()));
        promise(env, |reply| {
            self.transactions.commit_and_tell(&id, limit, move |outcome| {
                reply(outcome.map_err(|error| failed(&error)).map(|committed| {
                    let Committed { is_distributed, written: positions } = committed;
                    for (cluster, position) in positions {
                        written.note(&cluster, position);
                    }
                    is_distributed
                }));
            });
        })
    }

    /// Rolls back; what is still running is cancelled.
    #[napi]
    pub fn roll_back(&self, env: &Env, id: String) -> napi::Result<AsyncBlock<()>> {
        self.promise(env, move |transactions| async move { transactions.roll_back(&id).await })
    }

    /// Writes down what is still to be written, before the engine is closed.
    #[napi]
    pub fn close(&self, env: &Env) -> napi::Result<AsyncBlock<()>> {
        self.promise(env, move |transactions| async move {
            transactions.close().await;
            Ok(())
        })
    }

    /// A promise of what a task on the engine's thread gives.
    fn promise<T, F>(
        &self,
        env: &Env,
        task: impl FnOnce(Transactions) -> F + Send + 'static,
    ) -> napi::Result<AsyncBlock<T>>
    where
        T: ToNapiValue + Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let transactions = self.transactions.clone();
        promise(env, |reply| {
            let task = task(transactions.clone());
            transactions.spawn(async move {
                let outcome = task.await;
                reply(outcome.map_err(|error| failed(&error)));
            });
        })
    }
}

fn failed(error: &Error) -> napi::Error {
    napi::Error::from_reason(transaction_failure_text(error))
}

fn read_options(text: &str) -> Result<TransactionOptions, String> {
    let OptionsText { isolation, read_only, deferrable, begin_limit } =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let isolation = isolation.map(|isolation| match isolation {
        IsolationText::ReadUncommitted => Isolation::ReadUncommitted,
        IsolationText::ReadCommitted => Isolation::ReadCommitted,
        IsolationText::RepeatableRead => Isolation::RepeatableRead,
        IsolationText::Serializable => Isolation::Serializable,
    });
    let begin_limit = begin_limit.map(|millis| Duration::from_millis(millis.into()));
    Ok(TransactionOptions { isolation, read_only, deferrable, begin_limit })
}

fn begun_json(begun: &Begun) -> Json {
    let participants: Vec<Json> = begun.participants.iter().map(participant_json).collect();
    json!({ "id": &*begun.id, "participants": participants })
}

fn participant_json(participant: &Participant) -> Json {
    let schemas: Vec<&str> = participant.schemas.iter().map(|schema| &**schema).collect();
    json!({ "session": session_json(&participant.session), "schemas": schemas })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_javascript_writes_them() {
        let options = read_options(r#"{"isolation":"REPEATABLE_READ","readOnly":true}"#).unwrap();
        assert_eq!(options.isolation, Some(Isolation::RepeatableRead));
        assert_eq!((options.read_only, options.deferrable), (Some(true), None));
        assert!(read_options(r#"{"isolation":"CHAOS"}"#).is_err());
    }
}
