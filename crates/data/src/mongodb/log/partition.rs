//! Parts of a collection by key: where they end, and in which of them keys lie. The server compares, so that keys of any
//! types are in its own order.

use mongodb::bson::{Bson, RawDocument, doc};

use crate::error::{Error, Result};
use crate::mongodb::bson::{bson_of, value_of};
use crate::mongodb::connect::Connection;
use crate::mongodb::cursor::each_document;
use crate::mongodb::error::{NAMESPACE_NOT_FOUND, driver_error, malformed, server_code};
use crate::mongodb::fields::KEY;
use crate::table::Table;
use crate::value::{Value, json_text};

/// So many keys are looked at for each bound; fewer would make parts of very different sizes.
const SAMPLED_PER_PART: u64 = 100;
/// A collection has no more parts than this.
const MOST_PARTS: u64 = 2048;
/// The keys that are located by one command.
const LOCATED_AT_ONCE: usize = 500;

/// The last keys of all parts but the last one, from a sample.
pub(super) async fn split(
    connection: &Connection,
    table: &Table,
    rows_per_part: u64,
) -> Result<Vec<Vec<Value>>> {
    let collection = connection.collection(&table.name);
    let rows = collection.estimated_document_count().await.map_err(|error| driver_error(&error))?;
    let parts = rows.div_ceil(rows_per_part.max(1)).min(MOST_PARTS);
    if parts < 2 || table.key.len() != 1 {
        return Ok(Vec::new());
    }
    connection.trace("aggregate", &table.name);
    let size = i64::try_from(parts.saturating_mul(SAMPLED_PER_PART)).unwrap_or(i64::MAX);
    let pipeline = [doc! {"$sample": {"size": size}}, doc! {"$project": {KEY: 1}}, doc! {"$sort": {KEY: 1}}];
    let simple = mongodb::options::Collation::builder().locale("simple".to_owned()).build();
    let sample = collection.aggregate(pipeline).collation(simple).allow_disk_use(true).batch().await;
    let mut keys: Vec<Value> = Vec::new();
    each_document(sample.map_err(|error| driver_error(&error))?, |document: &RawDocument| {
        if let Some(id) = document.get(KEY).map_err(malformed)? {
            keys.push(value_of(id)?);
        }
        Ok(())
    })
    .await?;
    // A sample may hold a key twice.
    keys.dedup_by(|a, b| json_text(a) == json_text(b));
    let parts = usize::try_from(parts).unwrap_or(usize::MAX).min(keys.len());
    let bounds = (1..parts).filter_map(|part| keys.get(part * keys.len() / parts));
    Ok(bounds.map(|key| vec![key.clone()]).collect())
}

/// In which part each key lies: as many parts end before it.
pub(super) async fn locate(
    connection: &Connection,
    table: &Table,
    bounds: &[Vec<Value>],
    keys: &[Vec<Value>],
) -> Result<Vec<usize>> {
    if bounds.is_empty() || keys.is_empty() {
        return Ok(vec![0; keys.len()]);
    }
    let bounds = bounds.iter().map(|bound| single(bound)).collect::<Result<Vec<Bson>>>()?;
    let mut parts = Vec::with_capacity(keys.len());
    for keys in keys.chunks(LOCATED_AT_ONCE) {
        let keys = keys.iter().map(|key| single(key)).collect::<Result<Vec<Bson>>>()?;
        parts.extend(locate_some(connection, table, &bounds, keys).await?);
    }
    Ok(parts)
}

async fn locate_some(
    connection: &Connection,
    table: &Table,
    bounds: &[Bson],
    keys: Vec<Bson>,
) -> Result<Vec<usize>> {
    let count = keys.len();
    let before = doc! {"$filter": {
        "input": {"$literal": bounds}, "as": "bound", "cond": {"$gt": ["$$key", "$$bound"]},
    }};
    let parts = doc! {"$map": {"input": {"$literal": keys}, "as": "key", "in": {"$size": before}}};
    // This stage gives one document, whatever the collection holds.
    let pipeline = [doc! {"$collStats": {}}, doc! {"$limit": 1}, doc! {"$project": {"parts": parts}}];
    let simple = mongodb::options::Collation::builder().locale("simple".to_owned()).build();
    let collection = connection.collection(&table.name);
    let found = match collection.aggregate(pipeline).collation(simple).batch().await {
        // It was dropped, which the log will tell.
        Err(error) if server_code(&error) == Some(NAMESPACE_NOT_FOUND) => return Ok(vec![0; count]),
        found => found.map_err(|error| driver_error(&error))?,
    };
    let mut located = Vec::with_capacity(count);
    each_document(found, |document: &RawDocument| {
        for part in document.get_array("parts").map_err(malformed)? {
            let part = part.map_err(malformed)?.as_i32().and_then(|part| usize::try_from(part).ok());
            located.push(part.ok_or_else(|| malformed("a number of parts"))?);
        }
        Ok(())
    })
    .await
    .map_err(Error::from)?;
    if located.len() != count {
        return Err(malformed("another number of keys"));
    }
    Ok(located)
}

fn single(key: &[Value]) -> Result<Bson> {
    match key {
        [key] => bson_of(key),
        _ => Err(malformed("a key of several columns")),
    }
}
