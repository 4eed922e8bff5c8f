//! Backpressure: a result that JavaScript has not taken yet may not grow without bound.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The bytes of one result that may wait for JavaScript.
const WIDE: usize = 256 << 10;
/// The same for a stream, whose reader decides how fast it goes.
const NARROW: usize = 128 << 10;

/// The room that is left for rows of one result.
#[derive(Debug)]
pub(super) struct Window {
    /// The request whose result it is.
    pub(super) request: u64,
    limit: usize,
    /// A stream's rows have been taken when its reader says so, and not when JavaScript has decoded them.
    pub(super) is_stream: bool,
    waiting: AtomicUsize,
    is_paused: AtomicBool,
}

impl Window {
    pub(super) fn new(request: u64, is_stream: bool) -> Self {
        Self {
            request,
            limit: if is_stream { NARROW } else { WIDE },
            is_stream,
            waiting: AtomicUsize::new(0),
            is_paused: AtomicBool::new(false),
        }
    }

    /// Enters rows that wait now. Returns whether the result must pause.
    pub(super) fn enter(&self, bytes: usize) -> bool {
        let waiting = self.waiting.fetch_add(bytes, Ordering::SeqCst) + bytes;
        if waiting < self.limit {
            return false;
        }
        self.is_paused.store(true, Ordering::SeqCst);
        // JavaScript may have taken everything before it could see the pause; then nobody would end it.
        let has_room = self.waiting.load(Ordering::SeqCst) < self.limit / 2;
        !(has_room && self.is_paused.swap(false, Ordering::SeqCst))
    }

    /// Notes that rows have been taken. Returns whether the result must go on.
    pub(super) fn leave(&self, bytes: usize) -> bool {
        let before = self.waiting.fetch_sub(bytes, Ordering::SeqCst);
        let has_room = before.saturating_sub(bytes) < self.limit / 2;
        has_room && self.is_paused.swap(false, Ordering::SeqCst)
    }

    /// Notes that everything has been taken. Returns whether the result must go on.
    pub(super) fn leave_all(&self) -> bool {
        self.waiting.store(0, Ordering::SeqCst);
        self.is_paused.swap(false, Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_pauses_when_too_much_waits_and_goes_on_when_half_is_taken() {
        let window = Window::new(1, false);
        assert!(!window.enter(WIDE - 1));
        assert!(window.enter(1));
        assert!(!window.leave(WIDE / 2 - 1));
        assert!(window.leave(2));
        assert!(!window.leave(1));
    }

    #[test]
    fn a_stream_goes_on_when_its_reader_has_taken_everything() {
        let window = Window::new(1, true);
        assert!(window.enter(NARROW));
        assert!(window.leave_all());
        assert!(!window.leave_all());
    }
}
