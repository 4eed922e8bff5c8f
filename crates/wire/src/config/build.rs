//! From the parameters' texts to a [`ConnectConfig`]: checks each and fills in the defaults.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::settings::Settings;
use super::{
    ChannelBinding, ConnectConfig, Host, KeepAlive, ReplicationMode, RootCertificates, SslMode,
    TargetSessionAttributes,
};
use crate::error::ConfigError;

const DEFAULT_PORT: u16 = 5432;
const DEFAULT_STATEMENT_CACHE: usize = 256;
/// Where servers put their sockets: Debian and Fedora, then PostgreSQL's own default.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

pub(super) fn build(settings: &Settings, environment: Environment<'_>) -> Result<ConnectConfig, ConfigError> {
    let files = UserFiles::new(environment);
    let user = match settings.get("user") {
        Some(user) => user.to_owned(),
        None => operating_system_user(environment)
            .ok_or_else(|| ConfigError::new("user", "it is not set, and the system's user has no name"))?,
    };
    check_encoding(settings)?;
    check_gss(settings)?;
    let root_certificates = match settings.get("sslrootcert") {
        Some("system") => RootCertificates::System,
        Some(file) => RootCertificates::File(file.into()),
        None => files.existing("root.crt").map_or(RootCertificates::None, RootCertificates::File),
    };
    Ok(ConnectConfig {
        hosts: hosts(settings)?,
        database: settings.get("dbname").unwrap_or(&user).to_owned(),
        user,
        password: settings.get("password").map(str::to_owned),
        application_name: settings
            .get("application_name")
            .or_else(|| settings.get("fallback_application_name"))
            .map(str::to_owned),
        options: settings.get("options").map(str::to_owned),
        connect_timeout: seconds(settings, "connect_timeout")?,
        ssl_mode: ssl_mode(settings, &root_certificates)?,
        client_certificate: client_certificate(settings, &files)?,
        root_certificates,
        client_identity: None,
        ssl_server_name: None,
        channel_binding: channel_binding(settings)?,
        target_session_attributes: target_session_attributes(settings)?,
        keep_alive: keep_alive(settings)?,
        password_file: settings.get("passfile").map(PathBuf::from).or_else(|| files.password_file()),
        replication: replication(settings)?,
        statement_cache_capacity: DEFAULT_STATEMENT_CACHE,
    })
}

fn hosts(settings: &Settings) -> Result<Vec<Host>, ConfigError> {
    let split =
        |name| -> Vec<&str> { settings.get(name).map(|list| list.split(',').collect()).unwrap_or_default() };
    let (names, addresses, ports) = (split("host"), split("hostaddr"), split("port"));
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        return Err(ConfigError::new(
            "hostaddr",
            format!("{} addresses do not match {} hosts", addresses.len(), names.len()),
        ));
    }
    let count = names.len().max(addresses.len()).max(1);
    if ports.len() > 1 && ports.len() != count {
        return Err(ConfigError::new("port", format!("{} ports do not match {count} hosts", ports.len())));
    }
    (0..count)
        .map(|index| {
            let port = port(if ports.len() == 1 { ports.first() } else { ports.get(index) })?;
            let name = names.get(index).copied().unwrap_or_default();
            let address = addresses.get(index).copied().unwrap_or_default();
            host(name, address, port)
        })
        .collect()
}

fn host(name: &str, address: &str, port: u16) -> Result<Host, ConfigError> {
    if !address.is_empty() {
        let address: IpAddr =
            address.parse().map_err(|_| ConfigError::new("hostaddr", "it is not an IP address"))?;
        let name = if name.is_empty() { address.to_string() } else { name.to_owned() };
        return Ok(Host::Tcp { name, address: Some(address), port });
    }
    if name.starts_with(['/', '@']) {
        return Ok(Host::Unix { directory: name.into(), port });
    }
    if name.is_empty() {
        return Ok(default_host(port));
    }
    Ok(Host::Tcp { name: name.to_owned(), address: None, port })
}

/// The socket of a server on this machine, else its TCP port.
fn default_host(port: u16) -> Host {
    let directory = SOCKET_DIRECTORIES.into_iter().map(Path::new);
    match directory
        .into_iter()
        .find(|directory| cfg!(unix) && directory.join(format!(".s.PGSQL.{port}")).exists())
    {
        Some(directory) => Host::Unix { directory: directory.to_owned(), port },
        None => Host::Tcp { name: "localhost".to_owned(), address: None, port },
    }
}

fn port(text: Option<&&str>) -> Result<u16, ConfigError> {
    let text = text.map(|text| text.trim()).unwrap_or_default();
    if text.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(ConfigError::new("port", "it must be a number from 1 to 65535")),
        Ok(port) => Ok(port),
    }
}

fn check_encoding(settings: &Settings) -> Result<(), ConfigError> {
    match settings.get("client_encoding").map(|name| name.to_ascii_lowercase().replace('-', "")) {
        None => Ok(()),
        Some(name) if matches!(name.as_str(), "utf8" | "unicode" | "auto") => Ok(()),
        Some(_) => Err(ConfigError::new("client_encoding", "only UTF8 is supported")),
    }
}

/// GSSAPI encryption is never used: that is what `disable` asks for and what `prefer` allows.
fn check_gss(settings: &Settings) -> Result<(), ConfigError> {
    match settings.get("gssencmode") {
        None | Some("disable" | "prefer") => Ok(()),
        Some("require") => Err(ConfigError::new("gssencmode", "GSSAPI encryption is not supported")),
        Some(_) => Err(one_of("gssencmode", "disable, prefer")),
    }
}

fn ssl_mode(settings: &Settings, roots: &RootCertificates) -> Result<SslMode, ConfigError> {
    let mode = match settings.get("sslmode") {
        // The system's roots sign anybody, so only the name tells the right server from another.
        None if *roots == RootCertificates::System => SslMode::VerifyFull,
        None => SslMode::default(),
        Some("disable") => SslMode::Disable,
        Some("allow") => SslMode::Allow,
        Some("prefer") => SslMode::Prefer,
        Some("require") => SslMode::Require,
        Some("verify-ca") => SslMode::VerifyCa,
        Some("verify-full") => SslMode::VerifyFull,
        Some(_) => {
            return Err(one_of("sslmode", "disable, allow, prefer, require, verify-ca, verify-full"));
        }
    };
    if *roots == RootCertificates::System && mode != SslMode::VerifyFull {
        return Err(ConfigError::new("sslmode", "sslrootcert=system needs sslmode=verify-full"));
    }
    if *roots == RootCertificates::None && matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull) {
        return Err(ConfigError::new(
            "sslrootcert",
            "sslmode=verify-ca and verify-full need root certificates: give their file, or 'system' for the \
             system's with verify-full",
        ));
    }
    Ok(mode)
}

fn client_certificate(
    settings: &Settings,
    files: &UserFiles,
) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    let given = |name: &str, default: &str| match settings.get(name) {
        Some(file) => Some(PathBuf::from(file)),
        None => files.existing(default),
    };
    match (given("sslcert", "postgresql.crt"), given("sslkey", "postgresql.key")) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (Some(_), None) => Err(ConfigError::new("sslkey", "sslcert is set, but the key to it is not")),
        (None, Some(_)) if settings.get("sslkey").is_some() => {
            Err(ConfigError::new("sslcert", "sslkey is set, but the certificate to it is not"))
        }
        _ => Ok(None),
    }
}

fn channel_binding(settings: &Settings) -> Result<ChannelBinding, ConfigError> {
    match settings.get("channel_binding") {
        None | Some("prefer") => Ok(ChannelBinding::Prefer),
        Some("disable") => Ok(ChannelBinding::Disable),
        Some("require") => Ok(ChannelBinding::Require),
        Some(_) => Err(one_of("channel_binding", "disable, prefer, require")),
    }
}

fn target_session_attributes(settings: &Settings) -> Result<TargetSessionAttributes, ConfigError> {
    match settings.get("target_session_attrs") {
        None | Some("any") => Ok(TargetSessionAttributes::Any),
        Some("read-write") => Ok(TargetSessionAttributes::ReadWrite),
        Some("read-only") => Ok(TargetSessionAttributes::ReadOnly),
        Some("primary") => Ok(TargetSessionAttributes::Primary),
        Some("standby") => Ok(TargetSessionAttributes::Standby),
        Some("prefer-standby") => Ok(TargetSessionAttributes::PreferStandby),
        Some(_) => Err(one_of(
            "target_session_attrs",
            "any, read-write, read-only, primary, standby, prefer-standby",
        )),
    }
}

fn replication(settings: &Settings) -> Result<Option<ReplicationMode>, ConfigError> {
    match settings.get("replication") {
        None | Some("false" | "off" | "no" | "0") => Ok(None),
        Some("database") => Ok(Some(ReplicationMode::Database)),
        Some("true" | "on" | "yes" | "1") => Ok(Some(ReplicationMode::Physical)),
        Some(_) => Err(one_of("replication", "database, true, false")),
    }
}

fn keep_alive(settings: &Settings) -> Result<KeepAlive, ConfigError> {
    let enabled = match settings.get("keepalives") {
        None | Some("1") => true,
        Some("0") => false,
        Some(_) => return Err(one_of("keepalives", "0, 1")),
    };
    Ok(KeepAlive {
        enabled,
        idle: seconds(settings, "keepalives_idle")?,
        interval: seconds(settings, "keepalives_interval")?,
        count: number(settings, "keepalives_count")?.filter(|count| *count > 0),
        unacknowledged: number(settings, "tcp_user_timeout")?
            .filter(|millis| *millis > 0)
            .map(|millis| Duration::from_millis(millis.into())),
    })
}

/// Zero and negative numbers of seconds stand for no value.
fn seconds(settings: &Settings, name: &str) -> Result<Option<Duration>, ConfigError> {
    Ok(number(settings, name)?
        .filter(|seconds| *seconds > 0)
        .map(|seconds| Duration::from_secs(seconds.into())))
}

/// A whole number; negative ones count as 0.
fn number(settings: &Settings, name: &str) -> Result<Option<u32>, ConfigError> {
    let Some(text) = settings.get(name) else { return Ok(None) };
    let number: i32 = text.trim().parse().map_err(|_| ConfigError::new(name, "it must be a whole number"))?;
    Ok(Some(u32::try_from(number).unwrap_or(0)))
}

fn one_of(parameter: &str, values: &str) -> ConfigError {
    ConfigError::new(parameter, format!("it must be one of {values}"))
}

/// The files libpq looks for in the user's home directory.
struct UserFiles {
    directory: Option<PathBuf>,
    password_file: Option<PathBuf>,
}

impl UserFiles {
    fn new(environment: Environment<'_>) -> Self {
        if cfg!(windows) {
            let directory = environment("APPDATA").map(|home| Path::new(&home).join("postgresql"));
            let password_file = directory.as_ref().map(|directory| directory.join("pgpass.conf"));
            return Self { directory, password_file };
        }
        let home = environment("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        Self {
            directory: home.as_ref().map(|home| home.join(".postgresql")),
            password_file: home.map(|home| home.join(".pgpass")),
        }
    }

    fn existing(&self, name: &str) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(name)).filter(|file| file.exists())
    }

    fn password_file(&self) -> Option<PathBuf> {
        self.password_file.clone()
    }
}

/// The name of the user that runs this process.
fn operating_system_user(environment: Environment<'_>) -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(|name| environment(name).filter(|value| !value.is_empty()))
        .or_else(password_database_user)
}

/// The name in the system's list of users, for containers that set no USER.
#[cfg(unix)]
fn password_database_user() -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let id = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    std::fs::read_to_string("/etc/passwd").ok()?.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    })
}

#[cfg(not(unix))]
fn password_database_user() -> Option<String> {
    None
}
