//! Progress of the members of a MongoDB replica set: the operation times that `hello` tells every user.

use super::{Progress, ServerRole};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::record::Record;
use crate::value::Value;

pub(super) async fn progress(database: &dyn Dialect) -> Result<Option<Progress>> {
    let replies = database.execute_query(r#"{"hello": 1}"#, Vec::new()).await?;
    // A server outside of a set, and a router, tell of no operation.
    Ok(replies.first().and_then(of_reply))
}

fn of_reply(reply: &Record) -> Option<Progress> {
    let last_write = object(reply.get("lastWrite")?)?;
    let operation = object(object(last_write.get("opTime")?)?.get("ts")?)?;
    let moment = object(operation.get("$timestamp")?)?;
    let part = |name: &str| moment.get(name).and_then(Value::as_f64);
    let position = combined(part("t")?, part("i")?);
    let millis = |name: &str, of: &Record| match of.get(name) {
        Some(Value::Timestamp(moment)) => Some(moment.0),
        _ => None,
    };
    let is_primary = reply.get("isWritablePrimary") == Some(&Value::Bool(true));
    let mut progress = Progress {
        server: reply.get("me").and_then(Value::as_text).map(str::to_owned),
        cluster: reply.get("setName").and_then(Value::as_text).map(str::to_owned),
        now: millis("localTime", reply),
        ..Progress::of(if is_primary { ServerRole::Primary } else { ServerRole::Replica })
    };
    if is_primary {
        progress.written = Some(position);
    } else {
        progress.received = Some(position);
        progress.applied = Some(position);
        progress.applied_at = millis("lastWriteDate", last_write);
        progress.receiving = reply.get("secondary") == Some(&Value::Bool(true));
    }
    Some(progress)
}

/// Seconds and the counter within them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both are unsigned 32 bit integers"
)]
fn combined(seconds: f64, counter: f64) -> u64 {
    (seconds as u64) << 32 | counter as u64
}

fn object(value: &Value) -> Option<&Record> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}
