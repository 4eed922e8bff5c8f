//! The entries of a store that are dropped together.

/// So many entries that have gone are not worth sweeping out of their scope.
const FEW_GONE: usize = 16;

/// The entries of a scope. Those that have gone are swept out by the many, as finding each would take longer.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Slots, and when their entries were born.
    pub(super) places: Vec<(usize, u64)>,
    /// How many of them are still there.
    pub(super) count: usize,
}

impl Members {
    pub(super) fn add(&mut self, slot: usize, born: u64) {
        self.places.push((slot, born));
        self.count += 1;
    }

    /// One of them has gone.
    pub(super) fn leave(&mut self, is_there: impl Fn((usize, u64)) -> bool) {
        self.count -= 1;
        if self.places.len() > 2 * self.count + FEW_GONE {
            self.places.retain(|place| is_there(*place));
        }
    }
}
