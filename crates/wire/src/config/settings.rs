//! The parameters of a connection by name: which there are, and which environment variable gives their default.

use std::collections::BTreeMap;

use crate::error::ConfigError;

/// Every parameter that can be set, with its environment variable where it has one.
const PARAMETERS: &[(&str, Option<&str>)] = &[
    ("application_name", Some("PGAPPNAME")),
    ("channel_binding", Some("PGCHANNELBINDING")),
    ("client_encoding", Some("PGCLIENTENCODING")),
    ("connect_timeout", Some("PGCONNECT_TIMEOUT")),
    ("dbname", Some("PGDATABASE")),
    ("fallback_application_name", None),
    ("gssencmode", Some("PGGSSENCMODE")),
    ("host", Some("PGHOST")),
    ("hostaddr", Some("PGHOSTADDR")),
    ("keepalives", None),
    ("keepalives_count", None),
    ("keepalives_idle", None),
    ("keepalives_interval", None),
    ("options", Some("PGOPTIONS")),
    ("passfile", Some("PGPASSFILE")),
    ("password", Some("PGPASSWORD")),
    ("port", Some("PGPORT")),
    ("replication", None),
    ("service", None),
    ("sslcert", Some("PGSSLCERT")),
    ("sslkey", Some("PGSSLKEY")),
    ("sslmode", Some("PGSSLMODE")),
    ("sslrootcert", Some("PGSSLROOTCERT")),
    ("target_session_attrs", Some("PGTARGETSESSIONATTRS")),
    ("tcp_user_timeout", None),
    ("user", Some("PGUSER")),
];

/// The values given for parameters. There is no `Debug`: one of them may be a password.
#[derive(Default)]
pub(super) struct Settings {
    values: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Sets a parameter; the last value counts.
    pub(super) fn set(&mut self, name: &str, value: String) -> Result<(), ConfigError> {
        let (known, _) = PARAMETERS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| ConfigError::new(printable(name), "there is no such connection parameter"))?;
        if value.contains('\0') {
            return Err(ConfigError::new(*known, "a zero byte is not allowed"));
        }
        self.values.insert(known, value);
        Ok(())
    }

    /// Takes what is not set from the environment.
    pub(super) fn add_environment(&mut self, environment: &dyn Fn(&str) -> Option<String>) {
        for (name, variable) in PARAMETERS {
            // The addresses and the names of hosts belong together, position by position.
            if *name == "hostaddr" && self.values.contains_key("host") {
                continue;
            }
            let Some(variable) = variable else { continue };
            if !self.values.contains_key(name)
                && let Some(value) = environment(variable).filter(|value| !value.is_empty())
            {
                self.values.insert(name, value);
            }
        }
    }

    /// The value of a parameter; an empty value counts as none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// A name as an error message may show it: a piece of a password that was taken for a name stays out.
pub(super) fn printable(name: &str) -> String {
    let is_name = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if is_name { name.to_owned() } else { "(not a name)".to_owned() }
}
