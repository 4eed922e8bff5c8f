//! The connection over which the server sends its log: a client of its own, as sqlx has no command for it.

use std::hash::{BuildHasher, RandomState};

use mysql_async::prelude::Queryable;
use mysql_async::{BinlogStream, BinlogStreamRequest, Conn, Opts, Sid};

use super::super::pool::Pool;
use super::failure::{has_no_tls, of_driver};
use super::place::Place;
use crate::error::{Error, ErrorKind, Result};

/// How often the server says that it is there while nothing is written, in nanoseconds.
const HEARTBEAT: u64 = 5_000_000_000;
/// How long the server waits for a reader that is slow, in seconds. That is no reason to give up.
const PATIENCE: u32 = 604_800;

/// Asks the server for its log from a place on.
pub(super) async fn dump(pool: &Pool, from: &Place) -> Result<BinlogStream> {
    let mut connection = connect(pool).await?;
    let mut settings = vec![
        format!("SET SESSION net_write_timeout = {PATIENCE}"),
        format!("SET @master_heartbeat_period = {HEARTBEAT}, @source_heartbeat_period = {HEARTBEAT}"),
        format!("SET @slave_uuid = '{0}', @replica_uuid = '{0}'", uuid::Uuid::new_v4()),
    ];
    if let Place::Mariadb(_) = from {
        // A reader that knows its numbers of transactions, and begins behind these.
        settings.push(format!("SET @mariadb_slave_capability = 4, @slave_connect_state = '{from}'"));
        settings.push("SET @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0".to_owned());
    }
    for setting in settings {
        connection.query_drop(setting).await.map_err(of_driver)?;
    }
    let request = BinlogStreamRequest::new(own_number());
    let opened = match from {
        Place::Mariadb(_) => connection.get_binlog_stream(request).await,
        Place::File { file, offset } => {
            let request = request.with_filename(file.as_bytes()).with_pos(*offset);
            connection.get_binlog_stream(request).await
        }
        Place::Mysql(_) => {
            let sources = sources(from)?;
            connection.get_binlog_stream(request.with_gtid().with_gtid_set(sources)).await
        }
    };
    opened.map_err(of_driver)
}

async fn connect(pool: &Pool) -> Result<Conn> {
    let login = pool.login();
    let (options, may_do_without) = login.stream_options();
    match Conn::new(Opts::from(options.clone())).await {
        Err(error) if may_do_without && has_no_tls(&error) => {
            Conn::new(Opts::from(options.ssl_opts(None))).await.map_err(of_driver)
        }
        connected => connected.map_err(of_driver),
    }
}

/// The transactions of a place, as the request has them.
fn sources(place: &Place) -> Result<Vec<Sid<'static>>> {
    let text = place.to_string();
    let parsed = text.split(',').filter(|source| !source.is_empty()).map(|source| {
        source.parse::<Sid<'static>>().map_err(|error| {
            Error::new(ErrorKind::LogLost, "the position is none of this log").with_source(error)
        })
    });
    parsed.collect()
}

/// A number that no other reader of the server has: chance sees to it, as there are two thousand million of them.
fn own_number() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(std::process::id()).to_le_bytes();
    u32::from_le_bytes([a, b, c, d]) | 1 << 31
}
