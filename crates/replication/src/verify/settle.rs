//! Rows that seem to differ, looked at again until it is sure: a change may be on its way from the source to the target.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::time::Duration;

use data::table::Row;
use data::{Result, Value};

use super::compare::{Comparison, Finding};
use super::{CollectionVerdict, MISSING, Repair};
use crate::snapshot::{Candidate, canonical_key, copy_fetched, delete_rows, held_by, key_text};
use crate::stats::CollectionStats;

/// How long it is waited before each further look, in ms. A row that differs at all of them, without having changed at the
/// source between the last two, differs for good.
const LOOKS: [u64; 5] = [100, 200, 400, 800, 1600];
/// How often a row that keeps changing at the source is looked at beyond that, every [`LOOKS`]' last pause.
const MORE_LOOKS: usize = 15;
/// How often a row is copied, if another change of it crossed the copy.
const REPAIRS: usize = 3;
/// How many rows are looked at together.
const LOOKED_AT_ONCE: usize = 500;

/// Rows that seem to differ.
#[derive(Default)]
pub(super) struct Suspects(Vec<Suspect>);

struct Suspect {
    /// Its key at the target.
    key: Vec<Value>,
    finding: Finding,
    /// A hash of what the source held at the last look.
    seen: Option<u64>,
    /// Whether the source held the same at the last two looks.
    is_still: bool,
}

impl Suspects {
    pub(super) fn add(&mut self, key: Vec<Value>, finding: Finding) {
        self.0.push(Suspect { key, finding, seen: None, is_still: false });
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Makes sure of every row, counts and repairs those that really differ, and forgets them.
    pub(super) async fn settle(
        &mut self,
        comparison: &Comparison,
        verdict: &mut CollectionVerdict,
    ) -> Result<()> {
        if comparison.is_live {
            self.wait_out(comparison, verdict).await?;
        }
        let mut suspects = std::mem::take(&mut self.0);
        for suspect in &suspects {
            let key = key_text(&suspect.key);
            match &suspect.finding {
                Finding::Different(column) => {
                    verdict.different += 1;
                    verdict.name(key, format!("column \"{column}\" differs"));
                }
                Finding::Missing => {
                    verdict.missing += 1;
                    verdict.name(key, MISSING);
                }
                Finding::Extra => {
                    verdict.extra += 1;
                    verdict.name(key, "is not at the source");
                }
            }
        }
        for _ in 0..REPAIRS {
            suspects.retain(|suspect| comparison.repairs(&suspect.finding));
            if suspects.is_empty() {
                break;
            }
            for part in suspects.chunks(LOOKED_AT_ONCE) {
                comparison.repair(part).await?;
            }
            let before = suspects.len();
            look(&mut suspects, comparison).await?;
            verdict.repaired += u64::try_from(before - suspects.len()).unwrap_or(0);
        }
        Ok(())
    }

    /// Looks again and again, as long as it may help.
    async fn wait_out(&mut self, comparison: &Comparison, verdict: &mut CollectionVerdict) -> Result<()> {
        let longest = LOOKS.last().copied().unwrap_or_default();
        for (number, pause) in LOOKS.into_iter().chain([longest; MORE_LOOKS]).enumerate() {
            let is_sure = number >= LOOKS.len() && self.0.iter().all(|suspect| suspect.is_still);
            if self.0.is_empty() || is_sure {
                break;
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let gone = look(&mut self.0, comparison).await?;
            verdict.equal += gone;
        }
        Ok(())
    }
}

/// Looks at rows again, and forgets those that are equal by now. How many of them the source has.
async fn look(suspects: &mut Vec<Suspect>, comparison: &Comparison) -> Result<u64> {
    let mut equal = 0;
    let mut left = Vec::with_capacity(suspects.len());
    while !suspects.is_empty() {
        let part: Vec<Suspect> = suspects.drain(..suspects.len().min(LOOKED_AT_ONCE)).collect();
        let pairs = comparison.look_at(&part).await?;
        for (mut suspect, (finding, row)) in part.into_iter().zip(pairs) {
            let Some(finding) = finding else {
                equal += u64::from(suspect.finding != Finding::Extra && row.is_some());
                continue;
            };
            let seen = hash_of(row.as_ref());
            suspect.is_still = suspect.seen == Some(seen);
            suspect.seen = Some(seen);
            suspect.finding = finding;
            left.push(suspect);
        }
    }
    *suspects = left;
    Ok(equal)
}

impl Comparison {
    fn repairs(&self, finding: &Finding) -> bool {
        match self.repair {
            Repair::None => false,
            Repair::Rows => *finding != Finding::Extra,
            Repair::RowsAndExtras => true,
        }
    }

    /// What each row differs in now, and what the source holds of it.
    async fn look_at(&self, suspects: &[Suspect]) -> Result<Vec<(Option<Finding>, Option<Row>)>> {
        let mapping = &self.collection.mapping;
        let keys: Vec<_> = suspects.iter().map(|suspect| suspect.key.clone()).collect();
        let mut at_source = self.rows_of_source(&keys).await?;
        let at_target = held_by(&self.collection.target, mapping, &keys).await?;
        let mut look = |key: &Vec<Value>| {
            let canonical = canonical_key(key);
            let own = at_target.row(&canonical);
            let Some((row, as_target)) = at_source.remove(&canonical) else {
                return (own.map(|_| Finding::Extra), None);
            };
            (self.finding(&row, &as_target, own), Some(row))
        };
        Ok(keys.iter().map(&mut look).collect())
    }

    /// The rows of the source as they are and as the target would hold them, by the target's canonical keys.
    async fn rows_of_source(&self, keys: &[Vec<Value>]) -> Result<HashMap<String, (Row, Row)>> {
        let mapping = &self.collection.mapping;
        let source_keys: Vec<_> = keys.iter().filter_map(|key| mapping.source_key(key)).collect();
        let rows = self.collection.source.tables()?.fetch(&mapping.source, &source_keys).await?;
        let carried = mapping.admit_copied(rows).await?.kept;
        let converted = carried.into_iter().filter_map(|Candidate { row, .. }| {
            let (as_target, _) = mapping.convert_whole(row.clone()).ok()?;
            Some((canonical_key(&mapping.target.key_of(&as_target)), (row, as_target)))
        });
        Ok(converted.collect())
    }

    /// Copies rows once more, or deletes those that the source does not have.
    async fn repair(&self, suspects: &[Suspect]) -> Result<()> {
        let (extra, other): (Vec<_>, Vec<_>) =
            suspects.iter().partition(|suspect| suspect.finding == Finding::Extra);
        let mut stats = CollectionStats::default();
        let keys = other.iter().filter_map(|suspect| self.collection.mapping.source_key(&suspect.key));
        let keys: Vec<_> = keys.collect();
        let rows = self.collection.source.tables()?.fetch(&self.collection.mapping.source, &keys).await?;
        copy_fetched(&self.collection, rows, &mut stats).await?;
        let extra = extra.into_iter().map(|suspect| suspect.key.clone()).collect();
        delete_rows(&self.collection, extra, &mut stats).await
    }
}

fn hash_of(row: Option<&Row>) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Values have no hash of their own, as floating point numbers among them have none.
    format!("{row:?}").hash(&mut hasher);
    hasher.finish()
}
