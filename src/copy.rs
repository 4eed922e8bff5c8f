//! Copying in bulk, as JavaScript calls it.

use std::sync::Arc;

use data::file::FileSpec;
use data::{Dialect, EntitySchema};
use napi::bindgen_prelude::{AsyncBlock, AsyncBlockBuilder};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use replication::{ConflictResolution, CopyEnd, CopyListener, CopyOptions, CopyTarget, Error, Result, Stop};
use serde::Deserialize;

use crate::dialect::NativeDialect;
use crate::error::replication_error;
use crate::schema::NativeSchema;

/// A JavaScript function that takes progress as JSON text. It does not keep the process alive.
type ProgressFunction = ThreadsafeFunction<String, (), String, Status, false, true>;

/// Asks a copy to stop.
#[napi]
pub struct NativeStop {
    stop: Stop,
}

#[napi]
impl NativeStop {
    /// Nothing is asked yet.
    #[napi(constructor)]
    #[allow(clippy::new_without_default, reason = "only JavaScript constructs it")]
    pub fn new() -> Self {
        Self { stop: Stop::default() }
    }

    /// Asks to stop: batches on their way are finished, and no more are read.
    #[napi]
    pub fn request(&self) {
        self.stop.request();
    }
}

/// What is copied, as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(expecting = "a copy")]
struct Request {
    source: End,
    destinations: Vec<End>,
    collections: Vec<String>,
    batch_size: Option<u32>,
    existing: ConflictResolution,
    truncate: bool,
    dry_run: bool,
}

/// One end: a database by its place in the list of dialects, or files.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[serde(expecting = "an end of a copy")]
struct End {
    label: String,
    database: Option<usize>,
    #[serde(default)]
    table_prefix: String,
    #[serde(default)]
    create_tables: bool,
    files: Option<serde_json::Value>,
}

/// Copies from a database or files to others; gives the report as JSON text.
///
/// # Errors
/// The promise rejects with what the core reports when the request is malformed or the source cannot be read.
#[napi]
pub fn copy_data(
    env: &Env,
    request: String,
    dialects: Vec<&NativeDialect>,
    schemas: Vec<&NativeSchema>,
    stop: &NativeStop,
    #[napi(ts_arg_type = "((progress: string) => void) | undefined | null")] on_progress: Option<
        ProgressFunction,
    >,
) -> napi::Result<AsyncBlock<String>> {
    let dialects = dialects.into_iter().map(NativeDialect::database).collect::<napi::Result<Vec<_>>>()?;
    let schemas: Vec<_> = schemas.into_iter().map(|native| Arc::clone(&native.schema)).collect();
    let listener = on_progress.map(progress_listener);
    let stop = stop.stop.clone();
    let run = async move {
        let request: Request = serde_json::from_str(&request).map_err(|error| config("copy", &error))?;
        let source = request.source.read(&dialects, &schemas)?;
        let targets = request.destinations.into_iter().map(|destination| {
            let (label, create_tables) = (destination.label.clone(), destination.create_tables);
            Ok(CopyTarget { label, create_tables, end: destination.read(&dialects, &schemas)? })
        });
        let targets = targets.collect::<Result<Vec<_>>>()?;
        let options = CopyOptions {
            collections: request.collections,
            batch_rows: request.batch_size.map(|rows| rows as usize),
            existing: request.existing,
            truncate: request.truncate,
            dry_run: request.dry_run,
        };
        let report = replication::copy(source, targets, options, listener, stop).await?;
        serde_json::to_string(&report).map_err(|error| Error::Task(error.to_string()))
    };
    AsyncBlockBuilder::new(async move { run.await.map_err(|error| replication_error(&error)) }).build(env)
}

impl End {
    fn read(self, dialects: &[Arc<dyn Dialect>], schemas: &[Arc<EntitySchema>]) -> Result<CopyEnd> {
        let schemas = schemas.iter().map(|schema| prefixed(schema, &self.table_prefix)).collect();
        match (self.database.map(|position| dialects.get(position)), self.files) {
            (Some(Some(dialect)), None) => Ok(CopyEnd::Database { dialect: Arc::clone(dialect), schemas }),
            (None, Some(files)) => {
                let spec = FileSpec::from_json(files).map_err(|error| config(&self.label, &error))?;
                Ok(CopyEnd::Files { spec, schemas })
            }
            _ => Err(config(&self.label, &"expected a database or files")),
        }
    }
}

/// The entity with the table that it has at one end.
fn prefixed(schema: &Arc<EntitySchema>, prefix: &str) -> Arc<EntitySchema> {
    if prefix.is_empty() {
        return Arc::clone(schema);
    }
    let mut prefixed = EntitySchema::clone(schema);
    prefixed.collection.insert_str(0, prefix);
    for through in prefixed.relations.values_mut().filter_map(|relation| relation.through.as_mut()) {
        through.insert_str(0, prefix);
    }
    Arc::new(prefixed)
}

fn config(field: &str, problem: &dyn std::fmt::Display) -> Error {
    Error::Config { field: field.to_owned(), problem: problem.to_string() }
}

fn progress_listener(function: ProgressFunction) -> CopyListener {
    Arc::new(move |progress| {
        if let Ok(text) = serde_json::to_string(&progress) {
            function.call(text, ThreadsafeFunctionCallMode::NonBlocking);
        }
    })
}
