//! Whether the log of one server goes on where that of another one was read, as after a failover.
//!
//! MySQL numbers transactions under a name of the server that no other one has, so that a server that has all of them has what
//! was read. MariaDB tells servers apart by numbers that people give them, the same one to many; so the last transaction
//! itself is looked at: replicas keep what it has done, and when.

use futures_util::StreamExt;
use mysql_async::binlog::events::Event;
use tokio::time::timeout;

use super::super::pool::Pool;
use super::client::dump;
use super::event::{self, RowsForm, kinds};
use super::place::{Gtid, Last, Place};
use super::stream::{SILENCE, received};
use crate::error::{ErrorKind, Result};

/// How much of an event is looked at. Servers may divide the rows of a statement otherwise, but not those that come first.
const LOOKED_AT: usize = 256;
/// What the rows of an event follow: the number that the server has for their table, and marks.
const BEFORE_ROWS: usize = 8;

/// Whether the log of this server holds everything before a place, as far as can be proven.
pub(super) async fn goes_on(pool: &Pool, place: &Place, head: &Place) -> Result<bool> {
    if !place.leads_to(head) {
        return Ok(false);
    }
    match place {
        Place::Mysql(sources) => Ok(!sources.is_empty()),
        Place::Mariadb(domains) => {
            let mut is_proven = false;
            for (domain, last) in domains.iter().filter(|(_, last)| last.fingerprint.is_some()) {
                if fingerprint_of(pool, head, *domain, *last).await? != last.fingerprint {
                    return Ok(false);
                }
                is_proven = true;
            }
            Ok(is_proven)
        }
        // Every server has files of its own.
        Place::File { .. } => Ok(false),
    }
}

/// A place of this server's log, with the fingerprints of its last transactions.
pub(super) async fn marked(pool: &Pool, place: Place) -> Result<Place> {
    let Place::Mariadb(mut domains) = place else { return Ok(place) };
    let head = Place::Mariadb(domains.clone());
    for (domain, last) in &mut domains {
        last.fingerprint = fingerprint_of(pool, &head, *domain, *last).await?;
    }
    Ok(Place::Mariadb(domains))
}

/// The fingerprint of a transaction; `None` if this server does not have it in its log.
async fn fingerprint_of(pool: &Pool, head: &Place, domain: u32, last: Last) -> Result<Option<u32>> {
    let Some(before) = head.before(domain, last) else { return Ok(None) };
    let looked_for = async || -> Result<Option<u32>> {
        let mut log = dump(pool, &before).await?;
        let mut is_found = false;
        loop {
            let event = received(log.next().await)?;
            let header = event.header();
            match header.event_type_raw() {
                kinds::MARIADB_GTID if is_found => return Ok(None),
                kinds::MARIADB_GTID => {
                    is_found = match event::mariadb_gtid(event.data(), header.server_id())?.gtid {
                        Gtid::Mariadb { domain: of, server, number } if of == domain => {
                            if (server, number) != (last.server, last.number) {
                                return Ok(None);
                            }
                            true
                        }
                        _ => false,
                    };
                }
                // The log has ended.
                kinds::HEARTBEAT => return Ok(None),
                _ if is_found => {
                    if let Some(found) = fingerprint(&event)? {
                        return Ok(Some(found));
                    }
                }
                _ => {}
            }
        }
    };
    match timeout(SILENCE, looked_for()).await {
        Ok(Err(error)) if error.kind() == ErrorKind::LogLost => Ok(None),
        Ok(found) => found,
        Err(_) => Ok(None),
    }
}

/// What this event gives the fingerprint of its transaction, if it is one that tells what was done. Replicas write down the moment of an
/// event as it was, but that of the number before it as their own.
pub(super) fn fingerprint(event: &Event) -> Result<Option<u32>> {
    let (header, body) = (event.header(), event.data());
    let kind = header.event_type_raw();
    let mut sum = crc32fast::Hasher::new();
    sum.update(&header.timestamp().to_le_bytes());
    let mut add = |bytes: &[u8]| sum.update(bytes.get(..LOOKED_AT).unwrap_or(bytes));
    match kind {
        kinds::QUERY | kinds::MARIADB_COMPRESSED_QUERY => {
            add(event::query(body, kind == kinds::MARIADB_COMPRESSED_QUERY, 0)?.sql.as_bytes());
        }
        _ if RowsForm::of(kind).is_some() => add(body.get(BEFORE_ROWS..).unwrap_or_default()),
        _ => return Ok(None),
    }
    Ok(Some(sum.finalize()))
}
