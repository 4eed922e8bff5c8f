//! What may be shown of a configuration: all but the password.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{
    ChannelBinding, ConnectConfig, Host, ReplicationMode, RootCertificates, SslMode, TargetSessionAttributes,
};

/// What is escaped in a URI: all but letters, digits and the unreserved marks.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl ConnectConfig {
    /// A URI that says the same, with `***` for the password.
    pub fn redacted_uri(&self) -> String {
        let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let mut uri = format!("postgresql://{}", escape(&self.user));
        if self.password.is_some() {
            uri.push_str(":***");
        }
        let hosts: Vec<String> = self
            .hosts
            .iter()
            .map(|host| match host {
                Host::Tcp { name, port, .. } if name.contains(':') => {
                    format!("[{}]:{port}", name.replace('%', "%25"))
                }
                Host::Tcp { name, port, .. } => format!("{}:{port}", escape(name)),
                Host::Unix { directory, port } => format!("{}:{port}", escape(&directory.to_string_lossy())),
            })
            .collect();
        uri.push_str(&format!("@{}/{}", hosts.join(","), escape(&self.database)));
        let mut separator = '?';
        for (name, value) in self.shown_parameters() {
            uri.push_str(&format!("{separator}{name}={}", escape(&value)));
            separator = '&';
        }
        uri
    }

    /// The parameters that differ from their defaults.
    fn shown_parameters(&self) -> Vec<(&'static str, String)> {
        let mut shown = Vec::new();
        let mut show = |name, value: Option<String>| shown.extend(value.map(|value| (name, value)));
        let addresses: Vec<String> = self
            .hosts
            .iter()
            .map(|host| match host {
                Host::Tcp { address: Some(address), .. } => address.to_string(),
                _ => String::new(),
            })
            .collect();
        show("hostaddr", addresses.iter().any(|address| !address.is_empty()).then(|| addresses.join(",")));
        show("application_name", self.application_name.clone());
        show("options", self.options.clone());
        show("connect_timeout", self.connect_timeout.map(|timeout| timeout.as_secs().to_string()));
        show("sslmode", (self.ssl_mode != SslMode::default()).then(|| self.ssl_mode.name().to_owned()));
        show(
            "sslrootcert",
            match &self.root_certificates {
                // The text has no place in a URI.
                RootCertificates::None | RootCertificates::Pem(_) => None,
                RootCertificates::File(file) => Some(file.to_string_lossy().into_owned()),
                RootCertificates::System => Some("system".to_owned()),
            },
        );
        if let Some((certificate, key)) = &self.client_certificate {
            show("sslcert", Some(certificate.to_string_lossy().into_owned()));
            show("sslkey", Some(key.to_string_lossy().into_owned()));
        }
        show(
            "channel_binding",
            match self.channel_binding {
                ChannelBinding::Prefer => None,
                ChannelBinding::Disable => Some("disable".to_owned()),
                ChannelBinding::Require => Some("require".to_owned()),
            },
        );
        let attributes = self.target_session_attributes;
        show(
            "target_session_attrs",
            (attributes != TargetSessionAttributes::Any).then(|| attributes.name().to_owned()),
        );
        show(
            "replication",
            self.replication.map(|mode| match mode {
                ReplicationMode::Database => "database".to_owned(),
                ReplicationMode::Physical => "true".to_owned(),
            }),
        );
        show("keepalives", (!self.keep_alive.enabled).then(|| "0".to_owned()));
        shown
    }
}

impl fmt::Debug for ConnectConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ConnectConfig").field(&self.redacted_uri()).finish()
    }
}

impl SslMode {
    /// The name in a connection string.
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

impl TargetSessionAttributes {
    /// The name in a connection string.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::PreferStandby => "prefer-standby",
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { name, port, .. } if name.contains(':') => write!(formatter, "[{name}]:{port}"),
            Self::Tcp { name, port, .. } => write!(formatter, "{name}:{port}"),
            Self::Unix { directory, port } => write!(formatter, "{}/.s.PGSQL.{port}", directory.display()),
        }
    }
}
