//! What is kept of keys that are settled: the versions of both sides, and of conflicts both rows.

use std::collections::{BTreeMap, HashMap};

use data::Value;
use data::table::{Row, RowBatch, TableTransaction};

use super::Exchange;
use super::decide::fingerprint_of;
use super::record::{Record, json_of};
use super::side::Which;
use super::version::{NO_ROW_HAS, Version, id_of};
use super::work::{Done, Job, Work};
use crate::error::Result;
use crate::snapshot::canonical_key;

impl Exchange {
    /// Writes what both sides hold now. What was written is read again, as the database may keep it in another form.
    pub(super) async fn store_versions(
        &self,
        transaction: &mut dyn TableTransaction,
        which: Which,
        works: &[Work],
        places: &BTreeMap<usize, Vec<usize>>,
        done: &Done,
    ) -> data::Result<()> {
        let table = &self.side(which).versions;
        let mut versions: Vec<Row> = Vec::new();
        for (index, places) in places {
            let Some(pair) = self.pairs.get(*index) else { continue };
            let read = which.read_table(pair);
            let settled: Vec<&Work> = places
                .iter()
                .filter(|place| done.is_done(**place))
                .filter_map(|place| works.get(*place))
                .collect();
            let put = settled.iter().filter(|work| matches!(work.job, Job::Put(_)));
            let keys: Vec<_> = put.map(|work| work.key_at(which).clone()).collect();
            let mut stored: HashMap<String, String> = HashMap::with_capacity(keys.len());
            if !keys.is_empty() {
                for row in transaction.fetch(read, &keys).await? {
                    stored.insert(canonical_key(&read.key_of(&row)), fingerprint_of(pair, which, &row));
                }
            }
            for work in settled {
                let own = match &work.job {
                    Job::Put(_) => stored.remove(&canonical_key(work.key_at(which))),
                    Job::Delete => None,
                    _ => work.met.held(which).fingerprint.clone(),
                };
                let own = if work.is_open { Some(NO_ROW_HAS.to_owned()) } else { own };
                let other = work.met.held(which.other()).fingerprint.clone();
                let (source, target) = if which == Which::Source { (own, other) } else { (other, own) };
                let version = Version { number: work.met.version().number + 1, source, target };
                versions.push(version.row(table, &self.id(work), &self.name));
            }
        }
        if versions.is_empty() { Ok(()) } else { transaction.upsert(table, &versions).await }
    }

    /// Keeps both versions of rows that both sides had changed.
    pub(super) async fn store_conflicts(
        &self,
        transaction: &mut dyn TableTransaction,
        which: Which,
        works: &[Work],
        done: &Done,
    ) -> data::Result<()> {
        let table = &self.side(which).conflicts;
        let decided = works.iter().enumerate().filter(|(place, _)| done.is_done(*place));
        let rows = decided.filter_map(|(_, work)| {
            let (winner, _) = work.conflict.as_ref()?;
            let pair = self.pairs.get(work.index)?;
            let json = |which: Which| {
                let row = work.met.held(which).row.as_ref()?;
                Some(json_of(&which.read_table(pair).columns, row))
            };
            let record = Record {
                reader: &self.name,
                rule: &self.rule.name,
                collection: &pair.to_target.label,
                key: &work.touched.key,
                winner: *winner,
                source: json(Which::Source),
                target: json(Which::Target),
            };
            Some(record.row(table))
        });
        let rows: Vec<Row> = rows.collect();
        if rows.is_empty() { Ok(()) } else { transaction.insert(table, &RowBatch::Rows(rows)).await }
    }

    /// The id of the version of a key.
    pub(super) fn id(&self, work: &Work) -> String {
        let label = self.pairs.get(work.index).map(|pair| pair.to_target.label.as_str());
        id_of(&self.name, label.unwrap_or_default(), &work.touched.key)
    }

    /// Removes the versions of keys that neither side has. The one that does not count goes first, so that the other one
    /// tells until the end that there is no row.
    pub(super) async fn forget(&self, forgotten: Vec<(String, Option<u64>, Option<u64>)>) -> Result<()> {
        let (mut first, mut last) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for (id, at_source, at_target) in forgotten {
            let source_counts = at_source.unwrap_or(0) >= at_target.unwrap_or(0);
            let [first_source, first_target] = &mut first;
            let [last_source, last_target] = &mut last;
            let key = vec![Value::from(id)];
            match (at_source.is_some(), at_target.is_some()) {
                (true, true) if source_counts => {
                    first_target.push(key.clone());
                    last_source.push(key);
                }
                (true, true) => {
                    first_source.push(key.clone());
                    last_target.push(key);
                }
                (true, false) => last_source.push(key),
                (false, true) => last_target.push(key),
                (false, false) => {}
            }
        }
        for (which, keys) in Which::BOTH.into_iter().zip(first).chain(Which::BOTH.into_iter().zip(last)) {
            if keys.is_empty() {
                continue;
            }
            let mut transaction = self.begin_fenced(which).await?;
            transaction.delete(&self.side(which).versions, &keys).await.map_err(self.in_rule())?;
            transaction.commit().await.map_err(self.in_rule())?;
        }
        Ok(())
    }
}
