//! The results of one request on their way into parcels.

use std::sync::Arc;
use std::time::Duration;

use multiverse::{Answer, CacheKey, Completed, Error, Flow, Written};
use wire::{Column, RowBatch};

use super::failure::{failure_text, malformed_text};
use super::outbox::{Filling, Outbox};
use super::pack::pack_rows;
use super::parcel::{ItemKind, two_words};
use super::shape::Shape;
use super::tag::Tag;
use super::window::Window;

/// Rows below this need no window: their results have ended before JavaScript could fall behind.
const SMALL: usize = 16 << 10;

/// JavaScript makes rows again of what the cache had for so long at most. Then the engine is asked once more, for which the
/// entry counts as used, and which finds what no epoch tells: that no server is there any more.
const HOLDS: Duration = Duration::from_millis(50);

const HAS_OID: i32 = 1;
const HAS_ROWS: i32 = 2;

/// Packs the results of one request.
pub(super) struct PackedAnswer {
    slot: i32,
    request: u64,
    is_stream: bool,
    outbox: Arc<Outbox>,
    written: Arc<Written>,
    shape: Option<Arc<Shape>>,
    window: Option<Arc<Window>>,
    is_malformed: bool,
}

impl PackedAnswer {
    pub(super) fn new(
        slot: i32,
        request: u64,
        window: Option<Arc<Window>>,
        outbox: Arc<Outbox>,
        written: Arc<Written>,
    ) -> Self {
        let is_stream = window.is_some();
        Self { slot, request, is_stream, outbox, written, shape: None, window, is_malformed: false }
    }

    fn pack(&mut self, filling: &mut Filling, shape: &Shape, rows: &RowBatch) -> Flow {
        let before = filling.parcel.size();
        if pack_rows(&mut filling.parcel, self.slot, shape, rows).is_err() {
            self.is_malformed = true;
            return Flow::Continue;
        }
        let size = filling.parcel.size() - before;
        if size < SMALL && self.window.is_none() {
            return Flow::Continue;
        }
        let window = self.window.get_or_insert_with(|| Arc::new(Window::new(self.request, self.is_stream)));
        if !window.is_stream {
            filling.parcel.windows.push((Arc::clone(window), size));
        }
        if window.enter(size) { Flow::Pause } else { Flow::Continue }
    }
}

impl Answer for PackedAnswer {
    fn columns(&mut self, columns: &Arc<[Column]>) {
        let outbox = &self.outbox;
        let shape = outbox.fill(|filling| {
            let shape = outbox.shape_of(filling, columns);
            filling.parcel.item(ItemKind::Begin, [self.slot, shape.id.cast_signed()]);
            shape
        });
        self.shape = Some(shape);
    }

    fn rows(&mut self, rows: RowBatch) -> Flow {
        let Some(shape) = self.shape.clone() else {
            self.is_malformed = true;
            return Flow::Continue;
        };
        let outbox = Arc::clone(&self.outbox);
        outbox.fill(|filling| self.pack(filling, &shape, &rows))
    }

    fn result(&mut self, command_tag: &str) {
        self.shape = None;
        let Tag { command, oid, rows } = Tag::read(command_tag);
        let known = oid.map_or(0, |_| HAS_OID) | rows.map_or(0, |_| HAS_ROWS);
        let [low, high] = two_words(rows.unwrap_or(0));
        self.outbox.fill(|filling| {
            let command = command.map_or(-1, |command| filling.name(command));
            let oid = oid.unwrap_or(0).cast_signed();
            filling.parcel.item(ItemKind::Result, [self.slot, command, known, oid, low, high]);
        });
    }

    fn looked_up(&mut self, is_hit: bool, key: &CacheKey) {
        let key = key.text();
        self.outbox.fill(|filling| {
            let text = filling.parcel.add_text(&key);
            filling.parcel.item(ItemKind::Looked, [self.slot, is_hit.into(), text]);
        });
    }

    fn holds(&mut self, epoch: u32, fresh_for: Option<Duration>) {
        let limit = fresh_for.map_or(HOLDS, |time| time.min(HOLDS));
        let micros = i32::try_from(limit.as_micros()).unwrap_or(0);
        if micros > 0 {
            self.outbox.fill(|filling| {
                filling.parcel.item(ItemKind::Holds, [self.slot, epoch.cast_signed(), micros]);
            });
        }
    }

    fn end(self: Box<Self>, outcome: Result<Completed, Error>) {
        if let Ok(Completed { cluster, written: Some(position), .. }) = &outcome {
            self.written.note(cluster, *position);
        }
        let failure = match &outcome {
            Ok(_) if self.is_malformed => Some(malformed_text()),
            Ok(_) => None,
            Err(error) => Some(failure_text(error)),
        };
        self.outbox.fill(|filling| match (failure, outcome) {
            (None, Ok(completed)) => {
                let cluster = filling.name(&completed.cluster);
                let micros = u64::try_from(completed.duration.as_micros()).unwrap_or(u64::MAX);
                let [low, high] = two_words(micros);
                filling.parcel.item(ItemKind::Done, [self.slot, cluster, low, high]);
            }
            (failure, _) => {
                let text = filling.parcel.add_text(&failure.unwrap_or_default());
                filling.parcel.item(ItemKind::Failed, [self.slot, text]);
            }
        });
    }
}
