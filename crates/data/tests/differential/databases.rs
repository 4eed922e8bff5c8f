//! The databases that must agree, each on a server of its own.

use std::sync::{Arc, OnceLock};

use data::{ConnectionConfig, Dialect, DialectKind};

#[path = "../sql_dialects/mariadb_server.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod mariadb_server;
#[path = "../mongodb/support.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod mongodb_server;
#[path = "../../../wire/tests/support/mod.rs"]
#[allow(dead_code, reason = "the module serves other tests as well")]
mod postgres_server;

/// A connected database.
pub(crate) struct Target {
    pub(crate) kind: DialectKind,
    pub(crate) dialect: Arc<dyn Dialect>,
    _folder: Option<tempfile::TempDir>,
}

/// A database, or a transaction on it.
pub(crate) struct View<'a> {
    pub(crate) kind: DialectKind,
    pub(crate) dialect: &'a dyn Dialect,
    /// Whether it is a transaction.
    pub(crate) pinned: bool,
}

impl Target {
    pub(crate) fn view(&self) -> View<'_> {
        View { kind: self.kind, dialect: &*self.dialect, pinned: false }
    }
}

/// Every database; another one is one more line.
pub(crate) async fn targets() -> Vec<Target> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.db").display().to_string();
    vec![
        connect(DialectKind::Sqlite, file, Some(folder)).await,
        connect(DialectKind::Postgres, postgres_uri(), None).await,
        connect(DialectKind::Mariadb, mariadb_uri(), None).await,
        connect(DialectKind::Mongodb, mongodb_server::Server::replica_set().uri("differential", ""), None)
            .await,
    ]
}

async fn connect(kind: DialectKind, uri: String, folder: Option<tempfile::TempDir>) -> Target {
    let dialect = data::connect(&ConnectionConfig::new(kind, uri)).await.unwrap();
    Target { kind, dialect, _folder: folder }
}

/// The cluster is stopped by its watchdog when the test process ends, as statics are never dropped.
fn postgres_uri() -> String {
    static CLUSTER: OnceLock<postgres_server::Cluster> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| {
        let settings = "max_connections=50\nshared_buffers=32MB\nautovacuum=off\nfsync=off\n";
        let hba = "local all all trust\nhost all all 127.0.0.1/32 trust\n";
        postgres_server::Cluster::start(settings, hba, |_| {})
    });
    format!("postgres://postgres@127.0.0.1:{}/postgres", cluster.port())
}

/// As the cluster of PostgreSQL, the server is stopped by its watchdog.
fn mariadb_uri() -> String {
    static SERVER: OnceLock<mariadb_server::MariadbServer> = OnceLock::new();
    let server = SERVER.get_or_init(mariadb_server::MariadbServer::start);
    server.sql("CREATE DATABASE IF NOT EXISTS differential");
    format!("mariadb://root@127.0.0.1:{}/differential", server.port())
}
