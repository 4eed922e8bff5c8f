//! The replication manager as a JavaScript class.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::Env;
use napi::Status;
use napi::bindgen_prelude::{AsyncBlock, AsyncBlockBuilder, ToNapiValue, block_on};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use replication::{Error, Manager, ProgressListener, ReadRouting, Repair, ReplicaConfig, Result, Rule};
use serde::Serialize;

use crate::change_feed::NativeChangeFeed;
use crate::dialect::NativeDialect;
use crate::error::replication_error;
use crate::foreign_dialect::{ForeignDialect, ForeignFunction};
use crate::rule_observer::{JsObserver, ReportFunction, ResolveFunction};
use crate::rule_transform::{JsTransform, TransformFunction};
use crate::schema::NativeSchema;
use crate::task::OnRuntime;

/// A JavaScript function that takes progress as JSON text. It does not keep the process alive.
type ProgressFunction = ThreadsafeFunction<String, (), String, Status, false, true>;

/// Replicas of projects and rules between them. Configurations come, and reports leave, as JSON text.
#[napi]
pub struct NativeReplicationManager {
    manager: OnRuntime<Arc<Manager>>,
    /// Whether anybody listens to the single changes of rules that stream.
    tells_changes: Arc<AtomicBool>,
}

#[napi]
impl NativeReplicationManager {
    /// A manager without projects.
    #[napi(constructor)]
    #[allow(clippy::new_without_default, reason = "only JavaScript constructs it")]
    pub fn new() -> Self {
        Self { manager: OnRuntime::new(Arc::new(Manager::new())), tells_changes: Arc::default() }
    }

    /// Enters and connects a replica.
    ///
    /// # Errors
    /// The promise of this and of every other method rejects, and those without a promise throw, with what the core
    /// reports.
    #[napi]
    pub fn add_replica(
        &self,
        env: &Env,
        project: String,
        config: String,
        schemas: Vec<&NativeSchema>,
    ) -> napi::Result<AsyncBlock<NativeDialect>> {
        let config = ReplicaConfig::from_json(parse("replica", &config)?)
            .map_err(|error| replication_error(&error))?;
        let schemas = schemas.into_iter().map(|native| Arc::clone(&native.schema)).collect();
        self.run(env, |manager| {
            // At once, so that whatever is called next counts for it.
            let reserved = manager.reserve_replica(&project, config, schemas);
            async move { manager.connect_replica(reserved?).await.map(NativeDialect::of_database) }
        })
    }

    /// The dialect of a connected replica, where `addReplica` could not give it because the tree file could not be written.
    #[napi]
    pub fn connection_of(&self, project: String, name: String) -> napi::Result<Option<NativeDialect>> {
        Ok(self.manager()?.connection_of(&project, &name).map(NativeDialect::of_database))
    }

    /// Enters a replica whose dialect an application brings; the function carries out what is asked of it, beginning with
    /// `connect`.
    #[napi]
    pub fn add_foreign_replica(
        &self,
        env: &Env,
        project: String,
        config: String,
        schemas: Vec<&NativeSchema>,
        #[napi(ts_arg_type = "(operation: string, request: string) => Promise<string>")]
        carry_out: ForeignFunction,
    ) -> napi::Result<AsyncBlock<()>> {
        let config = ReplicaConfig::from_json(parse("replica", &config)?)
            .map_err(|error| replication_error(&error))?;
        let schemas: Vec<_> = schemas.into_iter().map(|native| Arc::clone(&native.schema)).collect();
        self.run(env, |manager| {
            let reserved = manager.reserve_replica(&project, config, schemas.clone());
            async move {
                let connecting = ForeignDialect::connect(carry_out, schemas);
                manager.connect_replica_by(reserved?, connecting).await.map(drop)
            }
        })
    }

    /// Removes a replica and closes its connections.
    #[napi]
    pub fn remove_replica(&self, env: &Env, project: String, name: String) -> napi::Result<AsyncBlock<()>> {
        self.run(env, |manager| async move { manager.remove_replica(&project, &name).await })
    }

    /// Sets how reads of a project are routed.
    #[napi]
    pub fn set_read_routing(&self, project: String, strategy: String) -> napi::Result<()> {
        let manager = self.manager()?;
        settle(ReadRouting::parse(&strategy).and_then(|routing| manager.set_read_routing(&project, routing)))
    }

    /// How reads of a project are routed.
    #[napi]
    pub fn read_routing(&self, project: String) -> napi::Result<&'static str> {
        Ok(self.manager()?.read_routing(&project).name())
    }

    /// The name of the connected master of a project.
    #[napi]
    pub fn connected_master(&self, project: String) -> napi::Result<Option<String>> {
        Ok(self.manager()?.connected_master(&project))
    }

    /// The state of every replica of a project.
    #[napi]
    pub fn status(&self, project: String) -> napi::Result<String> {
        settle(json(&self.manager()?.status(&project)))
    }

    /// Adds a rule.
    #[napi]
    pub fn add_rule(&self, rule: String) -> napi::Result<()> {
        let rule = Rule::from_json(parse("rule", &rule)?);
        let manager = self.manager()?;
        settle(rule.and_then(|rule| manager.add_rule(rule)))
    }

    /// Gives a rule the function that its rows pass through.
    #[napi]
    pub fn set_transform(
        &self,
        rule: String,
        #[napi(ts_arg_type = "(header: string, rows: string) => Promise<string>")]
        transform: TransformFunction,
    ) -> napi::Result<()> {
        settle(self.manager()?.set_transform(&rule, Arc::new(JsTransform::new(transform))))
    }

    /// Removes a rule. What it has left in its databases is removed in the background.
    #[napi]
    pub fn remove_rule(&self, name: String) -> napi::Result<()> {
        settle(block_on(self.manager()?.remove_rule(&name)))
    }

    /// Every rule.
    #[napi]
    pub fn rules(&self) -> napi::Result<String> {
        settle(json(&self.manager()?.rules()))
    }

    /// Runs a rule; progress is told to the function, if there is one.
    #[napi]
    pub fn sync(
        &self,
        env: &Env,
        rule: String,
        #[napi(ts_arg_type = "((progress: string) => void) | undefined | null")] on_progress: Option<
            ProgressFunction,
        >,
    ) -> napi::Result<AsyncBlock<String>> {
        let listener = on_progress.map(progress_listener);
        self.run(env, |manager| async move { json(&manager.sync(&rule, listener).await?) })
    }

    /// Copies a rule of mode `cdc` anew; progress is told to the function, if there is one.
    #[napi]
    pub fn resync(
        &self,
        env: &Env,
        rule: String,
        #[napi(ts_arg_type = "((progress: string) => void) | undefined | null")] on_progress: Option<
            ProgressFunction,
        >,
    ) -> napi::Result<AsyncBlock<String>> {
        let listener = on_progress.map(progress_listener);
        self.run(env, |manager| async move { json(&manager.resync(&rule, listener).await?) })
    }

    /// Streams a rule of mode `cdc` or `bidirectional`; what happens is told to the function, and where the rule leaves it to
    /// the application, a second one decides between two versions of a row.
    #[napi]
    pub fn start(
        &self,
        env: &Env,
        rule: String,
        #[napi(ts_arg_type = "(report: string) => void")] on_report: ReportFunction,
        #[napi(ts_arg_type = "((conflict: string) => Promise<string>) | undefined | null")] resolve: Option<
            ResolveFunction,
        >,
    ) -> napi::Result<AsyncBlock<()>> {
        let observer = Arc::new(JsObserver::new(on_report, resolve, Arc::clone(&self.tells_changes)));
        self.run(env, |manager| async move { manager.start(&rule, observer).await })
    }

    /// Ends the stream of a rule.
    #[napi]
    pub fn stop(&self, env: &Env, rule: String) -> napi::Result<AsyncBlock<()>> {
        self.run(env, |manager| async move { manager.stop(&rule).await })
    }

    /// Takes the right to run a rule at intervals; whether this process has it.
    #[napi]
    pub fn hold_rule(&self, env: &Env, rule: String) -> napi::Result<AsyncBlock<bool>> {
        self.run(env, |manager| async move { manager.hold_rule(&rule).await })
    }

    /// Gives the right to run a rule back.
    #[napi]
    pub fn release_rule(&self, env: &Env, rule: String) -> napi::Result<AsyncBlock<()>> {
        self.run(env, |manager| async move {
            manager.release_rule(&rule).await;
            Ok(())
        })
    }

    /// Whether rules that stream tell of every single change.
    #[napi]
    pub fn tell_changes(&self, wanted: bool) {
        self.tells_changes.store(wanted, Ordering::Relaxed);
    }

    /// The rules that stream.
    #[napi]
    pub fn rule_states(&self) -> napi::Result<String> {
        settle(json(&self.manager()?.running()))
    }

    /// The changes of a rule, or of every table of a project.
    #[napi]
    pub fn changes(&self, env: &Env, rule_or_project: String) -> napi::Result<AsyncBlock<NativeChangeFeed>> {
        self.run(
            env,
            |manager| async move { Ok(NativeChangeFeed::new(manager.changes(&rule_or_project).await?)) },
        )
    }

    /// Compares source and target of a rule, and repairs what differs as far as it is asked to.
    #[napi]
    pub fn verify(&self, env: &Env, rule: String, repair: String) -> napi::Result<AsyncBlock<String>> {
        let repair = settle(Repair::parse(&repair))?;
        self.run(env, |manager| async move { json(&manager.verify(&rule, repair).await?) })
    }

    /// The rows of a rule that are set aside at its target, so many of them at the most.
    #[napi]
    pub fn dead_letters(&self, env: &Env, rule: String, most: u32) -> napi::Result<AsyncBlock<String>> {
        self.run(env, move |manager| async move {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            json(&manager.dead_letters(&rule, most).await?)
        })
    }

    /// The stats of the last run of a rule, or of `project/replica`.
    #[napi]
    pub fn stats(&self, name: String) -> napi::Result<Option<String>> {
        settle(self.manager()?.stats(&name).as_ref().map(json).transpose())
    }

    /// Up to when each collection of a rule has been read.
    #[napi]
    pub fn cursor(&self, rule: String) -> napi::Result<Option<String>> {
        settle(self.manager()?.cursor(&rule).as_ref().map(json).transpose())
    }

    /// Writes the tree file.
    #[napi]
    pub fn save_to_file(&self, path: String) -> napi::Result<()> {
        settle(self.manager()?.save_to_file(Path::new(&path)))
    }

    /// Takes over routing and rules from a tree file.
    #[napi]
    pub fn load_from_file(&self, path: String) -> napi::Result<()> {
        settle(self.manager()?.load_from_file(Path::new(&path)))
    }

    /// Writes the tree file after every change.
    #[napi]
    pub fn enable_auto_persist(&self, path: String) -> napi::Result<()> {
        settle(self.manager()?.enable_auto_persist(Path::new(&path)))
    }

    /// The projects that have replicas.
    #[napi]
    pub fn projects(&self) -> napi::Result<Vec<String>> {
        Ok(self.manager()?.projects())
    }

    /// Ends every stream and closes every connection. What rules that were removed have left behind, with the statements to
    /// run.
    #[napi]
    pub fn disconnect_all(&self, env: &Env) -> napi::Result<AsyncBlock<Vec<String>>> {
        self.run(env, |manager| async move {
            manager.disconnect_all().await;
            Ok(manager.take_removal_failures().into_iter().map(|failure| failure.message).collect())
        })
    }

    pub(crate) fn manager(&self) -> napi::Result<&Manager> {
        self.manager.get().map(Arc::as_ref)
    }

    /// Runs an operation of the manager and settles a promise with its outcome.
    pub(crate) fn run<T, F, O>(&self, env: &Env, operation: O) -> napi::Result<AsyncBlock<T>>
    where
        T: ToNapiValue + Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
        O: FnOnce(Arc<Manager>) -> F,
    {
        let future = operation(Arc::clone(self.manager.get()?));
        AsyncBlockBuilder::new(async move { future.await.map_err(|error| replication_error(&error)) })
            .build(env)
    }
}

fn progress_listener(function: ProgressFunction) -> ProgressListener {
    Arc::new(move |progress| {
        if let Ok(text) = serde_json::to_string(&progress) {
            function.call(text, ThreadsafeFunctionCallMode::NonBlocking);
        }
    })
}

pub(crate) fn settle<T>(result: Result<T>) -> napi::Result<T> {
    result.map_err(|error| replication_error(&error))
}

fn parse(what: &str, text: &str) -> napi::Result<serde_json::Value> {
    serde_json::from_str(text).map_err(|error| {
        replication_error(&Error::Config {
            field: what.to_owned(),
            problem: format!("is not valid: {error}"),
        })
    })
}

pub(crate) fn json<T: Serialize>(report: &T) -> Result<String> {
    serde_json::to_string(report).map_err(|error| Error::Task(error.to_string()))
}
