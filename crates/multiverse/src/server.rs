//! The configuration of one server of a cluster.

use std::fmt;
use std::time::Duration;

use crate::config::{Section, TlsConfig, usize_of, whole};

/// How one server is reached.
#[derive(Clone, PartialEq)]
pub struct ServerConfig {
    /// Name, address, or the folder of a unix socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// The role's password.
    pub password: Option<String>,
    /// The server's share of the reads under weighted balancing, 1 when not given.
    pub weight: f64,
    /// TLS, `None` for a plain connection.
    pub tls: Option<TlsConfig>,
    /// The most connections, in place of the cluster's pool setting.
    pub max_connections: Option<usize>,
    /// The connections kept open, in place of the cluster's pool setting.
    pub min_connections: Option<usize>,
    /// How long opening a connection may take, in place of the cluster's pool setting.
    pub connection_timeout: Option<Duration>,
    /// After how long an unused connection is closed, in place of the cluster's pool setting.
    pub idle_timeout: Option<Duration>,
    /// The `search_path` of its connections; the server's own default when empty.
    pub search_path: Vec<String>,
}

impl ServerConfig {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Self {
        let host = section.required_text("host", "a name, an address, or the folder of a unix socket");
        let port = read_port(&mut section);
        let database = section.required_text("database", "the database to connect to");
        let user = section.required_text("user", "the role to connect as");
        if section.value("password").is_none() {
            section.error("password", "is required: an empty string where the server asks for none");
        }
        let most = "must be a positive number";
        let max_connections = section.count("maxConnections", 1, most).map(usize_of);
        let min_connections = section.count("minConnections", 0, "must be a number from 0").map(usize_of);
        if let (Some(min), Some(max)) = (min_connections, max_connections)
            && min > max
        {
            section.error("minConnections", &format!("must not be more than maxConnections: {min} > {max}"));
        }
        let weight = section.number("weight", 0.0, f64::INFINITY);
        let server = Self {
            host,
            port,
            database,
            user,
            password: section.text("password").filter(|password| !password.is_empty()),
            weight: weight.unwrap_or(1.0),
            tls: TlsConfig::read(&mut section),
            max_connections,
            min_connections,
            connection_timeout: section.duration_or_never("connectionTimeoutMillis"),
            idle_timeout: section.duration_or_never("idleTimeoutMillis"),
            search_path: section.names("searchPath").unwrap_or_default(),
        };
        section.warn_of_unknown();
        server
    }
}

fn read_port(section: &mut Section<'_, '_>) -> u16 {
    let Some(value) = section.value("port") else {
        section.error("port", "is required: PostgreSQL's own default is 5432");
        return 0;
    };
    let port = whole(value).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    if port.is_none() {
        section.error("port", "must be a number between 1 and 65535");
    }
    port.unwrap_or_default()
}

impl fmt::Debug for ServerConfig {
    /// Leaves out the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .field("user", &self.user)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}
