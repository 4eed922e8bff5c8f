//! Writing rows at a side with the versions of their keys, in one transaction.

use std::collections::{BTreeMap, HashMap};

use data::table::TableTransaction;
use data::{ErrorKind, Value};
use tokio::time::Duration;

use super::super::checkpoint::Checkpoint;
use super::super::dead_letter::Letters;
use super::super::isolate::{Call, Prepared, write_rows};
use super::Exchange;
use super::decide::fingerprint_of;
use super::dirty::Dirty;
use super::side::Which;
use super::version::Version;
use super::work::{Done, Job, Work};
use crate::error::{Error, Result};
use crate::snapshot::{canonical_key, key_text};

/// How often a transaction is begun that collides with others.
pub(super) const COLLISION_ATTEMPTS: u32 = 5;
/// How long is waited before that.
pub(super) const COLLISION_PAUSE: Duration = Duration::from_millis(20);

impl Exchange {
    /// Writes at a side; what others have changed meanwhile is dirty again.
    pub(super) async fn write(
        &mut self,
        which: Which,
        mut works: Vec<Work>,
        is_last: bool,
        dirty: &mut Dirty,
    ) -> Result<()> {
        self.mark(which.other()).await?;
        let kept = self.marked(which);
        let none = Letters::none(&self.side(which.other()).reader.name);
        let mut letters = std::mem::replace(&mut self.side_mut(which).letters, none);
        let known: Vec<bool> =
            works.iter().map(|work| letters.has(&self.letter_id(&letters, work))).collect();
        let mut attempt = 1;
        let outcome = loop {
            match self.write_once(which, &works, is_last, &mut letters, &kept).await {
                Err(error) if is_collision(&error) && attempt < COLLISION_ATTEMPTS => {
                    letters.undone();
                    attempt += 1;
                    tokio::time::sleep(COLLISION_PAUSE).await;
                }
                outcome => break outcome,
            }
        };
        if outcome.is_ok() {
            letters.committed();
            self.keep(which, kept);
        }
        self.side_mut(which).letters = letters;
        let done = outcome?;
        self.await_others(which, &mut works, &done).await?;
        for (place, work) in works.iter_mut().enumerate() {
            if done.is_done(place) {
                self.count(which, work);
            }
            // One that is set aside already was counted then.
            if let Some(error) = done.refused.get(&place)
                && known.get(place) == Some(&false)
            {
                let reason = format!("at the {}: {error}", which.winner().name());
                self.fail(work.index, key_text(&work.touched.key), reason);
            }
        }
        for (place, work) in works.into_iter().enumerate() {
            if done.again.contains(&place) || (work.is_open && done.is_done(place)) {
                dirty.put_back(work.index, work.touched);
            }
        }
        Ok(())
    }

    /// Has rows wait, in whose way another one stands, until the log of the other side has told everything that was committed there
    /// by now: the other one may have given its place up in a change that has not been read.
    async fn await_others(&self, which: Which, works: &mut [Work], done: &Done) -> Result<()> {
        if done.waiting.is_empty() {
            return Ok(());
        }
        let other = which.other();
        let head = self.side(other).log()?.head().await.map_err(self.in_rule())?.order;
        for place in &done.waiting {
            let Some(work) = works.get_mut(*place) else { continue };
            if work.touched.awaited(other).is_none() {
                work.touched.wait_for(other, Some(head));
            }
        }
        Ok(())
    }

    /// Whether the log of the other side may still tell of a change that makes room for a row.
    fn may_fit(&self, which: Which, works: &[Work], place: usize) -> bool {
        let other = which.other();
        let awaited = works.get(place).and_then(|work| work.touched.awaited(other));
        awaited.is_none_or(|head| self.seen_of(other) < head)
    }

    async fn write_once(
        &self,
        which: Which,
        works: &[Work],
        is_last: bool,
        letters: &mut Letters,
        kept: &Checkpoint,
    ) -> Result<Done> {
        let mut transaction = self.begin_fenced(which).await?;
        let written = self.write_into(transaction.as_mut(), which, works, is_last, letters).await;
        let done = written.map_err(self.in_rule())?;
        self.check_refused(which, works, &done)?;
        let table = &self.side(which).control.checkpoint;
        kept.advance(transaction.as_mut(), table).await.map_err(self.in_rule())?;
        transaction.commit().await.map_err(self.in_rule())?;
        Ok(done)
    }

    async fn write_into(
        &self,
        transaction: &mut dyn TableTransaction,
        which: Which,
        works: &[Work],
        is_last: bool,
        letters: &mut Letters,
    ) -> data::Result<Done> {
        let mut places: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut done = Done::default();
        for (place, work) in works.iter().enumerate() {
            match &work.job {
                Job::Clear => {}
                Job::Refuse(error) => {
                    done.refused.insert(place, data::Error::new(error.kind(), error.to_string()));
                }
                _ => places.entry(work.index).or_default().push(place),
            }
        }
        self.lock(transaction, which, works, &places, &mut done).await?;
        let mut refused = Vec::new();
        for (index, places) in places.iter().rev() {
            let deleted = self.prepared(which, works, places, &done, |work| matches!(work.job, Job::Delete));
            self.put(transaction, which, *index, Call::Delete, deleted, &mut refused).await?;
        }
        for (index, places) in &places {
            let is_put =
                |work: &Work, is_new| matches!(work.job, Job::Put(_)) && work.is_new(which) == is_new;
            // A new row may have taken a value of a unique index that another row has given up.
            let changed = self.prepared(which, works, places, &done, |work| is_put(work, false));
            // Documents may have fields that the rule does not know.
            let call = if self.side(which).end.is_schemaless() { Call::Patch } else { Call::Upsert };
            self.put(transaction, which, *index, call, changed, &mut refused).await?;
            let new = self.prepared(which, works, places, &done, |work| is_put(work, true));
            self.put(transaction, which, *index, Call::Insert, new, &mut refused).await?;
        }
        let refused = self.retry(transaction, which, refused).await?;
        for Refusal { index, call, row, error } in refused {
            let canonical = canonical_key(&row.key);
            let place = places.get(&index).into_iter().flatten().copied().find(|place| {
                works.get(*place).is_some_and(|work| canonical_key(work.key_at(which)) == canonical)
            });
            let Some(place) = place else { continue };
            // Somebody else has inserted the row meanwhile; that is a version like any other.
            if call == Call::Insert && self.is_there(transaction, which, index, &row.key).await? {
                done.again.insert(place);
            } else if !is_last
                && error.kind() == ErrorKind::UniqueViolation
                && self.may_fit(which, works, place)
            {
                done.again.insert(place);
                done.waiting.insert(place);
            } else {
                done.refused.insert(place, error);
            }
        }
        self.store_versions(transaction, which, works, &places, &done).await?;
        self.store_conflicts(transaction, which, works, &done).await?;
        self.store_letters(transaction, which, works, &done, letters).await?;
        Ok(done)
    }

    /// Keeps others from changing rows and versions, and finds those that they have changed since they were read.
    async fn lock(
        &self,
        transaction: &mut dyn TableTransaction,
        which: Which,
        works: &[Work],
        places: &BTreeMap<usize, Vec<usize>>,
        done: &mut Done,
    ) -> data::Result<()> {
        let versions = &self.side(which).versions;
        for (index, places) in places {
            let Some(pair) = self.pairs.get(*index) else { continue };
            let table = which.read_table(pair);
            let listed: Vec<(usize, &Work)> =
                places.iter().filter_map(|place| Some((*place, works.get(*place)?))).collect();
            let keys: Vec<_> = listed.iter().map(|(_, work)| work.key_at(which).clone()).collect();
            let ids: Vec<_> = listed.iter().map(|(_, work)| vec![Value::from(self.id(work))]).collect();
            let mut rows: HashMap<String, String> = HashMap::with_capacity(keys.len());
            for row in transaction.fetch(table, &keys).await? {
                rows.insert(canonical_key(&table.key_of(&row)), fingerprint_of(pair, which, &row));
            }
            let mut known: HashMap<String, Version> = HashMap::with_capacity(ids.len());
            known.extend(
                transaction.fetch(versions, &ids).await?.iter().map(|row| Version::of_row(versions, row)),
            );
            for (place, work) in listed {
                let row = rows.get(&canonical_key(work.key_at(which)));
                let version = match which {
                    Which::Source => &work.met.at_source,
                    Which::Target => &work.met.at_target,
                };
                let is_same = row == work.met.held(which).fingerprint.as_ref()
                    && known.get(&self.id(work)) == version.as_ref();
                if !is_same {
                    done.again.insert(place);
                }
            }
        }
        Ok(())
    }

    /// The rows of some works.
    fn prepared(
        &self,
        which: Which,
        works: &[Work],
        places: &[usize],
        done: &Done,
        is_meant: impl Fn(&Work) -> bool,
    ) -> Vec<Prepared> {
        let open = places.iter().filter(|place| done.is_done(**place));
        let meant = open.filter_map(|place| works.get(*place)).filter(|work| is_meant(work));
        meant
            .map(|work| {
                let key = work.key_at(which).clone();
                match &work.job {
                    Job::Put((row, _)) => Prepared::whole(key, row.clone()),
                    _ => Prepared::key_only(key),
                }
            })
            .collect()
    }

    pub(super) async fn put(
        &self,
        transaction: &mut dyn TableTransaction,
        which: Which,
        index: usize,
        call: Call,
        rows: Vec<Prepared>,
        refused: &mut Vec<Refusal>,
    ) -> data::Result<()> {
        let Some(pair) = self.pairs.get(index).filter(|_| !rows.is_empty()) else { return Ok(()) };
        let outcome = write_rows(transaction, which.written_table(pair), call, rows).await?;
        refused.extend(outcome.refused.into_iter().map(|(row, error)| Refusal { index, call, row, error }));
        Ok(())
    }

    async fn is_there(
        &self,
        transaction: &mut dyn TableTransaction,
        which: Which,
        index: usize,
        key: &[Value],
    ) -> data::Result<bool> {
        let Some(pair) = self.pairs.get(index) else { return Ok(false) };
        let (table, wanted) = (which.read_table(pair), canonical_key(key));
        // A database may take other keys for the same, as one that does not tell letters apart by their case.
        let rows = transaction.fetch(table, &[key.to_vec()]).await?;
        Ok(rows.iter().any(|row| canonical_key(&table.key_of(row)) == wanted))
    }
}

/// A row that a side has refused.
pub(super) struct Refusal {
    pub(super) index: usize,
    pub(super) call: Call,
    pub(super) row: Prepared,
    pub(super) error: data::Error,
}

pub(super) fn is_collision(error: &Error) -> bool {
    error.database().is_some_and(|error| error.kind() == ErrorKind::Conflict)
}
