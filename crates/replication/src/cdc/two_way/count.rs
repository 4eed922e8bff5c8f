//! What was done with keys, counted and told.

use super::super::event::{CdcEvent, RowOperation};
use super::Exchange;
use super::side::Which;
use super::work::{Done, Job, Work};
use crate::error::{Error, Result};
use crate::rule::OnRowError;
use crate::snapshot::key_text;
use crate::stats::Conflict;

impl Exchange {
    /// Fails if a row was refused and the rule is to stop then.
    pub(super) fn check_refused(&self, which: Which, works: &[Work], done: &Done) -> Result<()> {
        let first = done.refused.iter().find_map(|(place, error)| Some((works.get(*place)?, error)));
        match first.filter(|_| self.rule.on_row_error == OnRowError::Stop) {
            Some((work, error)) => Err(Error::RowRefused {
                rule: self.rule.name.clone(),
                collection: self
                    .pairs
                    .get(work.index)
                    .map(|pair| pair.to_target.label.clone())
                    .unwrap_or_default(),
                key: key_text(&work.touched.key),
                reason: format!("{} side: {error}", which.winner().name()),
            }),
            None => Ok(()),
        }
    }

    /// Counts and tells what was done with a key.
    pub(super) fn count(&mut self, which: Which, work: &mut Work) {
        let Some(pair) = self.pairs.get(work.index) else { return };
        let (collection, key) = (pair.to_target.label.clone(), key_text(&work.touched.key));
        if let Some((winner, fields)) = work.conflict.take() {
            let told = CdcEvent::Conflict {
                rule: self.rule.name.clone(),
                collection: collection.clone(),
                key: key.clone(),
                winner,
                fields: fields.clone(),
            };
            self.shared.tell(told);
            let conflict = Conflict { key: key.clone(), winner, fields };
            self.stats_of(work.index, |stats| stats.conflict(|| conflict));
        }
        let is_new = work.is_new(which);
        let operation = match &work.job {
            Job::Put(_) if is_new => RowOperation::Insert,
            Job::Put(_) => RowOperation::Update,
            Job::Delete => RowOperation::Delete,
            Job::Note => return self.stats_of(work.index, |stats| stats.skipped += 1),
            Job::Clear | Job::Refuse(_) => return,
        };
        self.changes += 1;
        self.stats_of(work.index, |stats| match operation {
            RowOperation::Insert => stats.created += 1,
            RowOperation::Update => stats.updated += 1,
            _ => stats.deleted += 1,
        });
        if let Job::Put((_, losses)) = &mut work.job
            && let Some(pair) = self.pairs.get(work.index)
            && let Some(stats) = self.stats.get_mut(work.index)
        {
            let mapping =
                if which == Which::Source { &pair.to_source.mapping } else { &pair.to_target.mapping };
            mapping.count_losses(std::mem::take(losses), stats);
        }
        if self.shared.wants_changes() {
            let at = self.committed_at.millis();
            self.shared.tell(CdcEvent::Change {
                rule: self.rule.name.clone(),
                collection,
                operation,
                key,
                at,
            });
        }
    }
}
