//! Where and how to connect: [`ConnectConfig`], read from what libpq reads.

mod build;
mod dsn;
mod password_file;
mod redacted;
mod service_file;
mod settings;
#[cfg(test)]
mod tests;
mod uri;

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::tls::TlsClient;
use settings::Settings;

/// A server to try: hosts are tried in their order until one accepts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A server on the network.
    Tcp {
        /// The name or address, which the server's certificate must bear with `verify-full`.
        name: String,
        /// The address to connect to, where the name must not be looked up.
        address: Option<IpAddr>,
        /// The port.
        port: u16,
    },
    /// A server on this machine.
    Unix {
        /// The directory of the socket.
        directory: PathBuf,
        /// The port, which is part of the socket's name.
        port: u16,
    },
}

/// Whether TLS is used and what it must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SslMode {
    /// Never TLS.
    Disable,
    /// TLS only where the server refuses to go without.
    Allow,
    /// TLS where the server has it, else without.
    #[default]
    Prefer,
    /// Only TLS. The certificate is verified only where root certificates are given.
    Require,
    /// Only TLS, with a certificate that a trusted root has signed.
    VerifyCa,
    /// As `VerifyCa`, and the certificate must bear the host's name.
    VerifyFull,
}

/// The roots that a server's certificate is verified against.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum RootCertificates {
    /// None: the certificate is not verified.
    #[default]
    None,
    /// Those of a PEM file.
    File(PathBuf),
    /// Those of this PEM text.
    Pem(String),
    /// Those of the operating system.
    System,
}

/// Whether SCRAM is bound to the TLS channel, so that nobody in the middle can pass it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ChannelBinding {
    /// Never.
    Disable,
    /// Where the server offers it.
    #[default]
    Prefer,
    /// Always; anything else fails.
    Require,
}

/// Which session is acceptable among several hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TargetSessionAttributes {
    /// Any.
    #[default]
    Any,
    /// Transactions write by default.
    ReadWrite,
    /// Transactions only read by default.
    ReadOnly,
    /// The server is not in recovery.
    Primary,
    /// The server is in recovery.
    Standby,
    /// A standby where there is one, else any.
    PreferStandby,
}

/// TCP keep-alive; what is `None` is left to the operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeepAlive {
    /// Whether it is on.
    pub enabled: bool,
    /// Idle time before the first probe.
    pub idle: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
    /// Probes lost before the connection counts as dead.
    pub count: Option<u32>,
    /// How long what was sent may stay unacknowledged before the connection counts as dead; probes are only sent while
    /// nothing is. Linux and Android have this.
    pub unacknowledged: Option<Duration>,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { enabled: true, idle: None, interval: None, count: None, unacknowledged: None }
    }
}

/// Which replication protocol the session speaks besides SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicationMode {
    /// Logical replication, bound to a database.
    Database,
    /// Physical replication.
    Physical,
}

/// Everything needed to open a connection.
///
/// `Debug` and [`ConnectConfig::redacted_uri`] do not show the password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectConfig {
    /// The servers to try, in order; never empty when parsed.
    pub hosts: Vec<Host>,
    /// The role.
    pub user: String,
    pub(crate) password: Option<String>,
    /// The database.
    pub database: String,
    /// The name shown in `pg_stat_activity`.
    pub application_name: Option<String>,
    /// Command-line options for the session, as `-c statement_timeout=5s`.
    pub options: Option<String>,
    /// How long to wait for each address of each host; without limit when `None`.
    pub connect_timeout: Option<Duration>,
    /// Whether TLS is used.
    pub ssl_mode: SslMode,
    /// What the server's certificate is verified against.
    pub root_certificates: RootCertificates,
    /// The PEM files of the client's certificate and its key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// The client's certificate and its key as PEM text, in place of the files.
    pub(crate) client_identity: Option<(String, String)>,
    /// The name that the server's certificate must bear, where it is not the host's.
    pub ssl_server_name: Option<String>,
    /// Whether SCRAM must be bound to TLS.
    pub channel_binding: ChannelBinding,
    /// Which session is acceptable.
    pub target_session_attributes: TargetSessionAttributes,
    /// TCP keep-alive.
    pub keep_alive: KeepAlive,
    /// The file of passwords, read when there is no password.
    pub password_file: Option<PathBuf>,
    /// Whether the session is one of replication.
    pub replication: Option<ReplicationMode>,
    /// The most prepared statements each connection keeps; with 0 none is kept, as some poolers demand.
    pub statement_cache_capacity: usize,
}

impl ConnectConfig {
    /// Reads a connection string: a URI, or `name=value` pairs. What it leaves out comes from the service that it names, from
    /// the PG* environment variables and from libpq's defaults.
    ///
    /// # Errors
    /// [`Error::Config`] naming the parameter that is unknown or has a value that cannot be used.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_in(text, &|name| std::env::var(name).ok())
    }

    /// As [`ConnectConfig::parse`], with `environment` in place of the process's variables.
    ///
    /// # Errors
    /// As for [`ConnectConfig::parse`].
    pub fn parse_in(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let mut settings = Settings::default();
        match uri::strip_scheme(text) {
            Some(rest) => uri::read(rest, &mut settings)?,
            None => dsn::read(text, &mut settings)?,
        }
        service_file::read(&mut settings, environment)?;
        settings.add_environment(environment);
        Ok(build::build(&settings, environment)?)
    }

    /// Sets the password.
    pub fn set_password(&mut self, password: Option<String>) {
        self.password = password;
    }

    /// Sets the client's certificate, with those that lead to its root, and its private key, both PEM text.
    pub fn set_client_identity(&mut self, certificate: String, key: String) {
        self.client_identity = Some((certificate, key));
    }

    /// Reads the certificates and keys, which connecting does too.
    ///
    /// # Errors
    /// [`Error::Config`] or [`Error::Tls`] for the first that cannot be used.
    pub fn check_tls(&self) -> Result<()> {
        let mut hosts = self.hosts.iter().filter_map(|host| match host {
            Host::Tcp { name, .. } => Some(name),
            Host::Unix { .. } => None,
        });
        hosts.try_for_each(|name| TlsClient::new(self, name).map(drop))
    }

    /// The password for one host: the one set, else the one in the password file.
    pub(crate) fn password_for(&self, host: &Host) -> Option<String> {
        match &self.password {
            Some(password) => Some(password.clone()),
            None => password_file::find(self.password_file.as_deref()?, host, &self.database, &self.user),
        }
    }
}

impl FromStr for ConnectConfig {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}
