//! Which readers are being streamed in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The readers that have open streams, and how many.
#[derive(Debug, Clone, Default)]
pub(crate) struct ActiveReaders(Arc<Mutex<HashMap<String, usize>>>);

/// An open stream, until it is dropped.
pub(crate) struct ActiveReader {
    readers: ActiveReaders,
    name: String,
}

impl ActiveReaders {
    /// Notes that a reader is streamed.
    pub(crate) fn enter(&self, name: &str) -> ActiveReader {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default() += 1;
        ActiveReader { readers: self.clone(), name: name.to_owned() }
    }

    /// Whether a reader is streamed.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
    }
}

impl Drop for ActiveReader {
    fn drop(&mut self) {
        let mut readers = self.readers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = readers.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                readers.remove(&self.name);
            }
        }
    }
}
