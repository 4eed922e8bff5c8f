//! TLS to a server, as `ssl` asks for it.

use std::fmt;

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
