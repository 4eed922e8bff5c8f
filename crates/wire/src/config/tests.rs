//! Connection strings in every form, and what is wrong with those that are wrong.

use std::time::Duration;

use super::*;

fn environment(name: &str) -> Option<String> {
    (name == "USER").then(|| "me".to_owned())
}

fn parse(text: &str) -> ConnectConfig {
    ConnectConfig::parse_in(text, &environment).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// What counts of a configuration, in one line: user, password, hosts, database.
fn line(config: &ConnectConfig) -> String {
    let hosts: Vec<String> = config
        .hosts
        .iter()
        .map(|host| match host {
            Host::Tcp { address: Some(address), .. } => format!("{host}={address}"),
            _ => host.to_string(),
        })
        .collect();
    let password = config.password.as_deref().unwrap_or("-");
    format!("{} {password} {} {}", config.user, hosts.join(","), config.database)
}

/// Port 1 is given where no host is, as the socket of a server on port 5432 may exist here.
#[test]
fn connection_strings_mean_what_they_mean_to_libpq() {
    let cases = [
        ("postgresql://:1", "me - localhost:1 me"),
        ("postgres://:1", "me - localhost:1 me"),
        ("postgresql://localhost", "me - localhost:5432 me"),
        ("postgresql://localhost/", "me - localhost:5432 me"),
        ("postgresql://localhost:5433", "me - localhost:5433 me"),
        ("postgresql://localhost:/db", "me - localhost:5432 db"),
        ("postgresql://localhost/mydb", "me - localhost:5432 mydb"),
        ("postgresql://user@localhost", "user - localhost:5432 user"),
        ("postgresql://user:secret@localhost", "user secret localhost:5432 user"),
        ("postgresql://user:@localhost", "user - localhost:5432 user"),
        ("postgresql://:secret@localhost", "me secret localhost:5432 me"),
        ("postgresql://@localhost", "me - localhost:5432 me"),
        ("postgresql://user:a:b@localhost", "user a:b localhost:5432 user"),
        ("postgresql://user:p?w@localhost/db", "user p?w localhost:5432 db"),
        ("postgresql://u%40x:p%40%2F%3A%25@h/d%2Fb", "u@x p@/:% h:5432 d/b"),
        ("postgresql://us%C3%BCr:%F0%9F%90%98@h", "usür 🐘 h:5432 usür"),
        ("postgresql://user@localhost/db?connect_timeout=10", "user - localhost:5432 db"),
        ("postgresql://host1:123,host2:456/db", "me - host1:123,host2:456 db"),
        ("postgresql://host1,host2:456/db", "me - host1:5432,host2:456 db"),
        ("postgresql://host1,host2/db", "me - host1:5432,host2:5432 db"),
        ("postgresql://u:p@h1:1,h2:2,h3:3?dbname=x", "u p h1:1,h2:2,h3:3 x"),
        ("postgresql://[::1]", "me - [::1]:5432 me"),
        ("postgresql://[::1]:5433/db", "me - [::1]:5433 db"),
        ("postgresql://[2001:db8::1234]/db", "me - [2001:db8::1234]:5432 db"),
        ("postgresql://[fe80::1%25eth0]:1/db", "me - [fe80::1%eth0]:1 db"),
        ("postgresql://[::1]:1,[::2]:2,h:3/db", "me - [::1]:1,[::2]:2,h:3 db"),
        ("postgresql://[::1]?dbname=x", "me - [::1]:5432 x"),
        ("postgresql://%2Fvar%2Frun", "me - /var/run/.s.PGSQL.5432 me"),
        ("postgresql://%2Fvar%2Frun%2Fpostgresql:5433/db", "me - /var/run/postgresql/.s.PGSQL.5433 db"),
        ("postgresql://u@%2Fa,h:2/db", "u - /a/.s.PGSQL.5432,h:2 db"),
        ("postgresql:///db?host=/var/run", "me - /var/run/.s.PGSQL.5432 db"),
        ("postgresql:///?host=/a&port=7&user=u&password=p&dbname=d", "u p /a/.s.PGSQL.7 d"),
        ("postgresql://?host=localhost", "me - localhost:5432 me"),
        ("postgresql://ignored:1/x?host=other&port=2&dbname=y", "me - other:2 y"),
        ("postgresql:///db?host=a,b&port=1,2", "me - a:1,b:2 db"),
        ("postgresql:///db?host=a,b&port=9", "me - a:9,b:9 db"),
        ("postgresql://h/db?hostaddr=10.0.0.1", "me - h:5432=10.0.0.1 db"),
        ("postgresql:///db?hostaddr=10.0.0.1,::1&port=1", "me - 10.0.0.1:1=10.0.0.1,[::1]:1=::1 db"),
        ("postgresql://h?user=a%20b", "a b - h:5432 a b"),
        ("postgresql://h/?", "me - h:5432 me"),
        ("postgresql://h?%75ser=u", "u - h:5432 u"),
        ("host=localhost", "me - localhost:5432 me"),
        ("host=localhost port=5433 dbname=db user=u password=p", "u p localhost:5433 db"),
        ("  host = 'localhost'\n port\t=\t1 ", "me - localhost:1 me"),
        ("host=h password='it''s'", ""),
        (r"host=h password='it\'s \\ ok' dbname='a b'", r"me it's \ ok h:5432 a b"),
        (r"host=h password=a\ b\'c", "me a b'c h:5432 me"),
        ("host=h password='' user=''", "me - h:5432 me"),
        ("host=h port='' dbname=d", "me - h:5432 d"),
        ("host=h user=first user=second", "second - h:5432 second"),
        ("host=a,b hostaddr=1.2.3.4, port=1,2", "me - a:1=1.2.3.4,b:2 me"),
        ("host=/tmp,localhost port=1", "me - /tmp/.s.PGSQL.1,localhost:1 me"),
        ("host=@abstract port=1", "me - @abstract/.s.PGSQL.1 me"),
        ("port=1", "me - localhost:1 me"),
    ];
    for (text, expected) in cases {
        if expected.is_empty() {
            assert!(ConnectConfig::parse_in(text, &environment).is_err(), "{text}");
        } else {
            assert_eq!(line(&parse(text)), expected, "{text}");
        }
    }
}

#[test]
fn what_is_wrong_is_named_and_never_shows_a_secret() {
    let cases = [
        ("postgresql://h?colour=red", "colour"),
        ("postgresql://h?sslmode=maybe", "sslmode"),
        ("postgresql://h?user", "URI"),
        ("postgresql://h?user=a=b", "user"),
        ("postgresql://h?user=a&", "URI"),
        ("postgresql://h:0", "port"),
        ("postgresql://h:65536", "port"),
        ("postgresql://h:port", "port"),
        ("postgresql://user:top/s3cret@h", "port"),
        ("postgresql://[::1", "host"),
        ("postgresql://[]", "host"),
        ("postgresql://[::1]x", "host"),
        ("postgresql://u:s3cret%zz@h", "password"),
        ("postgresql://u:s3cret%@h", "password"),
        ("postgresql://u:s3cret%00@h", "password"),
        ("postgresql://u:s3cret%ff@h", "password"),
        ("postgresql://u:s3cret%+1@h", "password"),
        ("postgresql:///?host=a,b,c&port=1,2", "port"),
        ("postgresql:///?host=a,b&hostaddr=1.1.1.1", "hostaddr"),
        ("hostaddr=nowhere", "hostaddr"),
        ("host=h password=my s3cret words", "connection string"),
        ("host=h password=my s3cret=!x", "s3cret"),
        ("host=h password=my !s3cret=x", "(not a name)"),
        ("host=h password='s3cret", "password"),
        ("=x", "connection string"),
        ("http://localhost/db", "connection string"),
        ("host=h connect_timeout=soon", "connect_timeout"),
        ("host=h keepalives=yes", "keepalives"),
        ("host=h client_encoding=LATIN1", "client_encoding"),
        ("host=h channel_binding=maybe", "channel_binding"),
        ("host=h target_session_attrs=fast", "target_session_attrs"),
        ("host=h replication=maybe", "replication"),
        ("host=h gssencmode=require", "gssencmode"),
        ("host=h sslmode=verify-full", "sslrootcert"),
        ("host=h sslrootcert=system sslmode=require", "sslmode"),
        ("host=h sslcert=/a.crt", "sslkey"),
        ("host=h sslkey=/a.key", "sslcert"),
        ("postgresql://h?requiressl=1", "requiressl"),
    ];
    for (text, parameter) in cases {
        let error = ConnectConfig::parse_in(text, &environment).expect_err(text);
        let Error::Config(config) = &error else { panic!("{text}: {error}") };
        assert_eq!(config.parameter, parameter, "{text}: {error}");
        assert!(parameter == "s3cret" || !format!("{error} {error:?}").contains("s3cret"), "{text}: {error}");
    }
}

#[test]
fn every_parameter_takes_effect() {
    let config = parse(
        "host=h application_name=app options='-c a=b' connect_timeout=3 client_encoding=utf-8 sslmode=verify-ca \
         sslrootcert=/roots.crt sslcert=/c.crt sslkey=/c.key channel_binding=require passfile=/passwords \
         target_session_attrs=prefer-standby keepalives=1 keepalives_idle=4 keepalives_interval=5 keepalives_count=6 tcp_user_timeout=7000 \
         replication=database gssencmode=disable",
    );
    assert_eq!(
        (config.application_name.as_deref(), config.options.as_deref()),
        (Some("app"), Some("-c a=b"))
    );
    assert_eq!(config.connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(config.ssl_mode, SslMode::VerifyCa);
    assert_eq!(config.root_certificates, RootCertificates::File("/roots.crt".into()));
    assert_eq!(config.client_certificate, Some(("/c.crt".into(), "/c.key".into())));
    assert_eq!(config.channel_binding, ChannelBinding::Require);
    assert_eq!(config.target_session_attributes, TargetSessionAttributes::PreferStandby);
    assert_eq!(config.password_file.as_deref(), Some(std::path::Path::new("/passwords")));
    let second = Duration::from_secs(1);
    let keep_alive = KeepAlive {
        enabled: true,
        idle: Some(4 * second),
        interval: Some(5 * second),
        count: Some(6),
        unacknowledged: Some(7 * second),
    };
    assert_eq!(config.keep_alive, keep_alive);
    assert_eq!(config.replication, Some(ReplicationMode::Database));

    let plain = parse("host=h connect_timeout=0 keepalives=0 fallback_application_name=fallback");
    assert_eq!((plain.connect_timeout, plain.keep_alive.enabled), (None, false));
    assert_eq!(plain.application_name.as_deref(), Some("fallback"));
    assert_eq!(parse("postgresql://h?ssl=true").ssl_mode, SslMode::Require);
    assert_eq!(parse("postgresql://h?sslrootcert=system").ssl_mode, SslMode::VerifyFull);
    assert_eq!(parse("host=h").ssl_mode, SslMode::Prefer);
}

#[test]
fn the_environment_gives_what_the_text_leaves_out() {
    let variables = |name: &str| -> Option<String> {
        let value = match name {
            "PGHOST" => "envhost",
            "PGPORT" => "77",
            "PGUSER" => "envuser",
            "PGPASSWORD" => "envsecret",
            "PGDATABASE" => "envdb",
            "PGSSLMODE" => "disable",
            "PGAPPNAME" => "envapp",
            "PGCONNECT_TIMEOUT" => "9",
            "PGTARGETSESSIONATTRS" => "standby",
            "PGCHANNELBINDING" => "disable",
            "PGOPTIONS" => "-c x=y",
            "PGPASSFILE" => "/env/passwords",
            "PGSSLROOTCERT" => "/env/roots",
            "PGCLIENTENCODING" => "UTF8",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let config = ConnectConfig::parse_in("postgresql://", &variables).unwrap();
    assert_eq!(line(&config), "envuser envsecret envhost:77 envdb");
    assert_eq!(config.ssl_mode, SslMode::Disable);
    assert_eq!(config.application_name.as_deref(), Some("envapp"));
    assert_eq!(config.connect_timeout, Some(Duration::from_secs(9)));
    assert_eq!(config.target_session_attributes, TargetSessionAttributes::Standby);
    assert_eq!(config.channel_binding, ChannelBinding::Disable);
    assert_eq!(config.options.as_deref(), Some("-c x=y"));
    assert_eq!(config.password_file, Some("/env/passwords".into()));
    assert_eq!(config.root_certificates, RootCertificates::File("/env/roots".into()));
    let given = ConnectConfig::parse_in("postgresql://u:p@h:1/d?sslmode=require", &variables).unwrap();
    assert_eq!((line(&given).as_str(), given.ssl_mode), ("u p h:1 d", SslMode::Require));
    let error = ConnectConfig::parse_in("", &|name| (name == "PGSSLMODE").then(|| "no".into())).unwrap_err();
    assert!(error.to_string().contains("sslmode") || error.to_string().contains("user"), "{error}");
}

#[test]
fn the_home_folder_gives_the_password_file() {
    let home = |name: &str| match name {
        "HOME" => Some("/home/me".to_owned()),
        other => environment(other),
    };
    let config = ConnectConfig::parse_in("host=h", &home).unwrap();
    assert_eq!(config.password_file, Some("/home/me/.pgpass".into()));
}

#[test]
fn what_is_shown_has_no_password_and_reads_back_as_the_same() {
    for text in [
        "postgresql://u%40x:s3cret@h:1,[::1]:2,%2Frun:3/d%2Fb?application_name=a%26b&sslmode=verify-ca&sslrootcert=/r",
        "host=h hostaddr=10.0.0.1 user=u password=s3cret connect_timeout=4 target_session_attrs=primary",
        "host=fe80::1%eth0 user=u password='s3cret' channel_binding=require replication=true options='-c a=b c'",
    ] {
        let config = parse(text);
        let shown = config.redacted_uri();
        assert!(!shown.contains("s3cret") && shown.contains(":***@"), "{shown}");
        assert_eq!(format!("{config:?}"), format!("ConnectConfig({shown:?})"));
        let mut again = parse(&shown);
        again.set_password(Some("s3cret".to_owned()));
        assert!(again == config, "{shown}");
    }
    assert!(!parse("host=h user=u").redacted_uri().contains("***"));
}
