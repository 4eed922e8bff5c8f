//! What is known of the texts that were routed before: bounded, the least recently used go first.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::RandomState;

use crate::route::catalogue::Judgement;
use crate::route::verdict::Verdict;

/// The texts of each of the two generations.
const GENERATION_TEXTS: usize = 4096;

/// The bytes of text of each of the two generations.
const GENERATION_BYTES: usize = 8 << 20;

/// Slots for texts that are found by their address; a power of two.
const SLOTS: usize = 512;

/// Texts up to this length have a slot, so that the slots hold at most 16 MiB.
const LONGEST_IN_SLOT: usize = 32 << 10;

/// What is known of one text.
#[derive(Debug)]
pub(super) struct KnownText {
    pub(super) verdict: Arc<Verdict>,
    /// By cluster: the judgement of its catalogue, with the catalogue's generation.
    judgements: Box<[AtomicU64]>,
    /// By cluster: whether the same values come each time, with the catalogue's generation.
    steady: Box<[AtomicU64]>,
}

/// The judgement is kept in the two lowest bits.
const JUDGEMENT_BITS: u32 = 2;

/// A replica has refused the text, which no catalogue takes back.
const REFUSED: u64 = u64::MAX;

impl KnownText {
    fn new(verdict: Verdict, clusters: usize) -> Self {
        let unknown = || (0..clusters).map(|_| AtomicU64::new(0)).collect();
        Self { verdict: Arc::new(verdict), judgements: unknown(), steady: unknown() }
    }

    /// The judgement under this generation of a cluster's catalogue, made by `judge` when it is not known.
    pub(super) fn judgement(
        &self,
        cluster: usize,
        generation: u64,
        judge: impl FnOnce() -> Judgement,
    ) -> Judgement {
        let Some(kept) = self.judgements.get(cluster) else { return Judgement::NeedsPrimary };
        let found = kept.load(Ordering::Relaxed);
        if found == REFUSED {
            return Judgement::NeedsPrimary;
        }
        if found != 0 && found >> JUDGEMENT_BITS == generation {
            return match found & 3 {
                1 => Judgement::Reads,
                2 => Judgement::Unknown,
                _ => Judgement::NeedsPrimary,
            };
        }
        let judgement = judge();
        let bits = match judgement {
            Judgement::Reads => 1,
            Judgement::Unknown => 2,
            Judgement::NeedsPrimary => 3,
        };
        kept.store(generation << JUDGEMENT_BITS | bits, Ordering::Relaxed);
        judgement
    }

    /// Whether the same values come each time under this generation of a cluster's catalogue; `judge` is asked when that
    /// is not known.
    pub(super) fn is_steady(&self, cluster: usize, generation: u64, judge: impl FnOnce() -> bool) -> bool {
        let Some(kept) = self.steady.get(cluster) else { return false };
        let found = kept.load(Ordering::Relaxed);
        if found != 0 && found >> JUDGEMENT_BITS == generation {
            return found & 3 == 1;
        }
        let is_steady = judge();
        kept.store(generation << JUDGEMENT_BITS | if is_steady { 1 } else { 2 }, Ordering::Relaxed);
        is_steady
    }

    /// Whether the text was judged before in this cluster, under whatever catalogue.
    pub(super) fn was_judged(&self, cluster: usize) -> bool {
        self.judgements.get(cluster).is_some_and(|kept| kept.load(Ordering::Relaxed) != 0)
    }

    /// Remembers that a replica refused the text.
    pub(super) fn refuse(&self, cluster: usize) {
        if let Some(kept) = self.judgements.get(cluster) {
            kept.store(REFUSED, Ordering::Relaxed);
        }
    }
}

/// A text that is found by its address, with what is known of it.
type Slot = Option<(Arc<str>, Arc<KnownText>)>;

type Generation = HashMap<Arc<str>, Arc<KnownText>, RandomState>;

/// The texts. Two generations stand in for an exact order of use: what is used moves to the young one, and when that is
/// full the old one is dropped.
#[derive(Debug)]
pub(super) struct KnownTexts {
    young: Generation,
    old: Generation,
    young_bytes: usize,
    slots: Box<[Slot]>,
    clusters: usize,
}

impl KnownTexts {
    pub(super) fn new(clusters: usize) -> Self {
        Self {
            young: Generation::default(),
            old: Generation::default(),
            young_bytes: 0,
            slots: vec![None; SLOTS].into_boxed_slice(),
            clusters,
        }
    }

    /// What is known of the text; `classify` is asked when nothing is.
    pub(super) fn get(&mut self, sql: &Arc<str>, classify: impl FnOnce(&str) -> Verdict) -> Arc<KnownText> {
        let slot = slot_of(sql);
        if let Some(Some((text, known))) = self.slots.get(slot)
            && Arc::ptr_eq(text, sql)
        {
            return Arc::clone(known);
        }
        let known = self.look_up(sql, classify);
        if sql.len() <= LONGEST_IN_SLOT
            && let Some(place) = self.slots.get_mut(slot)
        {
            // The text is kept with it, so its address cannot come to mean another text.
            *place = Some((Arc::clone(sql), Arc::clone(&known)));
        }
        known
    }

    fn look_up(&mut self, sql: &Arc<str>, classify: impl FnOnce(&str) -> Verdict) -> Arc<KnownText> {
        if let Some(known) = self.young.get(sql) {
            return Arc::clone(known);
        }
        let known = match self.old.remove(sql) {
            Some(known) => known,
            None => Arc::new(KnownText::new(classify(sql), self.clusters)),
        };
        if sql.len() <= GENERATION_BYTES {
            self.keep(Arc::clone(sql), Arc::clone(&known));
        }
        known
    }

    fn keep(&mut self, sql: Arc<str>, known: Arc<KnownText>) {
        if self.young.len() >= GENERATION_TEXTS || self.young_bytes + sql.len() > GENERATION_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += sql.len();
        self.young.insert(sql, known);
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

fn slot_of(sql: &Arc<str>) -> usize {
    // Allocations are aligned, so the lowest bits of an address tell nothing.
    let address = sql.as_ptr() as usize;
    (address >> 4 ^ address >> 13) & (SLOTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::classify;

    #[test]
    fn a_text_is_classified_once_whether_it_comes_at_the_same_address_or_not() {
        let mut texts = KnownTexts::new(1);
        let mut classified = 0;
        for _ in 0..3 {
            let sql: Arc<str> = Arc::from("SELECT 1");
            for _ in 0..3 {
                texts.get(&sql, |sql| {
                    classified += 1;
                    classify(sql)
                });
            }
        }
        assert_eq!(classified, 1);
    }

    #[test]
    fn the_number_of_texts_is_bounded_and_those_in_use_stay() {
        let mut texts = KnownTexts::new(1);
        let used: Arc<str> = Arc::from("SELECT 'used'");
        let mut classified = 0;
        for number in 0..3 * GENERATION_TEXTS {
            texts.get(&Arc::from(format!("SELECT {number}")), classify);
            // A copy at another address, so that the text is looked up by its content.
            texts.get(&Arc::from(&*used), |sql| {
                classified += 1;
                classify(sql)
            });
        }
        assert!(texts.len() <= 2 * GENERATION_TEXTS);
        assert_eq!(classified, 1);
    }
}
