//! The peer for MongoDB: unordered `insert_many` of ready documents by the driver, one batch after the other.

use std::time::Instant;

use data::{Value, json_text};
use mongodb::Client;
use mongodb::bson::{Bson, DateTime, Decimal128, Document, RawDocumentBuf};

use crate::job::{Failure, Outcome};
use crate::ready::Ready;

/// Documents of one `insert_many`.
const BATCH: usize = 10_000;

/// Inserts the rows as documents.
pub(crate) async fn insert(uri: &str, ready: &Ready) -> Result<Outcome, Failure> {
    let documents = documents(ready)?;
    let client = Client::with_uri_str(uri).await?;
    let database = client.default_database().unwrap_or_else(|| client.database("test"));
    let collection = database.collection::<RawDocumentBuf>(&ready.table.name);
    // The driver connects at the first use.
    collection.estimated_document_count().await?;

    let start = Instant::now();
    for batch in documents.chunks(BATCH) {
        collection.insert_many(batch).ordered(false).await?;
    }
    Ok(Outcome::of(documents.len(), start.elapsed()))
}

/// The documents in their final bytes, so that the driver only has to send them.
fn documents(ready: &Ready) -> Result<Vec<RawDocumentBuf>, Failure> {
    ready.rows.iter().map(|row| Ok(RawDocumentBuf::try_from(&document(ready, row)?)?)).collect()
}

fn document(ready: &Ready, row: &[Value]) -> Result<Document, Failure> {
    let mut document = Document::new();
    for (column, value) in ready.table.columns.iter().zip(row).filter(|(_, value)| !value.is_null()) {
        let name = if column.name == "id" { "_id" } else { &column.name };
        document.insert(name, bson(value)?);
    }
    Ok(document)
}

fn bson(value: &Value) -> Result<Bson, Failure> {
    Ok(match value {
        Value::Null | Value::JsonNull => Bson::Null,
        Value::Bool(flag) => Bson::Boolean(*flag),
        Value::Int32(number) => Bson::Int32(*number),
        Value::Int64(number) => Bson::Int64(*number),
        Value::Float(number) => Bson::Double(*number),
        Value::Decimal(text) => Bson::Decimal128(text.parse::<Decimal128>()?),
        Value::Text(text) => Bson::String(text.clone()),
        Value::Timestamp(moment) => Bson::DateTime(DateTime::from_millis(moment.millis())),
        Value::Array(items) => Bson::Array(items.iter().map(bson).collect::<Result<_, _>>()?),
        Value::Object(object) => {
            let mut document = Document::new();
            for (name, value) in object.iter() {
                document.insert(name, bson(value)?);
            }
            Bson::Document(document)
        }
        Value::Bytes(_) | Value::ObjectId(_) => return Err(Failure::Value(json_text(value))),
    })
}
