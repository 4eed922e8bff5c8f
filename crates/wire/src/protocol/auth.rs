//! Authentication: answers the server's requests, and insists on what the configuration demands.

use bytes::BytesMut;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};

use super::frontend;
use super::message::Authentication;
use crate::config::ChannelBinding;
use crate::error::{Error, Result};

/// The client's side of one authentication.
pub(crate) struct Authenticator<'a> {
    user: &'a str,
    password: Option<&'a str>,
    channel_binding: ChannelBinding,
    /// The hash of the server's certificate, on a TLS connection.
    end_point: Option<Vec<u8>>,
    stage: Stage,
}

enum Stage {
    /// The server has asked for nothing yet.
    Start,
    /// The password went out in cleartext or as MD5, the server's verdict is to come.
    PasswordSent,
    /// The server's challenge is to come.
    ScramStarted(ScramSha256),
    /// The server's proof is to come.
    ScramAnswered(ScramSha256),
    /// The server has proved that it knows the password too.
    ScramVerified {
        bound: bool,
    },
    Failed,
}

impl<'a> Authenticator<'a> {
    pub(crate) fn new(
        user: &'a str,
        password: Option<&'a str>,
        channel_binding: ChannelBinding,
        end_point: Option<Vec<u8>>,
    ) -> Self {
        Self {
            user,
            password: password.filter(|password| !password.is_empty()),
            channel_binding,
            end_point,
            stage: Stage::Start,
        }
    }

    /// Writes the answer to a request. Returns whether the client is let in.
    pub(crate) fn answer(&mut self, request: Authentication, outbound: &mut BytesMut) -> Result<bool> {
        let stage = std::mem::replace(&mut self.stage, Stage::Failed);
        self.stage = match (request, stage) {
            (Authentication::Ok, stage) => {
                self.accept(&stage)?;
                return Ok(true);
            }
            (Authentication::CleartextPassword, Stage::Start) => {
                self.refuse_unbound("a cleartext password")?;
                frontend::password(self.password()?.as_bytes(), outbound)?;
                Stage::PasswordSent
            }
            (Authentication::Md5Password(salt), Stage::Start) => {
                self.refuse_unbound("an MD5 password")?;
                let hash = md5_hash(self.user.as_bytes(), self.password()?.as_bytes(), salt);
                frontend::password(hash.as_bytes(), outbound)?;
                Stage::PasswordSent
            }
            (Authentication::Sasl(mechanisms), Stage::Start) => self.start_scram(&mechanisms, outbound)?,
            (Authentication::SaslContinue(challenge), Stage::ScramStarted(mut scram)) => {
                scram.update(&challenge).map_err(|error| Error::Authentication(format!("SCRAM: {error}")))?;
                frontend::sasl_response(scram.message(), outbound)?;
                Stage::ScramAnswered(scram)
            }
            (Authentication::SaslFinal(proof), Stage::ScramAnswered(mut scram)) => {
                scram.finish(&proof).map_err(|_| {
                    Error::Authentication(
                        "SCRAM: the server could not prove that it knows the password".into(),
                    )
                })?;
                Stage::ScramVerified { bound: self.end_point.is_some() }
            }
            (Authentication::Unsupported(method), _) => {
                let name = match method {
                    2 => "Kerberos V5",
                    7 | 8 => "GSSAPI",
                    9 => "SSPI",
                    _ => "an unknown method",
                };
                return Err(Error::Authentication(format!(
                    "the server asks for {name} ({method}); this client has SCRAM-SHA-256, MD5 and cleartext passwords"
                )));
            }
            _ => return Err(Error::protocol("an authentication request out of order")),
        };
        Ok(false)
    }

    /// The server may let us in unasked (trust, peer, certificate), but not in the middle of SCRAM: then it
    /// has not proved who it is.
    fn accept(&self, stage: &Stage) -> Result<()> {
        match stage {
            Stage::ScramVerified { bound: true } => Ok(()),
            Stage::Start | Stage::PasswordSent | Stage::ScramVerified { bound: false } => {
                self.refuse_unbound("authentication without channel binding")
            }
            _ => Err(Error::Authentication("the server broke off SCRAM before proving who it is".into())),
        }
    }

    fn refuse_unbound(&self, what: &str) -> Result<()> {
        if self.channel_binding == ChannelBinding::Require {
            return Err(Error::Authentication(format!(
                "channel_binding=require, but the server asks for {what}"
            )));
        }
        Ok(())
    }

    fn password(&self) -> Result<&'a str> {
        self.password
            .ok_or_else(|| Error::Authentication("the server asks for a password and none is set".into()))
    }

    fn start_scram(&mut self, mechanisms: &[String], outbound: &mut BytesMut) -> Result<Stage> {
        let offers = |name| mechanisms.iter().any(|mechanism| mechanism == name);
        if self.channel_binding == ChannelBinding::Disable {
            self.end_point = None;
        }
        let (mechanism, binding) = match &self.end_point {
            Some(end_point) if offers(SCRAM_SHA_256_PLUS) => {
                (SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(end_point.clone()))
            }
            _ if !offers(SCRAM_SHA_256) => {
                return Err(Error::Authentication(format!(
                    "none of the server's SASL mechanisms can be used: {}",
                    mechanisms.join(", ").chars().take(200).collect::<String>()
                )));
            }
            // Telling the server that we could have bound lets it detect that its offer was removed on the way.
            Some(_) => (SCRAM_SHA_256, sasl::ChannelBinding::unrequested()),
            None => (SCRAM_SHA_256, sasl::ChannelBinding::unsupported()),
        };
        if mechanism == SCRAM_SHA_256 {
            self.refuse_unbound("SCRAM-SHA-256 without channel binding")?;
            self.end_point = None;
        }
        let scram = ScramSha256::new(self.password()?.as_bytes(), binding);
        frontend::sasl_initial_response(mechanism, scram.message(), outbound)?;
        Ok(Stage::ScramStarted(scram))
    }
}
