//! Opening a connection: hosts in order, addresses in order, TLS, authentication, and the kind of session wanted.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use super::{CancelToken, Connection, StatementCache};
use crate::config::{ConnectConfig, Host, ReplicationMode, SslMode, TargetSessionAttributes};
use crate::error::{Error, Result};
use crate::protocol::auth::Authenticator;
use crate::protocol::message::BackendMessage;
use crate::protocol::state::{Event, ProtocolState};
use crate::socket::{Encryption, Endpoint, Socket};
use crate::tls::TlsClient;
use crate::transfer::Sending;

impl Connection {
    /// Connects to the first host that accepts and offers the kind of session wanted.
    ///
    /// # Errors
    /// That of the last host tried. A host that refuses the user ends the search, as with libpq: the next would
    /// refuse too, and wrong passwords may lock the user out.
    pub async fn connect(config: &ConnectConfig) -> Result<Self> {
        let passes: &[TargetSessionAttributes] = match config.target_session_attributes {
            TargetSessionAttributes::PreferStandby => {
                &[TargetSessionAttributes::Standby, TargetSessionAttributes::Any]
            }
            TargetSessionAttributes::Any => &[TargetSessionAttributes::Any],
            TargetSessionAttributes::ReadWrite => &[TargetSessionAttributes::ReadWrite],
            TargetSessionAttributes::ReadOnly => &[TargetSessionAttributes::ReadOnly],
            TargetSessionAttributes::Primary => &[TargetSessionAttributes::Primary],
            TargetSessionAttributes::Standby => &[TargetSessionAttributes::Standby],
        };
        let mut last = Error::config("host", "there is none");
        for wanted in passes {
            for host in &config.hosts {
                match connect_to_host(config, host, *wanted).await {
                    Ok(connection) => return Ok(connection),
                    Err(error) if allows_next_host(&error) => {
                        tracing::debug!(%host, %error, "the host is left out");
                        last = error;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Err(last)
    }
}

fn allows_next_host(error: &Error) -> bool {
    match error {
        Error::Io { .. } | Error::Timeout { .. } | Error::Closed(_) | Error::UnsuitableHost(_) => true,
        // The server is starting, stopping or recovering.
        Error::Server(error) => error.code == "57P03",
        _ => false,
    }
}

async fn connect_to_host(
    config: &ConnectConfig,
    host: &Host,
    wanted: TargetSessionAttributes,
) -> Result<Connection> {
    let encryptions = encryptions(config, host)?;
    let mut last = Error::config("host", format!("{host} has no address"));
    for endpoint in endpoints(config, host).await? {
        match connect_to_endpoint(config, host, &endpoint, &encryptions, wanted).await {
            Ok(connection) => return Ok(connection),
            Err(error) if allows_next_host(&error) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// The attempts to make, with and without TLS, in their order.
fn encryptions(config: &ConnectConfig, host: &Host) -> Result<Vec<Encryption>> {
    let Host::Tcp { name, .. } = host else { return Ok(vec![Encryption::None]) };
    let client = || TlsClient::new(config, name);
    Ok(match config.ssl_mode {
        SslMode::Disable => vec![Encryption::None],
        SslMode::Allow => vec![Encryption::None, Encryption::Required(client()?)],
        SslMode::Prefer => vec![Encryption::Offered(client()?), Encryption::None],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => vec![Encryption::Required(client()?)],
    })
}

async fn endpoints(config: &ConnectConfig, host: &Host) -> Result<Vec<Endpoint>> {
    let keep_alive = config.keep_alive;
    match host {
        Host::Unix { directory, port } => {
            Ok(vec![Endpoint::Unix { path: directory.join(format!(".s.PGSQL.{port}")) }])
        }
        Host::Tcp { address: Some(address), port, .. } => {
            Ok(vec![Endpoint::Tcp { address: SocketAddr::new(*address, *port), keep_alive }])
        }
        Host::Tcp { name, port, .. } => {
            let context = format!("looking up {name}");
            let addresses = within(config.connect_timeout, &context, async {
                tokio::net::lookup_host((name.as_str(), *port))
                    .await
                    .map_err(|error| Error::io(context.clone(), error))
            })
            .await?;
            Ok(addresses.map(|address| Endpoint::Tcp { address, keep_alive }).collect())
        }
    }
}

async fn connect_to_endpoint(
    config: &ConnectConfig,
    host: &Host,
    endpoint: &Endpoint,
    encryptions: &[Encryption],
    wanted: TargetSessionAttributes,
) -> Result<Connection> {
    let mut result = Err(Error::config("sslmode", "it allows no attempt"));
    for encryption in encryptions {
        let attempt = async {
            let socket = Socket::connect(endpoint, encryption).await?;
            let mut connection = start(config, host, endpoint, encryption, socket).await?;
            connection.check_session(host, wanted).await?;
            Ok(connection)
        };
        result = within(config.connect_timeout, &format!("connecting to {host}"), attempt).await;
        match &result {
            Err(error) if depends_on_encryption(error) => {}
            _ => break,
        }
    }
    result
}

/// Whether the same attempt with TLS instead of without, or the other way round, may end differently.
fn depends_on_encryption(error: &Error) -> bool {
    match error {
        Error::Tls(_) => true,
        // No line of pg_hba.conf matches, which may be because of the encryption.
        Error::Server(error) => error.code == "28000",
        _ => false,
    }
}

async fn within<T>(
    limit: Option<Duration>,
    context: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match limit {
        None => work.await,
        Some(limit) => timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(Error::Timeout { context: context.to_owned(), limit })),
    }
}

/// Sends the start-up message and authenticates.
async fn start(
    config: &ConnectConfig,
    host: &Host,
    endpoint: &Endpoint,
    encryption: &Encryption,
    socket: Socket,
) -> Result<Connection> {
    let password = config.password_for(host);
    let end_point = socket.end_point();
    let mut authenticator =
        Authenticator::new(&config.user, password.as_deref(), config.channel_binding, end_point);
    let mut connection = Connection {
        cancel_token: CancelToken::unknown(endpoint, encryption, &socket, config.connect_timeout),
        socket,
        state: ProtocolState::new(),
        statements: StatementCache::new(config.statement_cache_capacity),
        extended: false,
        abandoned_copy_in: false,
        sending: Sending::default(),
        broken: None,
        notice_handler: None,
    };
    connection.state.start(&start_parameters(config))?;
    let mut authenticated = false;
    loop {
        let event = connection.next_event().await?;
        match event {
            Event::Message(BackendMessage::Authentication(request)) if !authenticated => {
                authenticated = authenticator.answer(request, &mut connection.state.outbound)?;
            }
            Event::Message(BackendMessage::ReadyForQuery(_)) if authenticated => break,
            Event::Message(BackendMessage::ErrorResponse(error)) => return Err(connection.fail(error)),
            other => return Err(connection.unexpected(&other, "start-up")),
        }
    }
    connection.cancel_token.complete(connection.state.process_id(), connection.state.secret_key());
    Ok(connection)
}

fn start_parameters(config: &ConnectConfig) -> Vec<(&str, &str)> {
    let mut parameters = vec![
        ("user", config.user.as_str()),
        ("database", config.database.as_str()),
        ("client_encoding", "UTF8"),
    ];
    if let Some(name) = &config.application_name {
        parameters.push(("application_name", name));
    }
    if let Some(options) = &config.options {
        parameters.push(("options", options));
    }
    match config.replication {
        None => {}
        Some(ReplicationMode::Database) => parameters.push(("replication", "database")),
        Some(ReplicationMode::Physical) => parameters.push(("replication", "true")),
    }
    parameters
}

impl Connection {
    /// # Errors
    /// [`Error::UnsuitableHost`] where the session is not of the kind wanted.
    async fn check_session(&mut self, host: &Host, wanted: TargetSessionAttributes) -> Result<()> {
        let suits = match wanted {
            TargetSessionAttributes::Any | TargetSessionAttributes::PreferStandby => true,
            TargetSessionAttributes::ReadWrite => !self.is_read_only().await?,
            TargetSessionAttributes::ReadOnly => self.is_read_only().await?,
            TargetSessionAttributes::Primary => !self.is_standby().await?,
            TargetSessionAttributes::Standby => self.is_standby().await?,
        };
        if suits {
            return Ok(());
        }
        Err(Error::UnsuitableHost(format!("{host} does not offer target_session_attrs={}", wanted.name())))
    }

    /// Servers report it from version 14 on; older ones are asked.
    async fn is_standby(&mut self) -> Result<bool> {
        match self.parameter("in_hot_standby") {
            Some(value) => Ok(value == "on"),
            None => self.ask("SELECT pg_catalog.pg_is_in_recovery()", "t").await,
        }
    }

    async fn is_read_only(&mut self) -> Result<bool> {
        match (self.parameter("default_transaction_read_only"), self.parameter("in_hot_standby")) {
            (Some(read_only), Some(standby)) => Ok(read_only == "on" || standby == "on"),
            _ => self.ask("SHOW transaction_read_only", "on").await,
        }
    }

    async fn ask(&mut self, sql: &str, yes: &str) -> Result<bool> {
        let results = self.simple_query(sql).await?;
        let row = results.first().and_then(|result| result.rows.get(0));
        Ok(row.and_then(|row| row.get(0)) == Some(yes.as_bytes()))
    }
}
