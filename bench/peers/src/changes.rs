//! The peer for changes on MongoDB: ordered bulk writes of ready operations, 1,000 at a time.
//!
//! The operations are those that `bench/cdc/workload.mjs` causes: of each 100, 50 inserts, 40 updates and 10 deletes. The
//! server of these benchmarks has no command that takes operations of several kinds, so that consecutive ones of a kind go
//! together, in their order, as the driver's own ordered bulk writes do there.

use std::time::Instant;

use mongodb::Client;
use mongodb::bson::{DateTime, Decimal128, Document, doc};

use crate::job::{Failure, Outcome};

/// Operations of a kind in one command.
const BATCH: usize = 1_000;
/// Inserts, updates and deletes of one transaction.
const TRANSACTION: (i64, i64, i64) = (50, 40, 10);

/// Commands that hold that many events.
struct Ready {
    commands: Vec<Document>,
    events: usize,
}

/// Writes as many events.
pub(crate) async fn change(uri: &str, table: &str, events: usize) -> Result<Outcome, Failure> {
    let ready = ready(table, events)?;
    let client = Client::with_uri_str(uri).await?;
    let database = client.default_database().unwrap_or_else(|| client.database("test"));
    database.run_command(doc! { "ping": 1 }).await?;

    let start = Instant::now();
    for command in ready.commands {
        database.run_command(command).await?;
    }
    Ok(Outcome::of(ready.events, start.elapsed()))
}

fn ready(table: &str, events: usize) -> Result<Ready, Failure> {
    let (inserts, updates, deletes) = TRANSACTION;
    let mut ready = Ready { commands: Vec::new(), events: 0 };
    let mut base = 0;
    while ready.events < events {
        let documents = (base + 1..=base + inserts).map(document).collect::<Result<Vec<_>, _>>()?;
        let changed = (base + 1..=base + updates).map(|id| {
            let price = price(id + 1)?;
            Ok(doc! { "q": { "_id": id }, "u": { "$set": { "price": price, "name": format!("Renamed {id}") } } })
        });
        let changed = changed.collect::<Result<Vec<_>, Failure>>()?;
        let deleted: Vec<_> = (base + updates + 1..=base + updates + deletes)
            .map(|id| doc! { "q": { "_id": id }, "limit": 1 })
            .collect();
        ready.events += documents.len() + changed.len() + deleted.len();
        for part in documents.chunks(BATCH) {
            ready.commands.push(doc! { "insert": table, "documents": part, "ordered": true });
        }
        for part in changed.chunks(BATCH) {
            ready.commands.push(doc! { "update": table, "updates": part, "ordered": true });
        }
        for part in deleted.chunks(BATCH) {
            ready.commands.push(doc! { "delete": table, "deletes": part, "ordered": true });
        }
        base += inserts;
    }
    Ok(ready)
}

fn document(id: i64) -> Result<Document, Failure> {
    Ok(doc! {
        "_id": id, "small": id % 1000, "price": price(id)?, "ratio": id as f64 / 7.0, "flag": id % 2 == 0,
        "name": format!("Item number {id}"), "hash": format!("{id:032x}"),
        "at": DateTime::from_millis(1_704_067_200_000 + id * 1000),
        "document": { "n": id, "tags": ["a", id % 10] }, "day": "2024-01-01",
    })
}

fn price(id: i64) -> Result<Decimal128, Failure> {
    Ok(format!("{}.{:02}", id, id % 100).parse::<Decimal128>()?)
}
