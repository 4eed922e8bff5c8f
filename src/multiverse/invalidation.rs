//! What leaves the cache: by an application's wish, and by itself.

use std::sync::Arc;

use multiverse::cache::{EvictionReason, Invalidation};
use multiverse::{EvictionListener, LogListener};
use serde::Deserialize;

use super::outbox::Outbox;
use super::parcel::ItemKind;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CriteriaText {
    schema: Option<String>,
    tags: Option<Vec<String>>,
    cluster: Option<String>,
    keys: Option<Vec<String>>,
    digests: Option<Vec<String>>,
}

/// Reads what is to be dropped. Of several criteria the first of schema, tags, cluster and keys counts.
///
/// # Errors
/// What is wrong, as text.
pub(super) fn read_invalidation(text: &str) -> Result<Invalidation, String> {
    let criteria: CriteriaText = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(match criteria {
        CriteriaText { schema: Some(schema), .. } => Invalidation::Schema(schema),
        CriteriaText { tags: Some(tags), .. } => Invalidation::Tags(tags),
        CriteriaText { cluster: Some(cluster), .. } => Invalidation::Cluster(cluster),
        CriteriaText { keys: Some(keys), .. } => Invalidation::Keys(keys),
        CriteriaText { digests: Some(digests), .. } => Invalidation::Digests(digests),
        _ => Invalidation::All,
    })
}

/// Puts what has left the cache into parcels.
pub(super) fn eviction_listener(outbox: Arc<Outbox>) -> EvictionListener {
    Box::new(move |key, reason| {
        let reason = match reason {
            EvictionReason::Ttl => 0,
            EvictionReason::Size => 1,
            EvictionReason::Manual => 2,
        };
        let key = key.text();
        outbox.fill(|filling| {
            let text = filling.parcel.add_text(&key);
            filling.parcel.item(ItemKind::Evicted, [reason, text]);
        });
    })
}

/// Puts what is told of logs into parcels.
pub(super) fn log_listener(outbox: Arc<Outbox>) -> LogListener {
    Box::new(move |cluster, lost| {
        outbox.fill(|filling| {
            let cluster = filling.parcel.add_text(cluster);
            let lost = lost.map_or(-1, |reason| filling.parcel.add_text(reason));
            filling.parcel.item(ItemKind::LogState, [cluster, lost]);
        });
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_criteria_the_first_counts() {
        let read = |text| read_invalidation(text).unwrap();
        assert_eq!(read(r#"{"cluster":"us","schema":"shop"}"#), Invalidation::Schema("shop".to_owned()));
        assert_eq!(read(r#"{"cluster":"us","tags":["a"]}"#), Invalidation::Tags(vec!["a".to_owned()]));
        assert_eq!(read("{}"), Invalidation::All);
        assert!(read_invalidation(r#"{"table":"t"}"#).is_err());
    }
}
