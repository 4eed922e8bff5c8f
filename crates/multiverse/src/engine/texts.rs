//! What is known of each SQL text: how long it takes, and what its results look like. Bounded: texts not used for long
//! are forgotten.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use wire::Column;

/// A generation of texts is closed when it has so many.
const GENERATION: usize = 4096;
/// How much one run weighs in the average.
const WEIGHT: f64 = 0.2;

/// One SQL text.
#[derive(Debug)]
pub(crate) struct Text {
    /// Its number, never used for another.
    serial: u64,
    /// The moving average of the time the server takes for it, in microseconds, as the bits of a double; negative before
    /// the first run. Only whoever turns the engine uses it.
    average: AtomicU64,
    /// Descriptions of its results, one per set of formats, that all connections share.
    columns: Mutex<Vec<Arc<[Column]>>>,
}

impl Text {
    /// The key of its prepared statement under a search path.
    pub(crate) fn statement_key(&self, path: u32) -> u64 {
        (self.serial << 24) | u64::from(path)
    }

    pub(crate) fn record(&self, duration: Duration) {
        let sample = duration.as_secs_f64() * 1e6;
        let average = self.average();
        let average = if average < 0.0 { sample } else { average + WEIGHT * (sample - average) };
        self.average.store(average.to_bits(), Ordering::Relaxed);
    }

    fn average(&self) -> f64 {
        f64::from_bits(self.average.load(Ordering::Relaxed))
    }

    /// Whether it has been seen to take less than `limit` on average.
    pub(crate) fn is_faster_than(&self, limit: Duration) -> bool {
        let average = self.average();
        average >= 0.0 && average < limit.as_secs_f64() * 1e6
    }

    /// The description equal to `columns` that all connections share, and whether it is another than `columns`.
    pub(crate) fn share(&self, columns: Arc<[Column]>) -> (Arc<[Column]>, bool) {
        let mut known = self.columns.lock().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|shared| Arc::ptr_eq(shared, &columns)) {
            return (columns, false);
        }
        if let Some(shared) = known.iter().find(|shared| ***shared == *columns) {
            return (Arc::clone(shared), true);
        }
        // Text and binary, and room for a table that has been altered.
        if known.len() >= 4 {
            known.remove(0);
        }
        known.push(Arc::clone(&columns));
        (columns, false)
    }
}

/// All texts, in two generations: one that is used moves to the younger, and the older is dropped as a whole.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    young: HashMap<Arc<str>, Arc<Text>, RandomState>,
    old: HashMap<Arc<str>, Arc<Text>, RandomState>,
    serials: u64,
}

impl Texts {
    /// What is known of a text with these declared parameter types.
    pub(crate) fn get(&mut self, sql: &Arc<str>, types: &[u32]) -> Arc<Text> {
        if types.is_empty() {
            return self.find(sql);
        }
        // SQL holds no zero byte, so this is the text of no other statement.
        self.find(&format!("{sql}\0{types:?}").into())
    }

    /// Whether a text was used not long ago, so that nothing about it has to be found out first.
    pub(crate) fn knows(&self, sql: &str) -> bool {
        self.young.contains_key(sql)
    }

    fn find(&mut self, sql: &Arc<str>) -> Arc<Text> {
        if let Some(text) = self.young.get(sql) {
            return Arc::clone(text);
        }
        let text = self.old.remove(sql).unwrap_or_else(|| {
            self.serials += 1;
            Arc::new(Text {
                serial: self.serials,
                average: AtomicU64::new((-1.0_f64).to_bits()),
                columns: Mutex::default(),
            })
        });
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(Arc::clone(sql), Arc::clone(&text));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_use_is_remembered_while_thousands_of_others_pass() {
        let mut texts = Texts::default();
        let used: Arc<str> = "SELECT 1".into();
        let serial = texts.get(&used, &[]).serial;
        for number in 0..3 * GENERATION {
            texts.get(&format!("SELECT {number} + 0").into(), &[]);
            if number % 1000 == 0 {
                assert_eq!(texts.get(&used, &[]).serial, serial);
            }
        }
        assert!(texts.young.len() + texts.old.len() <= 2 * GENERATION);
    }

    #[test]
    fn the_same_text_with_other_declared_types_is_another_statement() {
        let mut texts = Texts::default();
        let sql: Arc<str> = "SELECT $1".into();
        assert_ne!(texts.get(&sql, &[23]).serial, texts.get(&sql, &[]).serial);
    }

    #[test]
    fn a_text_is_fast_only_once_it_was_seen_to_be() {
        let mut texts = Texts::default();
        let text = texts.get(&"SELECT 1".into(), &[]);
        let limit = Duration::from_millis(2);
        assert!(!text.is_faster_than(limit));
        text.record(Duration::from_micros(100));
        assert!(text.is_faster_than(limit));
        text.record(Duration::from_millis(50));
        assert!(!text.is_faster_than(limit));
    }
}
