//! Where a server is, by its URI.

use std::path::PathBuf;

use mysql_async::{ClientIdentity, OptsBuilder, SslOpts};
use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use crate::error::{Error, ErrorKind, Result};

/// The largest event that a server sends, in bytes.
const LARGEST_PACKET: usize = 1 << 30;
/// How long a server keeps a connection on which nothing is asked, in seconds.
const PATIENCE: usize = 604_800;

const KNOWN: &str = "ssl-mode, ssl-ca, ssl-cert, ssl-key, socket, charset";

/// Where a server is and who connects to it, for clients that are not sqlx's.
#[derive(Clone)]
pub(super) struct Login {
    host: String,
    port: u16,
    user: String,
    password: Option<String>,
    socket: Option<String>,
    tls: Tls,
}

/// How a connection is encrypted.
#[derive(Clone)]
struct Tls {
    mode: MySqlSslMode,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

impl Login {
    /// The options of the client that reads the log, and whether it may connect without encryption where the server has none.
    pub(super) fn stream_options(&self) -> (OptsBuilder, bool) {
        let options = OptsBuilder::default()
            .ip_or_hostname(&self.host)
            .tcp_port(self.port)
            .user(Some(&self.user))
            .pass(self.password.as_ref())
            .socket(self.socket.as_ref())
            .prefer_socket(false)
            .max_allowed_packet(Some(LARGEST_PACKET))
            .wait_timeout(Some(PATIENCE))
            .stmt_cache_size(0)
            .ssl_opts(self.tls.options());
        (options, matches!(self.tls.mode, MySqlSslMode::Preferred))
    }
}

impl Tls {
    fn options(&self) -> Option<SslOpts> {
        let (checks_ca, checks_name) = match self.mode {
            MySqlSslMode::Disabled => return None,
            MySqlSslMode::Preferred | MySqlSslMode::Required => (false, false),
            MySqlSslMode::VerifyCa => (true, false),
            MySqlSslMode::VerifyIdentity => (true, true),
        };
        let identity = self.cert.clone().zip(self.key.clone());
        let own_ca: Vec<PathBuf> = self.ca.iter().cloned().collect();
        let options = SslOpts::default()
            .with_danger_accept_invalid_certs(!checks_ca)
            .with_danger_skip_domain_validation(!checks_name)
            .with_disable_built_in_roots(!own_ca.is_empty())
            .with_root_certs(own_ca.into_iter().map(Into::into).collect())
            .with_client_identity(identity.map(|(cert, key)| ClientIdentity::new(cert.into(), key.into())));
        Some(options)
    }
}

/// Reads `mysql://user:password@host:port/database?…`, or the same with `mariadb:`. Every part may be percent-encoded;
/// a `socket` stands for host and port.
///
/// # Errors
/// [`ErrorKind::Config`], whose message does not hold the URI.
pub(super) fn parse(uri: &str) -> Result<(MySqlConnectOptions, Login)> {
    let rest = uri
        .strip_prefix("mysql://")
        .or_else(|| uri.strip_prefix("mariadb://"))
        .ok_or_else(|| config_error("the URI must begin with mysql:// or mariadb://"))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = match rest.rfind('@') {
        // A slash before the last @ belongs to the password.
        Some(at) => match rest.get(at..).and_then(|host| host.find('/')) {
            Some(slash) => rest.split_at(at + slash),
            None => (rest, ""),
        },
        None => rest.split_at(rest.find('/').unwrap_or(rest.len())),
    };
    let database = decoded(database.strip_prefix('/').unwrap_or(database), "database")?;
    if database.is_empty() {
        return Err(config_error("the URI names no database, as in mysql://host/database"));
    }
    let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let options = plain_options();
    let mut login = Login {
        host: options.get_host().to_owned(),
        port: options.get_port(),
        user: options.get_username().to_owned(),
        password: None,
        socket: None,
        tls: Tls { mode: options.get_ssl_mode(), ca: None, cert: None, key: None },
    };
    if !user.is_empty() {
        let (name, password) = user.split_once(':').map_or((user, None), |(name, own)| (name, Some(own)));
        login.user = decoded(name, "user")?;
        login.password = password.map(|password| decoded(password, "password")).transpose()?;
    }
    read_address(&mut login, address)?;
    for option in query.split('&').filter(|option| !option.is_empty()) {
        read_option(&mut login, option)?;
    }
    Ok((connect_options(options.database(&database), &login), login))
}

/// Session settings are ours to make, and statements are reported by the dialect.
fn plain_options() -> MySqlConnectOptions {
    MySqlConnectOptions::new()
        .host("127.0.0.1")
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .set_names(false)
        .disable_statement_logging()
}

fn connect_options(options: MySqlConnectOptions, login: &Login) -> MySqlConnectOptions {
    let Login { host, port, user, password, socket, tls } = login;
    let options = options.host(host).port(*port).username(user).ssl_mode(tls.mode);
    let options = password.iter().fold(options, |options, password| options.password(password));
    let options = socket.iter().fold(options, |options, socket| options.socket(socket));
    let options = tls.ca.iter().fold(options, |options, path| options.ssl_ca(path));
    let options = tls.cert.iter().fold(options, |options, path| options.ssl_client_cert(path));
    tls.key.iter().fold(options, |options, path| options.ssl_client_key(path))
}

fn read_address(login: &mut Login, address: &str) -> Result<()> {
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host.to_owned(), rest.strip_prefix(':')),
        None => {
            let (host, port) =
                address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port)));
            (decoded(host, "host")?, port)
        }
    };
    if !host.is_empty() {
        login.host = host;
    }
    match port {
        None | Some("") => Ok(()),
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => {
                login.port = port;
                Ok(())
            }
            _ => Err(config_error("the port must be a number from 1 to 65535")),
        },
    }
}

fn read_option(login: &mut Login, option: &str) -> Result<()> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let value = decoded(value, "option")?;
    match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "sslmode" => login.tls.mode = ssl_mode(&value)?,
        "sslca" => login.tls.ca = Some(value.into()),
        "sslcert" => login.tls.cert = Some(value.into()),
        "sslkey" => login.tls.key = Some(value.into()),
        "socket" => login.socket = Some(value),
        "charset" if value.eq_ignore_ascii_case("utf8mb4") => {}
        "charset" => {
            return Err(config_error("charset: every text is sent as utf8mb4, and nothing else can be"));
        }
        _ => return Err(config_error(&format!("unknown option \"{name}\"; known are {KNOWN}"))),
    }
    Ok(())
}

fn ssl_mode(value: &str) -> Result<MySqlSslMode> {
    match value.to_ascii_lowercase().replace('-', "_").as_str() {
        "disabled" => Ok(MySqlSslMode::Disabled),
        "preferred" => Ok(MySqlSslMode::Preferred),
        "required" => Ok(MySqlSslMode::Required),
        "verify_ca" => Ok(MySqlSslMode::VerifyCa),
        "verify_identity" => Ok(MySqlSslMode::VerifyIdentity),
        other => Err(config_error(&format!(
            "ssl-mode: unknown value \"{other}\"; known are disabled, preferred, required, verify_ca, verify_identity"
        ))),
    }
}

fn decoded(text: &str, part: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| config_error(&format!("the {part} is not UTF-8")))
}

fn config_error(message: &str) -> Error {
    Error::new(ErrorKind::Config, format!("mysql: {message}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parts(uri: &str) -> (String, u16, String, String) {
        let (options, _) = parse(uri).unwrap();
        let database = options.get_database().unwrap_or_default().to_owned();
        (options.get_host().to_owned(), options.get_port(), options.get_username().to_owned(), database)
    }

    #[test]
    fn every_part_of_a_uri_is_understood() {
        for (uri, host, port, user, database) in [
            ("mysql://localhost/app", "localhost", 3306, "root", "app"),
            ("mariadb://ann:s3cret@db.example:3307/app", "db.example", 3307, "ann", "app"),
            ("mysql://ann%40home:a%2Fb@[::1]:3308/my%20app", "::1", 3308, "ann@home", "my app"),
            ("mysql://ann:p@ss/word@host/app?ssl-mode=REQUIRED&charset=utf8mb4", "host", 3306, "ann", "app"),
        ] {
            let expected = (host.to_owned(), port, user.to_owned(), database.to_owned());
            assert_eq!(parts(uri), expected, "{uri}");
        }
        let (options, _) = parse("mysql://root@localhost/app?socket=%2Frun%2Fmysqld.sock").unwrap();
        assert_eq!(options.get_socket().map(|path| path.as_path()), Some(Path::new("/run/mysqld.sock")));
    }

    #[test]
    fn a_wrong_uri_is_told_without_the_password() {
        for uri in [
            "postgres://ann:s3cret@host/app",
            "mysql://ann:s3cret@host",
            "mysql://ann:s3cret@host:port/app",
            "mysql://ann:s3cret@host/app?nonsense=1",
            "mysql://ann:s3cret@host/app?ssl-mode=maybe",
            "mysql://ann:s3cret@host/app?charset=latin1",
        ] {
            let error = parse(uri).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Config, "{uri}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
