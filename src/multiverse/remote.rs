//! The shared cache, which JavaScript reaches: questions leave in parcels, answers come by calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use multiverse::CacheKey;
use multiverse::cache::{RemoteAnswer, RemoteCache, RemoteEntry};
use serde_json::json;

use super::outbox::Outbox;
use super::parcel::{ItemKind, place, two_words};

/// Whether the shared cache can be reached, as JavaScript tells.
#[derive(Debug, Default)]
pub(super) struct RemoteState {
    is_ready: AtomicBool,
    may_keep_near: AtomicBool,
}

impl RemoteState {
    pub(super) fn set(&self, is_ready: bool, may_keep_near: bool) {
        self.is_ready.store(is_ready, Ordering::Relaxed);
        self.may_keep_near.store(may_keep_near, Ordering::Relaxed);
    }
}

/// The engine's end of the way to the shared cache.
pub(super) struct PackedRemote {
    pub(super) state: Arc<RemoteState>,
    pub(super) outbox: Arc<Outbox>,
}

impl RemoteCache for PackedRemote {
    fn is_ready(&self) -> bool {
        self.state.is_ready.load(Ordering::Relaxed)
    }

    fn may_keep_near(&self) -> bool {
        self.state.may_keep_near.load(Ordering::Relaxed)
    }

    fn look_up(&mut self, flight: u64, key: &CacheKey, scopes: &[String]) {
        let question = json!({"digest": key.digest(), "scopes": scopes}).to_string();
        let [low, high] = two_words(flight);
        self.outbox.fill(|filling| {
            let text = filling.parcel.add_text(&question);
            filling.parcel.item(ItemKind::RemoteLook, [low, high, text]);
        });
    }

    fn finish(&mut self, flight: u64, fetched: Option<RemoteEntry<'_>>) {
        let [low, high] = two_words(flight);
        self.outbox.fill(|filling| {
            let parcel = &mut filling.parcel;
            let Some(RemoteEntry { key, scopes, ttl, bytes }) = fetched else {
                return parcel.item(ItemKind::RemoteEnd, [low, high, -1, 0, 0]);
            };
            let ttl = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
            let entry = json!({"digest": key.digest(), "key": key.text(), "scopes": scopes, "ttl": ttl});
            let text = parcel.add_text(&entry.to_string());
            let first = place(parcel.bytes.len());
            parcel.bytes.extend_from_slice(&bytes);
            parcel.item(ItemKind::RemoteEnd, [low, high, text, first, place(bytes.len())]);
        });
    }

    fn invalidate(&mut self, scopes: &[String]) {
        let scopes = json!(scopes).to_string();
        self.outbox.fill(|filling| {
            let text = filling.parcel.add_text(&scopes);
            filling.parcel.item(ItemKind::RemoteDrop, [text]);
        });
    }
}

/// What JavaScript found.
pub(super) fn answer(bytes: Option<&[u8]>, ttl: Option<f64>) -> Option<RemoteAnswer> {
    let ttl = ttl.and_then(|millis| Duration::try_from_secs_f64(millis / 1_000.0).ok());
    bytes.map(|bytes| RemoteAnswer { bytes: bytes.to_vec(), ttl })
}
