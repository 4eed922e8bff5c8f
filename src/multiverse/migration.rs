//! Migrations as JavaScript asks for them: calls and events as JSON text, functions of migrations by a callback.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use multiverse::migration::lint::{LintTarget, lint, rules};
use multiverse::migration::{
    Error, Event, Failure, Host, Migration, Migrator, ScriptCall, ScriptError, ScriptSession, Settings,
    UpkeepOptions,
};
use napi::bindgen_prelude::Promise;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};

use super::failure::server_report;
use super::{NativeMultiverse, lock, promise};

/// Runs a function of a migration, or hears of an event; both as JSON text. A function's promise does not reject: what was
/// thrown is its answer.
type HostFunction = ThreadsafeFunction<String, Promise<String>, String, Status, false, true>;

/// The connections of functions that run, by the number of the call.
type Calls = Arc<Mutex<HashMap<u32, Arc<ScriptSession>>>>;

/// The migrations of an application on the clusters of an engine.
#[napi]
pub struct NativeMigrator {
    migrator: Arc<Migrator>,
    calls: Calls,
}

struct JsHost {
    function: HostFunction,
    calls: Calls,
    next: AtomicU32,
}

/// What a function threw.
#[derive(Deserialize)]
struct Thrown {
    message: String,
    code: Option<String>,
    thrown: Option<u32>,
}

#[async_trait]
impl Host for JsHost {
    async fn run(&self, call: ScriptCall) -> Result<(), ScriptError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let text = json!({
            "call": number,
            "version": call.version,
            "direction": call.direction,
            "schema": &*call.place.schema,
            "cluster": &*call.place.cluster,
            "session": call.session.session(),
            "processId": call.session.process_id(),
        });
        lock(&self.calls).insert(number, call.session);
        let answer = self.ask(text.to_string()).await;
        lock(&self.calls).remove(&number);
        let unreadable = |problem: String| ScriptError { message: problem, code: None, thrown: None };
        let answer = answer.map_err(|error| unreadable(error.reason.clone()))?;
        match serde_json::from_str::<Option<Thrown>>(&answer) {
            Ok(None) => Ok(()),
            Ok(Some(Thrown { message, code, thrown })) => Err(ScriptError { message, code, thrown }),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    async fn lint_targets(&self, versions: Vec<String>) -> Vec<LintTarget> {
        // Without an answer nothing is found, and the migrations run as they are.
        let answer = self.ask(json!({ "lint": versions }).to_string()).await.unwrap_or_default();
        serde_json::from_str(&answer).unwrap_or_default()
    }

    fn tell(&self, event: Event) {
        // Texts, numbers and names always have a JSON form.
        let text = serde_json::to_string(&event).unwrap_or_default();
        // Once JavaScript's environment ends, nobody is there to hear.
        self.function.call(text, ThreadsafeFunctionCallMode::NonBlocking);
    }
}

impl JsHost {
    async fn ask(&self, text: String) -> napi::Result<String> {
        self.function.call_async_catch(text).await?.await
    }
}

#[napi]
impl NativeMigrator {
    /// Takes the settings and the migrations as JSON text.
    ///
    /// # Errors
    /// This throws, as every other method does, or the promise rejects, with a failure as JSON text.
    #[napi(constructor)]
    pub fn new(
        engine: &NativeMultiverse,
        settings: String,
        migrations: String,
        #[napi(ts_arg_type = "(text: string) => Promise<string>")] host: HostFunction,
    ) -> napi::Result<Self> {
        let calls = Calls::default();
        let host = JsHost { function: host, calls: Arc::clone(&calls), next: AtomicU32::new(1) };
        let settings: Settings = read("settings", &settings)?;
        let migrations: Vec<Migration> = read("migrations", &migrations)?;
        let migrator = Migrator::new(engine.engine(), settings, migrations, Arc::new(host));
        Ok(Self { migrator: Arc::new(migrator.map_err(|error| failed(&error))?), calls })
    }

    /// The versions of the migrations in the order in which they are applied.
    #[napi]
    pub fn versions(&self) -> Vec<String> {
        self.migrator.migrations().iter().map(|migration| migration.version.clone()).collect()
    }

    /// Carries out a command: `migrate`, `rollback`, `status`, `reports`, `repair`, `baseline` or `mark`. Options come, and
    /// the outcome leaves, as JSON text.
    #[napi]
    pub fn run(
        &self,
        env: &Env,
        command: String,
        options: String,
    ) -> napi::Result<napi::bindgen_prelude::AsyncBlock<String>> {
        let migrator = Arc::clone(&self.migrator);
        promise(env, move |reply| {
            napi::bindgen_prelude::spawn(async move {
                reply(run(&migrator, &command, &options).await);
            });
        })
    }

    /// The function of a call is about to run a statement that is none for the transaction around it.
    #[napi]
    pub fn leave_transaction(
        &self,
        env: &Env,
        call: u32,
    ) -> napi::Result<napi::bindgen_prelude::AsyncBlock<()>> {
        let session = lock(&self.calls).get(&call).cloned();
        promise(env, move |reply| {
            napi::bindgen_prelude::spawn(async move {
                let left = match session {
                    Some(session) => session.leave_transaction().await,
                    None => Err(Error::Invalid("the function of the migration has ended".to_owned())),
                };
                reply(left.map_err(|error| failed(&error)));
            });
        })
    }
}

/// Whether a text of SQL ends the transaction it runs in, begins one, or cannot run in any.
#[napi]
pub fn leaves_transaction(sql: String) -> bool {
    multiverse::migration::leaves_transaction(&sql)
}

/// Holds what migrations would run against the rules. Targets and options come, and the report leaves, as JSON text.
///
/// # Errors
/// The targets or options are not as they must be.
#[napi]
pub fn lint_migrations(targets: String, options: String) -> napi::Result<String> {
    let targets: Vec<LintTarget> = read("targets", &targets)?;
    written(&lint(&targets, &read("options", &options)?))
}

/// The rules of lint, as JSON text.
///
/// # Errors
/// None that can happen: rules are texts.
#[napi]
pub fn lint_rules() -> napi::Result<String> {
    written(&rules().collect::<Vec<_>>())
}

/// The statements of a text of SQL with their lines, as JSON text.
///
/// # Errors
/// None that can happen: statements are texts.
#[napi]
pub fn split_statements(sql: String) -> napi::Result<String> {
    written(&multiverse::migration::split_statements(&sql))
}

/// What stands in a migration file of plain SQL, as JSON text.
///
/// # Errors
/// A section comes twice, or SQL stands outside of sections.
#[napi]
pub fn read_sql_migration(text: String) -> napi::Result<String> {
    let file = multiverse::migration::read_sql_file(&text).map_err(|error| failed(&error))?;
    written(&file)
}

async fn run(migrator: &Migrator, command: &str, options: &str) -> napi::Result<String> {
    let upkeep = || read::<UpkeepOptions>("options", options);
    let status = match command {
        "migrate" => migrator.migrate(&read("options", options)?).await,
        "rollback" => migrator.rollback(&read("options", options)?).await,
        "repair" => migrator.repair(&upkeep()?).await,
        "baseline" => migrator.baseline(&upkeep()?).await,
        "mark" => migrator.mark(&upkeep()?).await,
        "status" | "reports" => {
            let UpkeepOptions { target_schemas, target_clusters, .. } = upkeep()?;
            let (schemas, clusters) = (target_schemas.as_deref(), target_clusters.as_deref());
            if command == "reports" {
                let reports = migrator.reports(schemas, clusters).await.map_err(|error| failed(&error))?;
                return written(&reports);
            }
            migrator.status(schemas, clusters).await
        }
        other => return Err(failed(&Error::Invalid(format!("there is no command {other}")))),
    };
    written(&status.map_err(|error| failed(&error))?)
}

fn read<T: DeserializeOwned>(what: &str, text: &str) -> napi::Result<T> {
    serde_json::from_str(text).map_err(|error| failed(&Error::Invalid(format!("{what}: {error}"))))
}

fn written(value: &impl serde::Serialize) -> napi::Result<String> {
    serde_json::to_string(value).map_err(|error| napi::Error::from_reason(error.to_string()))
}

/// The Node-API error that carries an error of migrations.
fn failed(error: &Error) -> napi::Error {
    napi::Error::from_reason(error_json(error).to_string())
}

fn error_json(error: &Error) -> Json {
    let failures: Vec<Json> = match error {
        Error::Failed(failures) => failures.iter().map(failure_json).collect(),
        _ => Vec::new(),
    };
    json!({
        "kind": "Migration",
        "code": error.code(),
        "message": error.to_string(),
        "retryable": error.is_retryable(),
        "thrown": thrown(error),
        "server": error.server_error().map(server_report),
        "failures": failures,
    })
}

fn failure_json(failure: &Failure) -> Json {
    json!({
        "version": failure.version,
        "name": failure.name,
        "schema": &*failure.place.schema,
        "cluster": &*failure.place.cluster,
        "error": error_json(&failure.error),
    })
}

fn thrown(error: &Error) -> Option<u32> {
    match error {
        Error::Script(script) => script.thrown,
        _ => None,
    }
}
