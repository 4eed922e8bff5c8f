//! What leaves the engine: parcels are filled on its thread and taken by JavaScript.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wire::Column;

use super::parcel::{ItemKind, Parcel, place};
use super::shape::{News, Shape, Shapes, TextTypes};

/// Emptied parcels that are kept for reuse.
const MOST_SPARE: usize = 4;
/// Names are those of clusters and commands; beyond this many, something else is named, and it is told each time.
const MOST_NAMES: usize = 10_000;

/// Parcels on their way to JavaScript.
pub(super) struct Outbox {
    /// Only whoever turns the engine uses it.
    filling: Mutex<Filling>,
    ready: Mutex<Ready>,
    text_types: TextTypes,
    /// Tells JavaScript that there are parcels.
    wake: Box<dyn Fn() + Send + Sync>,
}

/// The parcel that is being filled, and what JavaScript knows already.
#[derive(Default)]
pub(super) struct Filling {
    pub(super) parcel: Parcel,
    shapes: Shapes,
    names: HashMap<Arc<str>, i32>,
}

#[derive(Default)]
struct Ready {
    parcels: VecDeque<Parcel>,
    spare: Vec<Parcel>,
    /// JavaScript was woken, and takes until nothing is left.
    is_woken: bool,
}

impl Outbox {
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            filling: Mutex::default(),
            ready: Mutex::default(),
            text_types: TextTypes::default(),
            wake: Box::new(wake),
        }
    }

    /// Fills the current parcel; one that is full goes at once, so that JavaScript starts on it.
    pub(super) fn fill<T>(&self, fill: impl FnOnce(&mut Filling) -> T) -> T {
        let mut filling = lock(&self.filling);
        let outcome = fill(&mut filling);
        if filling.parcel.is_full() {
            self.send(&mut filling);
        }
        outcome
    }

    /// Sends what there is: the engine has done all it could for now.
    pub(super) fn flush(&self) {
        let mut filling = lock(&self.filling);
        if !filling.parcel.is_empty() {
            self.send(&mut filling);
        }
    }

    /// Has what there is lie ready without waking JavaScript, which takes it at once.
    pub(super) fn flush_unannounced(&self) {
        let mut filling = lock(&self.filling);
        if filling.parcel.is_empty() {
            return;
        }
        let mut ready = lock(&self.ready);
        let empty = ready.spare.pop().unwrap_or_default();
        ready.parcels.push_back(std::mem::replace(&mut filling.parcel, empty));
        ready.is_woken = true;
    }

    fn send(&self, filling: &mut Filling) {
        let must_wake = {
            let mut ready = lock(&self.ready);
            let empty = ready.spare.pop().unwrap_or_default();
            ready.parcels.push_back(std::mem::replace(&mut filling.parcel, empty));
            !std::mem::replace(&mut ready.is_woken, true)
        };
        if must_wake {
            (self.wake)();
        }
    }

    /// The next parcel, and whether there is another one. If there is none, JavaScript is woken for the next one.
    pub(super) fn take(&self) -> Option<(Parcel, bool)> {
        let mut ready = lock(&self.ready);
        let parcel = ready.parcels.pop_front();
        ready.is_woken = !ready.parcels.is_empty();
        parcel.map(|parcel| (parcel, ready.is_woken))
    }

    /// Puts a parcel back that could not be taken.
    pub(super) fn put_back(&self, parcel: Parcel) {
        let mut ready = lock(&self.ready);
        ready.parcels.push_front(parcel);
        // JavaScript takes it at once.
        ready.is_woken = true;
    }

    /// Takes a parcel that was read for reuse.
    pub(super) fn recycle(&self, parcel: Parcel) {
        let mut ready = lock(&self.ready);
        if ready.spare.len() < MOST_SPARE {
            ready.spare.push(parcel.emptied());
        }
    }

    /// Sets the types whose text the application parses itself.
    pub(super) fn set_text_types(&self, oids: &[u32]) {
        self.text_types.set(oids);
        lock(&self.filling).shapes.forget();
    }

    /// The shape of these columns, after JavaScript was told of it.
    pub(super) fn shape_of(&self, filling: &mut Filling, columns: &Arc<[Column]>) -> Arc<Shape> {
        let (shape, news) = filling.shapes.of(columns, &self.text_types);
        let (description, starts_over) = match news {
            News::None => return shape,
            News::Columns(description) => (description, 0),
            News::StartOver(description) => (description, 1),
        };
        let text = filling.parcel.add_text(&description);
        filling.parcel.item(ItemKind::Shape, [shape.id.cast_signed(), text, starts_over]);
        shape
    }
}

impl Filling {
    /// The number that stands for a name, after JavaScript was told of it.
    pub(super) fn name(&mut self, name: &str) -> i32 {
        if let Some(number) = self.names.get(name) {
            return *number;
        }
        let number = place(self.names.len());
        let text = self.parcel.add_text(name);
        self.parcel.item(ItemKind::Name, [number, text]);
        if self.names.len() < MOST_NAMES {
            self.names.insert(Arc::from(name), number);
        }
        number
    }
}

/// What a panic left half-done is at worst a parcel with an item too few.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn outbox() -> (Outbox, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&wakes);
        (
            Outbox::new(move || {
                counter.fetch_add(1, Ordering::Relaxed);
            }),
            wakes,
        )
    }

    #[test]
    fn javascript_is_woken_once_until_it_has_taken_everything() {
        let (outbox, wakes) = outbox();
        for _ in 0..3 {
            outbox.fill(|filling| filling.parcel.item(ItemKind::Begin, [0, 0]));
            outbox.flush();
        }
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        for has_more in [true, true, false] {
            assert_eq!(outbox.take().map(|(_, has_more)| has_more), Some(has_more));
        }
        assert!(outbox.take().is_none());
        outbox.flush();
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        outbox.fill(|filling| filling.parcel.item(ItemKind::Begin, [0, 0]));
        outbox.flush();
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_full_parcel_goes_before_the_turn_ends() {
        let (outbox, wakes) = outbox();
        outbox.fill(|filling| filling.parcel.text.resize(100_000, b'x'));
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_name_is_told_once() {
        let (outbox, _) = outbox();
        outbox.fill(|filling| {
            assert_eq!((filling.name("us"), filling.name("SELECT"), filling.name("us")), (0, 1, 0));
            assert_eq!(filling.parcel.words, [2, 0, 0, 2, 1, 1]);
        });
    }
}
