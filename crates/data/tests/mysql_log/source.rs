//! Databases of a server that logs the changes of rows.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use data::{ConnectionConfig, Dialect, DialectKind};

use crate::mariadb_server::MariadbServer;

/// The server is stopped by its watchdog when the test process ends, as statics are never dropped.
pub(crate) fn server() -> &'static MariadbServer {
    static SERVER: OnceLock<MariadbServer> = OnceLock::new();
    SERVER.get_or_init(MariadbServer::start_logging)
}

/// A database of its own for one test.
pub(crate) async fn database() -> Arc<dyn Dialect> {
    database_on(server()).await
}

pub(crate) async fn database_on(server: &MariadbServer) -> Arc<dyn Dialect> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("log_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    server.sql(&format!("CREATE DATABASE {name}"));
    open(server, "root", &name).await
}

pub(crate) async fn open(server: &MariadbServer, user: &str, database: &str) -> Arc<dyn Dialect> {
    let uri = format!("mariadb://{user}@127.0.0.1:{}/{database}", server.port());
    data::connect(&ConnectionConfig::new(DialectKind::Mariadb, uri)).await.unwrap()
}

/// The name of a database.
pub(crate) async fn name_of(dialect: &Arc<dyn Dialect>) -> String {
    let rows = dialect.execute_query("SELECT DATABASE()", Vec::new()).await.unwrap();
    rows[0].values().next().unwrap().as_text().unwrap().to_owned()
}
