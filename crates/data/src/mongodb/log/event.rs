//! What a change stream tells, taken apart.

use mongodb::bson::{RawDocument, Timestamp as ClusterTime};

use super::place::{moment_of, order_of};
use crate::error::Result;
use crate::mongodb::error::malformed;
use crate::value::Timestamp;

/// A change of one document or one collection.
pub(super) struct Event<'d> {
    /// The resume token that stands for it.
    pub(super) token: &'d RawDocument,
    /// The cluster time of its transaction.
    pub(super) order: u64,
    pub(super) committed_at: Timestamp,
    /// The session and number of the transaction, where it is one of several operations.
    pub(super) transaction: Option<String>,
    /// The collection; none for what concerns the database.
    pub(super) collection: Option<&'d str>,
    pub(super) what: What<'d>,
}

/// What happened.
pub(super) enum What<'d> {
    Insert(&'d RawDocument),
    Replace(&'d RawDocument),
    Update {
        key: &'d RawDocument,
        /// The document after the update, where the server keeps it.
        image: Option<&'d RawDocument>,
        description: &'d RawDocument,
    },
    Delete {
        key: &'d RawDocument,
    },
    Drop,
    Rename {
        to: &'d str,
    },
    /// The database is gone.
    Invalidate,
    /// Nothing that concerns documents.
    Other,
}

impl<'d> Event<'d> {
    pub(super) fn of(event: &'d RawDocument) -> Result<Self> {
        let order =
            order_of(event.get_timestamp("clusterTime").unwrap_or(ClusterTime { time: 0, increment: 0 }));
        let committed_at = match event.get_datetime("wallTime") {
            Ok(moment) => Timestamp::from_millis(moment.timestamp_millis()),
            Err(_) => moment_of(order),
        };
        let collection = event.get_document("ns").ok().and_then(|ns| ns.get_str("coll").ok());
        Ok(Self {
            token: event.get_document("_id").map_err(malformed)?,
            order,
            committed_at,
            transaction: transaction_of(event),
            collection,
            what: What::of(event)?,
        })
    }
}

impl<'d> What<'d> {
    fn of(event: &'d RawDocument) -> Result<Self> {
        let document = |name: &str| event.get_document(name).map_err(malformed);
        Ok(match event.get_str("operationType").map_err(malformed)? {
            "insert" => Self::Insert(document("fullDocument")?),
            "replace" => Self::Replace(document("fullDocument")?),
            "update" => Self::Update {
                key: document("documentKey")?,
                image: event.get_document("fullDocument").ok(),
                description: document("updateDescription")?,
            },
            "delete" => Self::Delete { key: document("documentKey")? },
            "drop" => Self::Drop,
            "rename" => Self::Rename { to: document("to")?.get_str("coll").map_err(malformed)? },
            "invalidate" => Self::Invalidate,
            _ => Self::Other,
        })
    }
}

fn transaction_of(event: &RawDocument) -> Option<String> {
    let number = event.get_i64("txnNumber").ok()?;
    let session = event.get_document("lsid").ok()?.get_binary("id").ok()?;
    let digits: String = session.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(format!("{digits}:{number}"))
}
