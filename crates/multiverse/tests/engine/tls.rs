//! TLS as the configuration of a server asks for it, with certificates as text.

use std::fs;
use std::sync::OnceLock;

use multiverse::{EngineSettings, Error, TlsConfig, TlsIdentity};

use crate::client::{Client, one_cluster};
use crate::support::Cluster;
use crate::support::certificates::{self, SERVER_NAME};

const HBA: &str = "
local   all all                      trust
hostssl all certificate 127.0.0.1/32 cert
hostssl all all         127.0.0.1/32 trust
";

fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = Cluster::start("ssl = on\nssl_ca_file = 'ca.crt'", HBA, |data| {
            certificates::write(data, "certificate")
        });
        server.psql("CREATE ROLE certificate LOGIN");
        server
    })
}

fn pem(name: &str) -> String {
    fs::read_to_string(server().directory().join("data").join(name)).unwrap()
}

fn connect(user: &str, tls: Option<TlsConfig>) -> Result<String, Error> {
    let mut clusters = one_cluster(server().port(), user, |_| {});
    clusters.get_mut("main").unwrap().primary.tls = tls;
    let client = Client::start(clusters, EngineSettings::default());
    client
        .query("SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .map(|outcome| outcome.value())
}

fn trusting(ca: &str) -> TlsConfig {
    TlsConfig { ca: Some(pem(ca)), server_name: Some(SERVER_NAME.to_owned()), ..TlsConfig::default() }
}

#[test]
fn a_server_is_trusted_by_the_authority_and_the_name_given() {
    assert_eq!(connect("postgres", Some(trusting("ca.crt"))).unwrap(), "true");
    connect("postgres", Some(trusting("other-ca.crt"))).unwrap_err();
    let by_address = TlsConfig { server_name: None, ..trusting("ca.crt") };
    connect("postgres", Some(by_address)).unwrap_err();
    connect("postgres", Some(TlsConfig::default())).unwrap_err();
}

#[test]
fn without_verification_any_server_will_do_and_without_tls_this_one_will_not() {
    let unverified = TlsConfig { reject_unauthorized: false, ..TlsConfig::default() };
    assert_eq!(connect("postgres", Some(unverified)).unwrap(), "true");
    assert_eq!(connect("postgres", None).unwrap_err().code(), "28000");
}

#[test]
fn a_client_shows_its_certificate() {
    let identity = TlsIdentity { cert: pem("certificate.crt"), key: pem("certificate.key") };
    let tls = TlsConfig { identity: Some(identity), ..trusting("ca.crt") };
    assert_eq!(connect("certificate", Some(tls)).unwrap(), "true");
    assert_eq!(connect("certificate", Some(trusting("ca.crt"))).unwrap_err().code(), "28000");
}

#[test]
fn certificates_that_cannot_be_read_are_refused_at_the_start_without_being_shown() {
    let mut clusters = one_cluster(server().port(), "postgres", |_| {});
    let identity = TlsIdentity { cert: "no certificate".to_owned(), key: "s3cret".to_owned() };
    clusters.get_mut("main").unwrap().primary.tls =
        Some(TlsConfig { identity: Some(identity), ..TlsConfig::default() });
    let error = multiverse::Engine::start(clusters, EngineSettings::default(), Box::new(|| {})).unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error}");
    assert!(
        error.to_string().starts_with("main_primary.ssl") && !format!("{error:?}").contains("s3cret"),
        "{error}"
    );
}
