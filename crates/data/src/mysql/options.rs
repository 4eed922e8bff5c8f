//! Where a server is, by its URI.

use std::path::Path;

use percent_encoding::percent_decode_str;
use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use crate::error::{Error, ErrorKind, Result};

const KNOWN: &str = "ssl-mode, ssl-ca, ssl-cert, ssl-key, socket, charset";

/// Reads `mysql://user:password@host:port/database?…`, or the same with `mariadb:`. Every part may be percent-encoded;
/// a `socket` stands for host and port.
///
/// # Errors
/// [`ErrorKind::Config`], whose message does not hold the URI.
pub(super) fn parse(uri: &str) -> Result<MySqlConnectOptions> {
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
    let mut options = plain_options().database(&database);
    if !user.is_empty() {
        let (name, password) = user.split_once(':').map_or((user, None), |(name, own)| (name, Some(own)));
        options = options.username(&decoded(name, "user")?);
        if let Some(password) = password {
            options = options.password(&decoded(password, "password")?);
        }
    }
    let options = with_address(options, address)?;
    query.split('&').filter(|option| !option.is_empty()).try_fold(options, with_option)
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

fn with_address(options: MySqlConnectOptions, address: &str) -> Result<MySqlConnectOptions> {
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host.to_owned(), rest.strip_prefix(':')),
        None => {
            let (host, port) =
                address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port)));
            (decoded(host, "host")?, port)
        }
    };
    let options = if host.is_empty() { options } else { options.host(&host) };
    match port {
        None | Some("") => Ok(options),
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(options.port(port)),
            _ => Err(config_error("the port must be a number from 1 to 65535")),
        },
    }
}

fn with_option(options: MySqlConnectOptions, option: &str) -> Result<MySqlConnectOptions> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let value = decoded(value, "option")?;
    Ok(match name.to_ascii_lowercase().replace(['-', '_'], "").as_str() {
        "sslmode" => options.ssl_mode(ssl_mode(&value)?),
        "sslca" => options.ssl_ca(Path::new(&value)),
        "sslcert" => options.ssl_client_cert(Path::new(&value)),
        "sslkey" => options.ssl_client_key(Path::new(&value)),
        "socket" => options.socket(Path::new(&value)),
        "charset" if value.eq_ignore_ascii_case("utf8mb4") => options,
        "charset" => {
            return Err(config_error("charset: every text is sent as utf8mb4, and nothing else can be"));
        }
        _ => return Err(config_error(&format!("unknown option \"{name}\"; known are {KNOWN}"))),
    })
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
    use super::*;

    fn parts(uri: &str) -> (String, u16, String, String) {
        let options = parse(uri).unwrap();
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
        let options = parse("mysql://root@localhost/app?socket=%2Frun%2Fmysqld.sock").unwrap();
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
            let error = parse(uri).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{uri}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
