//! Keys that the other side cannot hold: they are set aside there for as long as they have a row.

use data::{ErrorKind, Timestamp, Value};
use indexmap::IndexMap;

use super::Exchange;
use super::decide::Met;
use super::dirty::Touched;
use super::settle::key_at;
use super::side::Which;
use crate::cdc::dead_letter::{Content, DeadLetter, Letters};
use crate::cdc::event::RowOperation;
use crate::error::{Error, Result};
use crate::rule::OnRowError;
use crate::snapshot::key_text;

/// Why a key is not exchanged.
const NOT_HELD: &str = "the other side cannot hold this primary key as it is";

/// A key of a side that the other one cannot hold.
pub(super) struct Unheld {
    /// The side that has it.
    which: Which,
    collection: String,
    key: Vec<Value>,
    /// Whether it has no row any more.
    is_gone: bool,
}

impl Exchange {
    /// Notes that a key of a side cannot be held by the other one.
    ///
    /// # Errors
    /// [`Error::RowRefused`] if the rule is to stop then.
    pub(super) fn cannot_be_held(
        &mut self,
        index: usize,
        which: Which,
        key: Vec<Value>,
        is_gone: bool,
    ) -> Result<()> {
        let Some(pair) = self.pairs.get(index) else { return Ok(()) };
        let collection = pair.to_target.label.clone();
        let letters = &self.side(which.other()).letters;
        let is_stored = letters.has(&letters.id(&collection, &key));
        let is_same =
            |noted: &&Unheld| noted.which == which && noted.collection == collection && noted.key == key;
        let is_set_aside = self.unheld.iter().find(is_same).map_or(is_stored, |noted| !noted.is_gone);
        if is_gone != is_set_aside {
            return Ok(());
        }
        // The last that was told of a key counts.
        let is_other =
            |noted: &Unheld| noted.which != which || noted.collection != collection || noted.key != key;
        self.unheld.retain(is_other);
        if is_gone != is_stored {
            return Ok(());
        }
        if !is_gone {
            if self.rule.on_row_error == OnRowError::Stop {
                let (rule, key, reason) = (self.rule.name.clone(), key_text(&key), NOT_HELD.to_owned());
                return Err(Error::RowRefused { rule, collection, key, reason });
            }
            self.fail(index, key_text(&key), NOT_HELD.to_owned());
        }
        self.unheld.push(Unheld { which, collection, key, is_gone });
        Ok(())
    }

    /// As [`Exchange::meet`], key by key: one that a server cannot read is noted as one that it cannot hold.
    pub(super) async fn meet_singly(
        &mut self,
        index: usize,
        keys: &IndexMap<String, Touched>,
    ) -> Result<Vec<Option<Met>>> {
        let mut all = Vec::with_capacity(keys.len());
        for (id, touched) in keys {
            let one = IndexMap::from([(id.clone(), touched.clone())]);
            all.push(match self.meet(index, &one).await {
                Err(error) if error.kind() == ErrorKind::Value => {
                    self.note_unreadable(index, touched, error).await?;
                    None
                }
                met => met.map_err(self.in_rule())?.pop().flatten(),
            });
        }
        Ok(all)
    }

    /// Finds the side that cannot read a key.
    async fn note_unreadable(&mut self, index: usize, touched: &Touched, error: data::Error) -> Result<()> {
        let mut held = Vec::with_capacity(Which::BOTH.len());
        for which in Which::BOTH {
            let Some(pair) = self.pairs.get(index) else { return Ok(()) };
            let tables = which.end(pair).tables().map_err(self.in_rule())?;
            held.push(tables.fetch(which.read_table(pair), &[key_at(which, touched).clone()]).await);
        }
        match held.as_slice() {
            [Ok(rows), Err(_)] => {
                let key = key_at(Which::Source, touched).clone();
                self.cannot_be_held(index, Which::Source, key, rows.is_empty())
            }
            [Err(_), Ok(rows)] => {
                let key = key_at(Which::Target, touched).clone();
                self.cannot_be_held(index, Which::Target, key, rows.is_empty())
            }
            _ => Err(self.in_rule()(error)),
        }
    }

    /// Sets the keys aside that were noted, and removes those that have no row any more.
    pub(super) async fn set_aside_unheld(&mut self) -> Result<()> {
        let unheld = std::mem::take(&mut self.unheld);
        for which in Which::BOTH {
            let own: Vec<&Unheld> = unheld.iter().filter(|unheld| unheld.which == which).collect();
            if own.is_empty() {
                continue;
            }
            let none = Letters::none(&self.side(which).reader.name);
            let mut letters = std::mem::replace(&mut self.side_mut(which.other()).letters, none);
            let stored = self.store_unheld(which.other(), &own, &mut letters).await;
            if stored.is_ok() {
                letters.committed();
            } else {
                letters.undone();
            }
            self.side_mut(which.other()).letters = letters;
            stored?;
        }
        Ok(())
    }

    async fn store_unheld(&self, keeper: Which, unheld: &[&Unheld], letters: &mut Letters) -> Result<()> {
        let table = &self.side(keeper).control.dead_letter;
        let (mut stored, mut removed) = (Vec::new(), Vec::new());
        for Unheld { collection, key, is_gone, .. } in unheld {
            let id = letters.id(collection, key);
            if *is_gone {
                removed.push(id);
            } else {
                stored.push(letter(id, collection, key));
            }
        }
        let mut transaction = self.begin_fenced(keeper).await?;
        letters.remove(transaction.as_mut(), table, removed).await.map_err(self.in_rule())?;
        letters.store(transaction.as_mut(), table, &stored).await.map_err(self.in_rule())?;
        transaction.commit().await.map_err(self.in_rule())
    }
}

fn letter(id: String, collection: &str, key: &[Value]) -> DeadLetter {
    let now = Timestamp::now();
    DeadLetter {
        id,
        collection: collection.to_owned(),
        row_key: key_text(key),
        operation: RowOperation::Insert,
        // It is of the side that has the row, which is only told what has become of it by its log.
        content: Content::Key(key.to_vec()),
        error_code: ErrorKind::Value.code().to_owned(),
        error: NOT_HELD.to_owned(),
        position: 0,
        attempts: 1,
        first_at: now,
        last_at: now,
    }
}
