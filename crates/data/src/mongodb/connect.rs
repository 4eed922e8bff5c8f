//! Connecting: the URI, the pool, the first round trip, and what every operation needs of the connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{ClientOptions, WriteConcern};
use mongodb::{Client, Collection, Database};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::error::{driver_error, number};
use crate::config::{ConnectionConfig, SchemaStrategy};
use crate::error::{Error, ErrorKind, Result, pool_exhausted};
use crate::schema::EntitySchema;

const DEFAULT_DATABASE: &str = "test";
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// An open connection to one database.
pub(super) struct Connection {
    client: Client,
    pub(super) database: Database,
    pub(super) strategy: SchemaStrategy,
    /// Whether the server has transactions: it is a replica set or a sharded cluster.
    pub(super) has_transactions: bool,
    /// Whether it is a sharded cluster.
    pub(super) is_sharded: bool,
    /// The newest version of the protocol that the server speaks.
    pub(super) wire_version: i64,
    write_concern: Option<WriteConcern>,
    /// The addresses that the URI names, in order.
    hosts: String,
    table_prefix: String,
    show_sql: bool,
    /// One for each connection of the pool: the driver itself would wait for one without end.
    slots: Semaphore,
    pool_size: usize,
    acquire_timeout: Duration,
    closed: AtomicBool,
    /// The collections that `create-drop` removes at the end.
    registered: Mutex<Vec<String>>,
}

impl Connection {
    /// Connects and makes one round trip, so that a wrong address or password fails here.
    pub(super) async fn open(config: &ConnectionConfig) -> Result<Self> {
        let options = client_options(config).await?;
        let name = options.default_database.clone().unwrap_or_else(|| DEFAULT_DATABASE.to_owned());
        let write_concern = options.write_concern.clone();
        let mut hosts: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
        hosts.sort_unstable();
        let pool_size = options.max_pool_size.map_or(config.pool.max, |max| max as usize).max(1);
        let client = Client::with_options(options).map_err(|error| config_error(&error, config))?;
        let database = client.database(&name);
        // The driver proves the password on the connection that carries this command.
        let hello = match database.run_command(doc! {"hello": 1}).await {
            Ok(hello) => hello,
            Err(error) => {
                client.shutdown().immediate(true).await;
                return Err(without_password(driver_error(&error), config));
            }
        };
        let sharded = hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
        Ok(Self {
            client,
            database,
            strategy: config.schema_strategy,
            has_transactions: sharded || hello.contains_key("setName"),
            is_sharded: sharded,
            wire_version: number(&hello, "maxWireVersion").unwrap_or(0),
            write_concern,
            hosts: hosts.join(","),
            table_prefix: config.table_prefix.clone(),
            show_sql: config.show_sql,
            slots: Semaphore::new(pool_size.min(Semaphore::MAX_PERMITS)),
            pool_size,
            acquire_timeout: config.acquire_timeout,
            closed: AtomicBool::new(false),
            registered: Mutex::default(),
        })
    }

    /// The driver's client, for sessions.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The addresses that the URI names, in order.
    pub(super) fn hosts(&self) -> &str {
        &self.hosts
    }

    /// Waits until a connection of the pool is free for an operation.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if none becomes free in time, [`ErrorKind::Closed`] after [`close`](Self::close).
    pub(super) async fn slot(&self) -> Result<SemaphorePermit<'_>> {
        self.check_open()?;
        match timeout(self.acquire_timeout, self.slots.acquire()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(pool_exhausted(self.pool_size, self.acquire_timeout)),
        }
    }

    /// The name of an entity's collection.
    pub(super) fn collection_name(&self, schema: &EntitySchema) -> String {
        format!("{}{}", self.table_prefix, schema.collection)
    }

    /// What the names of the application's collections begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.table_prefix
    }

    /// The full name of a collection that is given without the prefix.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] for what cannot be a name.
    pub(super) fn prefixed(&self, collection: &str) -> Result<String> {
        if collection.is_empty() || collection.contains(['\0', '$']) || collection.starts_with("system.") {
            return Err(Error::new(ErrorKind::Config, format!("{collection:?} is no name of a collection")));
        }
        Ok(format!("{}{collection}", self.table_prefix))
    }

    /// A collection by its full name.
    pub(super) fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.database.collection(name)
    }

    /// The URI's write concern for a command that the driver sends as it is.
    pub(super) fn write_concern(&self) -> Option<Document> {
        let concern = self.write_concern.as_ref()?;
        match mongodb::bson::serialize_to_bson(concern) {
            Ok(Bson::Document(concern)) if !concern.is_empty() => Some(concern),
            _ => None,
        }
    }

    /// Fails after [`close`](Self::close).
    pub(super) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    /// Reports a command where `showSql` asks for it, without its values.
    pub(super) fn trace(&self, command: &str, collection: &str) {
        if self.show_sql {
            tracing::debug!(target: "replicaverse::sql", dialect = "mongodb", command, collection);
        }
    }

    /// Remembers the collections of registered entities for `create-drop`.
    pub(super) fn register(&self, collections: &[String]) {
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        for name in collections {
            if !registered.contains(name) {
                registered.push(name.clone());
            }
        }
    }

    /// Closes every connection, after dropping the registered collections under `create-drop`.
    pub(super) async fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.slots.close();
        let mut outcome = Ok(());
        if self.strategy == SchemaStrategy::CreateDrop {
            let registered =
                std::mem::take(&mut *self.registered.lock().unwrap_or_else(PoisonError::into_inner));
            for name in registered {
                self.trace("drop", &name);
                let dropped = self
                    .collection(&name)
                    .drop()
                    .await
                    .map_err(|error| driver_error(&error).in_context(&name));
                outcome = outcome.and(dropped);
            }
        }
        self.client.clone().shutdown().immediate(true).await;
        outcome
    }
}

/// The URI's options; what it leaves open comes from the configuration. A pool size in the URI wins.
async fn client_options(config: &ConnectionConfig) -> Result<ClientOptions> {
    if !config.uri.starts_with("mongodb://") && !config.uri.starts_with("mongodb+srv://") {
        return Err(Error::new(
            ErrorKind::Config,
            "uri: expected mongodb://host/database or mongodb+srv://host/database",
        ));
    }
    let mut options =
        ClientOptions::parse(&config.uri).await.map_err(|error| config_error(&error, config))?;
    let max = *options.max_pool_size.get_or_insert(pool_size(config.pool.max));
    options.min_pool_size.get_or_insert(pool_size(config.pool.min).min(max));
    options.server_selection_timeout.get_or_insert(SERVER_SELECTION_TIMEOUT);
    options.connect_timeout.get_or_insert(SERVER_SELECTION_TIMEOUT);
    options.app_name.get_or_insert_with(|| "replicaverse".to_owned());
    Ok(options)
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the connection to MongoDB is closed")
}

fn pool_size(connections: usize) -> u32 {
    u32::try_from(connections).unwrap_or(u32::MAX).max(1)
}

/// The driver calls a malformed URI an invalid argument; a name that no DNS server knows is a matter of connection.
fn config_error(error: &mongodb::error::Error, config: &ConnectionConfig) -> Error {
    let mapped = driver_error(error);
    let kind = if mapped.kind() == ErrorKind::Statement { ErrorKind::Config } else { mapped.kind() };
    without_password(Error::new(kind, mapped.to_string()).in_context("uri"), config)
}

/// The error with the password taken out, in case a message quotes the URI.
fn without_password(error: Error, config: &ConnectionConfig) -> Error {
    let message = error.to_string();
    let masked = user_info_passwords(&config.uri)
        .into_iter()
        .filter(|password| !password.is_empty())
        .fold(message.clone(), |text, password| text.replace(&password, "***"));
    if masked == message {
        return error;
    }
    let mut cleaned = Error::new(error.kind(), masked);
    if let Some(report) = error.report() {
        cleaned = cleaned.with_report(report.clone());
    }
    cleaned
}

/// What may be the password of a URI, as written and decoded. In a malformed URI an unescaped `@` or `/` may belong
/// to it, so every reading is taken.
fn user_info_passwords(uri: &str) -> Vec<String> {
    let Some((_, rest)) = uri.split_once("://") else { return Vec::new() };
    let Some((_, after_user)) = rest.split_once(':') else { return Vec::new() };
    let mut passwords = Vec::new();
    for (end, _) in after_user.match_indices('@').rev() {
        let written = &after_user[..end];
        passwords.push(written.to_owned());
        passwords.push(percent_encoding::percent_decode_str(written).decode_utf8_lossy().into_owned());
        passwords.extend(written.split(['@', '/', ':']).filter(|part| part.len() > 3).map(str::to_owned));
    }
    passwords
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::DialectKind;

    async fn refused(uri: &str) -> Error {
        Connection::open(&ConnectionConfig::new(DialectKind::Mongodb, uri))
            .await
            .err()
            .expect("the URI is malformed")
    }

    #[tokio::test]
    async fn a_malformed_uri_is_a_configuration_error_without_the_password() {
        for uri in [
            "postgres://u:s3cret@h/d",
            "mongodb://u:s3cret@x@host/db",
            "mongodb://u:s3cret/y@host/db",
            "mongodb://u:s3cret@host:notaport/db",
            "mongodb://u:s3cret@host/db?readPreference=nearby",
            "mongodb://",
        ] {
            let error = refused(uri).await;
            assert_eq!(error.kind(), ErrorKind::Config, "{uri}: {error}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
