//! Certificates made for one test: an authority, and what it has signed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// The only name that the server's certificate bears.
pub(crate) const SERVER_NAME: &str = "db.test.internal";

/// Writes `ca.crt`, `server.crt` and `server.key`, the client's `NAME.crt` and `NAME.key`, and `other-ca.crt`, an
/// authority that has signed nothing.
pub(crate) fn write(directory: &Path, client: &str) {
    let authority = authority("the authority");
    put(directory, "ca.crt", &authority.pem());
    put(directory, "other-ca.crt", &self::authority("another authority").pem());
    sign(directory, "server", SERVER_NAME, &authority);
    sign(directory, client, client, &authority);
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(vec![]).expect("no names are valid names");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key can be made");
    CertifiedIssuer::self_signed(parameters, key).expect("an authority can sign itself")
}

fn sign(directory: &Path, file: &str, name: &str, authority: &CertifiedIssuer<'_, KeyPair>) {
    let key = KeyPair::generate().expect("a key can be made");
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).expect("the name is valid");
    parameters.distinguished_name.push(DnType::CommonName, name);
    let certificate = parameters.signed_by(&key, authority).expect("the authority can sign");
    put(directory, &format!("{file}.crt"), &certificate.pem());
    put(directory, &format!("{file}.key"), &key.serialize_pem());
}

fn put(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::write(&path, text).expect("the file can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode can be set");
}
