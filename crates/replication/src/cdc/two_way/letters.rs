//! Keys that are set aside because a side refuses the row, or because nobody could decide: they are settled again later.

use std::collections::HashMap;

use data::table::{Table, TableTransaction};
use data::{Result as DataResult, Timestamp, Value};

use super::super::control_tables::Fields;
use super::super::dead_letter::{Content, DeadLetter, Letters};
use super::super::event::RowOperation;
use super::Exchange;
use super::dirty::Dirty;
use super::side::Which;
use super::work::{Done, Job, Work};
use crate::error::Result;
use crate::snapshot::key_text;
use crate::stats::CollectionStats;

/// How many keys that were set aside are settled again at a time.
const MOST_READ: usize = 1_000;

impl Exchange {
    /// Sets refused keys aside at the side that refuses them, and removes what was set aside of others.
    pub(super) async fn store_letters(
        &self,
        transaction: &mut dyn TableTransaction,
        which: Which,
        works: &[Work],
        settled: &Done,
        letters: &mut Letters,
    ) -> DataResult<()> {
        let table = &self.side(which).control.dead_letter;
        let (mut stored, mut removed) = (Vec::new(), Vec::new());
        let before = before(transaction, table, works, settled, |work| self.letter_id(letters, work)).await?;
        for (place, work) in works.iter().enumerate() {
            let Some(pair) = self.pairs.get(work.index) else { continue };
            let id = self.letter_id(letters, work);
            if let Some(error) = settled.refused.get(&place) {
                let tried = before.get(&id).copied();
                stored.push(letter(id, &pair.to_target.label, work, error, tried));
            } else if settled.is_done(place) && letters.has(&id) {
                removed.push(id);
            }
        }
        letters.remove(transaction, table, removed).await?;
        letters.store(transaction, table, &stored).await
    }

    /// The id of the letter of a key.
    pub(super) fn letter_id(&self, letters: &Letters, work: &Work) -> String {
        let label = self.pairs.get(work.index).map(|pair| pair.to_target.label.as_str());
        letters.id(label.unwrap_or_default(), &work.touched.key)
    }

    /// Has keys that are set aside settled once more, those behind the ones that were touched last; whether these were the last
    /// ones, so that the next call begins anew.
    pub(super) async fn touch_letters(&mut self, dirty: &mut Dirty) -> Result<bool> {
        for which in Which::BOTH {
            let side = self.side(which);
            if side.has_touched_letters {
                continue;
            }
            let (control, behind) = (&side.control.dead_letter, side.touched_letter.as_deref());
            // Keys that the other side cannot hold wait for their own log.
            let is_meant = |letter: &DeadLetter| matches!(letter.content, Content::Lost(_));
            let letters = side.letters.read_behind(&side.end, control, behind, is_meant, MOST_READ).await;
            let letters = letters.map_err(self.in_rule())?;
            let is_full = letters.len() == MOST_READ;
            let last = letters.last().filter(|_| is_full).map(|letter| letter.id.clone());
            for letter in letters {
                let index = self.pairs.iter().position(|pair| pair.to_target.label == letter.collection);
                let (Some(index), Content::Lost(key)) = (index, letter.content) else { continue };
                if let Some(pair) = self.pairs.get(index) {
                    // What is known of its deletion is not forgotten by this.
                    if !dirty.has(index, &key) {
                        dirty.touch(index, pair, Which::Source, key, None);
                    }
                }
            }
            let side = self.side_mut(which);
            side.has_touched_letters = last.is_none();
            side.touched_letter = last;
        }
        let is_over = Which::BOTH.into_iter().all(|which| self.side(which).has_touched_letters);
        if is_over {
            Which::BOTH.into_iter().for_each(|which| self.side_mut(which).has_touched_letters = false);
        }
        Ok(is_over)
    }

    /// Forgets what is set aside of a collection at a side, before all of its keys are settled anew.
    pub(super) async fn forget_letters(&mut self, which: Which, collection: &str) -> Result<()> {
        if self.side(which).letters.is_empty() {
            return Ok(());
        }
        let none = Letters::none(&self.side(which.other()).reader.name);
        let mut letters = std::mem::replace(&mut self.side_mut(which).letters, none);
        let forgotten = async {
            let mut transaction = self.begin_fenced(which).await?;
            let table = &self.side(which).control.dead_letter;
            letters.remove_all(transaction.as_mut(), table, collection).await.map_err(self.in_rule())?;
            transaction.commit().await.map_err(self.in_rule())
        };
        let forgotten = forgotten.await;
        if forgotten.is_ok() {
            letters.committed();
        } else {
            letters.undone();
        }
        self.side_mut(which).letters = letters;
        forgotten
    }

    /// Counts a key as failed.
    pub(super) fn fail(&mut self, index: usize, key: String, reason: String) {
        self.stats_of(index, |stats| stats.fail(key, reason));
    }

    /// Changes the stats of a collection.
    pub(super) fn stats_of(&mut self, index: usize, change: impl FnOnce(&mut CollectionStats)) {
        if let Some(stats) = self.stats.get_mut(index) {
            change(stats);
        }
    }
}

/// How often refused keys were tried before, and when they were set aside.
async fn before(
    transaction: &mut dyn TableTransaction,
    table: &Table,
    works: &[Work],
    settled: &Done,
    id_of: impl Fn(&Work) -> String,
) -> DataResult<HashMap<String, (u64, Timestamp)>> {
    let refused = settled.refused.keys().filter_map(|place| works.get(*place));
    let ids: Vec<Vec<Value>> = refused.map(|work| vec![Value::from(id_of(work))]).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = transaction.fetch(table, &ids).await?;
    let tried = rows.iter().map(|row| {
        let fields = Fields::of(table, row);
        (fields.key().to_owned(), (fields.unsigned("attempts"), Timestamp(fields.integer("first_at"))))
    });
    Ok(tried.collect())
}

fn letter(
    id: String,
    collection: &str,
    work: &Work,
    error: &data::Error,
    before: Option<(u64, Timestamp)>,
) -> DeadLetter {
    let now = Timestamp::now();
    let (attempts, first_at) = before.unwrap_or((0, now));
    DeadLetter {
        id,
        collection: collection.to_owned(),
        row_key: key_text(&work.touched.key),
        operation: if matches!(work.job, Job::Delete) { RowOperation::Delete } else { RowOperation::Update },
        content: Content::Lost(work.touched.key.clone()),
        error_code: error.code().to_owned(),
        error: error.to_string(),
        // It is settled by what both sides hold, wherever in a log that stands.
        position: 0,
        attempts: attempts + 1,
        first_at,
        last_at: now,
    }
}
