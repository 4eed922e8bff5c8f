//! Authentication: every method, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use wire::{Connection, ErrorKind};

use crate::{PASSWORD, cluster, config, over_tcp, value};

#[tokio::test]
async fn every_password_method_lets_the_right_password_in() {
    for user in ["scram", "md5", "cleartext", "trusted"] {
        for tls in ["disable", "require"] {
            let mut connection =
                Connection::connect(&over_tcp(user, &format!("sslmode={tls}"))).await.unwrap();
            assert_eq!(value(&mut connection, "SELECT current_user").await, user);
        }
    }
}

#[tokio::test]
async fn a_wrong_password_is_a_server_error_that_does_not_show_it() {
    for user in ["scram", "md5", "cleartext"] {
        let mut config = over_tcp(user, "");
        config.set_password(Some("wr0ng-secret".to_owned()));
        let error = Connection::connect(&config).await.unwrap_err();
        assert_eq!(error.sqlstate(), Some("28P01"), "{user}: {error}");
        assert!(!format!("{error} {error:?} {config:?}").contains("wr0ng"));
        assert!(!error.is_retryable());
    }
}

#[tokio::test]
async fn a_missing_password_is_reported_before_anything_is_sent() {
    for user in ["scram", "md5", "cleartext"] {
        let mut config = over_tcp(user, "");
        config.set_password(None);
        let error = Connection::connect(&config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{user}: {error}");
    }
}

#[tokio::test]
async fn required_channel_binding_is_had_with_scram_over_tls_and_refused_otherwise() {
    let bound = over_tcp("scram", "channel_binding=require sslmode=require");
    assert!(Connection::connect(&bound).await.unwrap().is_encrypted());
    for (user, tls) in
        [("scram", "disable"), ("md5", "require"), ("cleartext", "require"), ("trusted", "require")]
    {
        let config = over_tcp(user, &format!("channel_binding=require sslmode={tls}"));
        let error = Connection::connect(&config).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication, "{user}: {error}");
    }
    let unbound = over_tcp("scram", "channel_binding=disable sslmode=require");
    Connection::connect(&unbound).await.unwrap();
}

#[tokio::test]
async fn the_password_file_is_used_when_only_its_owner_can_read_it() {
    let file = cluster().directory().join("passwords");
    let password = PASSWORD.replace('\\', r"\\").replace(':', r"\:");
    fs::write(
        &file,
        format!("# comment\nother:*:*:scram:x\n127.0.0.1:{}:*:scram:{password}\n", cluster().port()),
    )
    .unwrap();
    let pairs = format!(
        "host=127.0.0.1 port={} dbname=postgres user=scram passfile={}",
        cluster().port(),
        file.display()
    );
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    Connection::connect(&config(&pairs)).await.unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Connection::connect(&config(&pairs)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication);
}

#[tokio::test]
async fn unknown_users_and_databases_are_server_errors() {
    let error = Connection::connect(&over_tcp("nobody_here", "")).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("28000"));
    let mut config = crate::superuser();
    config.database = "nothing_here".to_owned();
    let error = Connection::connect(&config).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("3D000"));
}
