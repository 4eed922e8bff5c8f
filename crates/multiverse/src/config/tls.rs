//! TLS to a server, as `ssl` asks for it.

use std::fmt;

use serde_json::Value as Json;

use super::section::{Section, whole};

/// `ssl: true` or `ssl: {ca, cert, key, rejectUnauthorized, servername}`; the certificates are PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Root certificates that replace those of the operating system.
    pub ca: Option<String>,
    /// The client's certificate with its private key.
    pub identity: Option<TlsIdentity>,
    /// Whether the server must prove who it is, as is the default.
    pub reject_unauthorized: bool,
    /// The name that the server's certificate must bear; the host when not given.
    pub server_name: Option<String>,
}

/// The client's certificate with its private key, both PEM text.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The certificate, with those that lead to the root.
    pub cert: String,
    /// The private key.
    pub key: String,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { ca: None, identity: None, reject_unauthorized: true, server_name: None }
    }
}

impl TlsConfig {
    /// Reads the field `ssl` of a server; `None` when it asks for no TLS.
    pub(crate) fn read(server: &mut Section<'_, '_>) -> Option<Self> {
        match server.value("ssl")? {
            Json::Bool(wanted) => wanted.then(Self::default),
            Json::Object(_) => server.section("ssl").map(Self::read_section),
            _ => {
                server
                    .error("ssl", "must be true, false, or {ca, cert, key, rejectUnauthorized, servername}");
                None
            }
        }
    }

    fn read_section(mut section: Section<'_, '_>) -> Self {
        let ca = read_pem(&mut section, "ca");
        let identity = match (read_pem(&mut section, "cert"), read_pem(&mut section, "key")) {
            (Some(cert), Some(key)) => Some(TlsIdentity { cert, key }),
            (None, None) => None,
            (Some(_), None) => {
                section.error("key", "is required with cert: give the private key of the certificate");
                None
            }
            (None, Some(_)) => {
                section.error("cert", "is required with key: give the certificate that the key belongs to");
                None
            }
        };
        let tls = Self {
            ca,
            identity,
            reject_unauthorized: section.flag("rejectUnauthorized").unwrap_or(true),
            server_name: section.text("servername"),
        };
        section.warn_of_unknown();
        tls
    }
}

/// PEM text: a string, a Buffer as JSON has it, or a list of these.
fn read_pem(section: &mut Section<'_, '_>, key: &'static str) -> Option<String> {
    let text = pem_text(section.value(key)?);
    if !text.as_ref().is_some_and(|text| text.contains("-----BEGIN ")) {
        section.error(
            key,
            "must be PEM text (-----BEGIN …), as a file holds it; the name of a file will not do",
        );
        return None;
    }
    text
}

fn pem_text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Array(parts) => {
            parts.iter().map(pem_text).collect::<Option<Vec<_>>>().map(|parts| parts.join("\n"))
        }
        Json::Object(buffer) => {
            let bytes = buffer.get("data")?.as_array()?.iter();
            let bytes = bytes.map(|byte| u8::try_from(whole(byte)?).ok()).collect::<Option<Vec<_>>>()?;
            String::from_utf8(bytes).ok()
        }
        _ => None,
    }
}

impl fmt::Debug for TlsConfig {
    /// Leaves out the private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("ca", &self.ca.is_some())
            .field("identity", &self.identity.is_some())
            .field("reject_unauthorized", &self.reject_unauthorized)
            .field("server_name", &self.server_name)
            .finish()
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}
