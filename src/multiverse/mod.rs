//! PgMultiverse's engine as a JavaScript class.
//!
//! Requests come in one buffer for all of a turn of JavaScript's event loop ([`submission`]). Results are packed on the
//! engine's thread into parcels ([`parcel`], [`pack`]), which JavaScript takes one by one when it was woken ([`outbox`]).

mod answer;
mod cache_epoch;
mod cell;
mod cluster_events;
mod failure;
mod invalidation;
pub mod migration;
mod outbox;
mod pack;
mod parcel;
mod remote;
mod report;
mod route_text;
mod session_news;
mod settings;
mod shape;
mod submission;
mod tag;
pub mod transaction;
mod window;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use multiverse::route::RouteOptions;
use multiverse::{
    ClusterConfig, Engine, Release, Request, RequestId, SessionId, Shards, Written, read_clusters,
};
use napi::bindgen_prelude::{Array, AsyncBlock, AsyncBlockBuilder, Either, ToNapiValue, Uint8ArraySlice};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, JsString, Status};
use napi_derive::napi;
use serde_json::json;
use tokio::sync::oneshot;

use answer::PackedAnswer;
use failure::failure_text;
use outbox::Outbox;
use parcel::Parcel;
use remote::{PackedRemote, RemoteState};
use submission::{Definitions, Submission, request_number};
use window::Window;

/// Tells JavaScript that there are results. It does not keep the process alive: waiting queries do.
type WakeFunction = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Clusters, their pools, and queries on their way. Configurations come, and reports leave, as JSON text.
#[napi]
pub struct NativeMultiverse {
    engine: Arc<Engine>,
    /// The way to the engine for statements on clusters that are spread over shards.
    shards: Shards,
    outbox: Arc<Outbox>,
    definitions: Mutex<Definitions>,
    written: Arc<Written>,
    remote: Arc<RemoteState>,
    /// The results that are read at their reader's pace, by request.
    streams: Mutex<HashMap<u64, Arc<Window>>>,
}

#[napi]
impl NativeMultiverse {
    /// Starts the engine, which connects by itself.
    ///
    /// # Errors
    /// This throws, as every other method does, or the promise rejects, with a failure as JSON text.
    #[napi(constructor)]
    pub fn new(
        clusters: String,
        settings: String,
        #[napi(ts_arg_type = "() => void")] wake: WakeFunction,
    ) -> napi::Result<Self> {
        let clusters = clusters_of(&clusters)?;
        let settings = settings::read_settings(&settings).map_err(|error| failed(&error))?;
        let outbox = Arc::new(Outbox::new(move || {
            // Once JavaScript's environment ends, nobody is there to be woken.
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }));
        let flushed = Arc::clone(&outbox);
        let started = Engine::start(clusters.clone(), settings, Box::new(move || flushed.flush()));
        let engine = Arc::new(started.map_err(|error| failed(&error))?);
        let flushed = Arc::clone(&outbox);
        let written: Arc<Written> = Arc::default();
        let answered = Box::new(move || flushed.flush());
        let shards = Shards::new(Arc::clone(&engine), &clusters, Arc::clone(&written), answered);
        let (definitions, streams) = (Mutex::default(), Mutex::default());
        Ok(Self { engine, shards, outbox, definitions, written, remote: Arc::default(), streams })
    }

    /// Carries out the requests in the first bytes of a buffer, which may be written to again when this returns. Gives
    /// whether there are results already, which JavaScript is to take without being woken.
    #[napi]
    pub fn submit(&self, buffer: &[u8], length: u32) -> napi::Result<bool> {
        let written = buffer.get(..length as usize).unwrap_or(buffer);
        let read = lock(&self.definitions).read(written);
        let submissions = read.map_err(|error| napi::Error::from_reason(error.to_string()))?;
        let requests = submissions.into_iter().map(|submission| self.request(submission)).collect();
        let has_results = self.shards.submit(requests);
        if has_results {
            self.outbox.flush_unannounced();
        }
        Ok(has_results)
    }

    /// The engine, for what else runs on its connections.
    fn engine(&self) -> Arc<Engine> {
        Arc::clone(&self.engine)
    }

    /// What was written last, for what is committed elsewhere.
    fn written(&self) -> Arc<Written> {
        Arc::clone(&self.written)
    }

    fn request(&self, submission: Submission) -> Request {
        let number = submission.request();
        let window = submission.is_stream.then(|| {
            let window = Arc::new(Window::new(number, true));
            lock(&self.streams).insert(number, Arc::clone(&window));
            window
        });
        let answer = PackedAnswer::new(
            submission.slot,
            number,
            window,
            Arc::clone(&self.outbox),
            Arc::clone(&self.written),
        );
        let written = self.written.visible_to(&submission.route);
        Request {
            id: RequestId(number),
            sql: submission.sql,
            parameters: submission.parameters,
            route: RouteOptions { written, ..submission.route },
            session: submission.session.map(SessionId),
            timeout: submission.timeout,
            retry: submission.retry,
            streamed: submission.is_stream,
            cache: submission.cache,
            answer: Box::new(answer),
        }
    }

    /// Writes the next parcel to the arena and gives its texts, `null` for one that is too long. Gives the size that the
    /// arena must have, if it is too small, and `null` if there is no parcel. JavaScript is woken for the next parcel when
    /// there is none, and when this one says that it was the last.
    #[napi(ts_return_type = "Array<string | null> | number | null")]
    pub fn take<'env>(
        &self,
        env: &'env Env,
        mut arena: Uint8ArraySlice<'_>,
    ) -> napi::Result<Option<Either<u32, Array<'env>>>> {
        let Some((parcel, has_more)) = self.outbox.take() else { return Ok(None) };
        // SAFETY: JavaScript waits for this call, and hands the arena to nobody else.
        let memory = unsafe { arena.as_mut() };
        if parcel.write_to(memory, has_more).is_none() {
            let size = u32::try_from(parcel.written_size()).unwrap_or(u32::MAX);
            self.outbox.put_back(parcel);
            return Ok(Some(Either::A(size)));
        }
        let texts = texts_of(env, &parcel)?;
        for (window, size) in &parcel.windows {
            if window.leave(*size) {
                self.engine.resume(RequestId(window.request));
            }
        }
        self.outbox.recycle(parcel);
        Ok(Some(Either::B(texts)))
    }

    /// The reader of a stream has taken all rows that were delivered.
    #[napi]
    pub fn resume(&self, slot: i32, epoch: u32) {
        let number = request_number(slot, epoch);
        let goes_on = lock(&self.streams).get(&number).is_some_and(|window| window.leave_all());
        if goes_on {
            self.engine.resume(RequestId(number));
        }
    }

    /// A stream has ended.
    #[napi]
    pub fn forget_stream(&self, slot: i32, epoch: u32) {
        lock(&self.streams).remove(&request_number(slot, epoch));
    }

    /// Cancels a request, also on the server. It still ends, with an error or with its result.
    #[napi]
    pub fn cancel(&self, slot: i32, epoch: u32) {
        self.shards.cancel(RequestId(request_number(slot, epoch)));
    }

    /// Pins a connection; gives its number, cluster, server and process id as JSON text.
    #[napi]
    pub fn open_session(&self, env: &Env, route: String) -> napi::Result<AsyncBlock<String>> {
        let route = route_text::read_route(&route).map_err(napi::Error::from_reason)?;
        promise(env, |reply| {
            self.shards.open_session(
                route,
                Box::new(move |session| {
                    let session = session.map(|session| report::session_text(&session));
                    reply(session.map_err(|error| failed(&error)));
                }),
            );
        })
    }

    /// Gives a pinned connection back to its pool, or closes it.
    #[napi]
    pub fn release_session(&self, session: u32, close: bool) {
        let release = if close { Release::Close } else { Release::Reuse };
        self.engine.release_session(SessionId(session.into()), release);
    }

    /// Sets the types whose text the application parses itself.
    #[napi]
    pub fn set_text_types(&self, oids: Vec<u32>) {
        self.outbox.set_text_types(&oids);
        self.engine.set_text_types(oids);
    }

    /// Goes over to other clusters.
    #[napi]
    pub fn reload(&self, env: &Env, clusters: String) -> napi::Result<AsyncBlock<()>> {
        let clusters = clusters_of(&clusters)?;
        let layout = clusters.clone();
        let mut outcome = Ok(());
        let done = promise(env, |reply| {
            outcome = self.engine.reload(clusters, Box::new(move || reply(Ok(()))));
        })?;
        outcome.map_err(|error| failed(&error))?;
        self.shards.reload(&layout);
        Ok(done)
    }

    /// Drops results from the cache: what is told as JSON text, by `schema`, `tags`, `cluster` or `keys`. Gives the number
    /// of entries.
    #[napi]
    pub fn invalidate_cache(&self, env: &Env, criteria: String) -> napi::Result<AsyncBlock<u32>> {
        let what = invalidation::read_invalidation(&criteria).map_err(napi::Error::from_reason)?;
        promise(env, |reply| {
            let counted = move |count| reply(Ok(u32::try_from(count).unwrap_or(u32::MAX)));
            self.engine.invalidate(what, Box::new(counted));
        })
    }

    /// As `invalidateCache`, at once; `null` if that would take long, and nothing was dropped.
    #[napi]
    pub fn invalidate_cache_at_once(&self, criteria: String) -> napi::Result<Option<u32>> {
        let what = invalidation::read_invalidation(&criteria).map_err(napi::Error::from_reason)?;
        let count = self.engine.invalidate_at_once(&what);
        Ok(count.map(|count| u32::try_from(count).unwrap_or(u32::MAX)))
    }

    /// The keys of all cached results.
    #[napi]
    pub fn cache_keys(&self) -> Vec<String> {
        self.engine.cache_keys()
    }

    /// Begins to tell of logs that the cache follows, or cannot follow.
    #[napi]
    pub fn tell_logs(&self) {
        self.engine.tell_logs(Some(invalidation::log_listener(Arc::clone(&self.outbox))));
    }

    /// Begins or ends to tell of entries that leave the cache.
    #[napi]
    pub fn tell_evictions(&self, wanted: bool) {
        let outbox = Arc::clone(&self.outbox);
        self.engine.tell_evictions(wanted.then(|| invalidation::eviction_listener(outbox)));
    }

    /// Has results looked for, and kept, in a cache that JavaScript reaches.
    #[napi]
    pub fn use_remote_cache(&self) {
        let (state, outbox) = (Arc::clone(&self.remote), Arc::clone(&self.outbox));
        self.engine.set_remote(Box::new(PackedRemote { state, outbox }));
    }

    /// Whether the shared cache can be asked, and whether this process learns of what others invalidate there.
    #[napi]
    pub fn set_remote_state(&self, is_ready: bool, may_keep_near: bool) {
        self.remote.set(is_ready, may_keep_near);
    }

    /// What the shared cache has, with the milliseconds for which it is still valid.
    #[napi]
    pub fn answer_remote(&self, flight_low: u32, flight_high: u32, bytes: Option<&[u8]>, ttl: Option<f64>) {
        let flight = u64::from(flight_high) << 32 | u64::from(flight_low);
        self.engine.answer_remote(flight, remote::answer(bytes, ttl));
    }

    /// The figures of the cache at this moment.
    #[napi]
    pub fn cache_metrics(&self) -> String {
        report::cache_text(&self.engine.metrics())
    }

    /// The figures at this moment.
    #[napi]
    pub fn metrics(&self) -> String {
        report::metrics_text(&self.engine.metrics())
    }

    /// The shards of a cluster and the tables that are spread over them, as JSON text.
    #[napi]
    pub fn survey_shards(&self, env: &Env, cluster: String) -> napi::Result<AsyncBlock<String>> {
        promise(env, |reply| {
            let told = move |survey: Result<_, _>| {
                reply(survey.map(|survey| report::survey_text(&survey)).map_err(|error| failed(&error)));
            };
            self.shards.survey(&cluster, Box::new(told));
        })
    }

    /// Asks every server for a sign of life.
    #[napi]
    pub fn health(&self, env: &Env) -> napi::Result<AsyncBlock<String>> {
        promise(env, |reply| {
            self.engine.health(Box::new(move |servers| reply(Ok(report::health_text(&servers)))));
        })
    }

    /// Closes all connections; queries on their way fail.
    #[napi]
    pub fn close(&self, env: &Env) -> napi::Result<AsyncBlock<()>> {
        promise(env, |reply| self.engine.close(Box::new(move || reply(Ok(())))))
    }
}

/// What is wrong with the clusters of a configuration, and what is doubtful, as JSON text.
///
/// # Errors
/// The configuration is not JSON.
#[napi]
pub fn check_clusters(clusters: String) -> napi::Result<String> {
    let json =
        serde_json::from_str(&clusters).map_err(|error| napi::Error::from_reason(error.to_string()))?;
    let (_, report) = read_clusters(&json);
    let errors: Vec<_> = report.errors.iter().map(ToString::to_string).collect();
    let verdict = json!({"valid": report.is_valid(), "errors": errors, "warnings": report.warnings});
    Ok(verdict.to_string())
}

/// The clusters of a configuration as JSON text, with its shards in place of each that is spread over some.
///
/// # Errors
/// A setting cannot be used; told as a failure as JSON text.
#[napi]
pub fn expand_shards(clusters: String) -> napi::Result<String> {
    clusters_of(&clusters)?;
    let json =
        serde_json::from_str(&clusters).map_err(|error| napi::Error::from_reason(error.to_string()))?;
    let expanded = multiverse::expand_shards(&json).map_err(|error| failed(&error.into()))?;
    Ok(expanded.to_string())
}

/// Gives each text to JavaScript. One that is longer than its strings can be stays `null`.
fn texts_of<'env>(env: &'env Env, parcel: &Parcel) -> napi::Result<Array<'env>> {
    let mut texts = env.create_array(u32::try_from(parcel.texts.len()).unwrap_or(u32::MAX))?;
    for (at, (text, is_ascii)) in (0..).zip(parcel.each_text()) {
        let made: napi::Result<JsString<'_>> = if is_ascii {
            env.create_string_latin1(text)
        } else {
            // Only UTF-8 was written.
            env.create_string(str::from_utf8(text).unwrap_or_default())
        };
        match made {
            Ok(made) => texts.set(at, made)?,
            Err(_) => texts.set(at, napi::bindgen_prelude::Null)?,
        }
    }
    Ok(texts)
}

/// A promise that is settled by what `start` hands on; also if that is dropped.
fn promise<T: ToNapiValue + Send + 'static>(
    env: &Env,
    start: impl FnOnce(Box<dyn FnOnce(napi::Result<T>) + Send>),
) -> napi::Result<AsyncBlock<T>> {
    let (sender, receiver) = oneshot::channel();
    // The receiver is only gone when JavaScript's environment is.
    start(Box::new(move |outcome| drop(sender.send(outcome))));
    let closed = |_| Err(failed(&multiverse::Error::Closed));
    AsyncBlockBuilder::new(async move { receiver.await.unwrap_or_else(closed) }).build(env)
}

fn clusters_of(text: &str) -> napi::Result<multiverse::Clusters> {
    let json = serde_json::from_str(text).map_err(|error| napi::Error::from_reason(error.to_string()))?;
    ClusterConfig::read_all(&json).map_err(|error| failed(&error.into()))
}

/// The Node-API error that carries an error of the engine.
fn failed(error: &multiverse::Error) -> napi::Error {
    napi::Error::from_reason(failure_text(error))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
