//! Comparing source and target of a rule row by row, without changing either.

use std::collections::HashMap;
use std::sync::Arc;

use data::Result;
use data::table::{Row, ScanOptions};
use serde::Serialize;

use crate::rule::{Mode, Rule};
use crate::snapshot::{
    End, Mapping, canonical_key, key_text, orphans_among, resolve, resolve_both, stops_the_run,
};
use crate::stats::{CollectionStats, Failure};

/// How many rows that differ are named per collection.
const NAMED_ROWS: usize = 100;

/// The outcome of a comparison.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The rule.
    pub rule_name: String,
    /// Whether every row of the source stands unchanged at the target, and no other row does.
    pub equal: bool,
    /// The outcome per collection.
    pub collections: Vec<CollectionVerdict>,
}

/// The outcome of a comparison for one collection.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CollectionVerdict {
    /// The entity or table, as the rule names it.
    pub collection: String,
    /// Rows of the source.
    pub rows: u64,
    /// Rows that stand equal at the target.
    pub equal: u64,
    /// Rows that stand at the target with other values.
    pub different: u64,
    /// Rows that the target lacks.
    pub missing: u64,
    /// Rows that only the target has.
    pub extra: u64,
    /// The first of the rows that are not equal, and the collection's own error with an empty key.
    pub failures: Vec<Failure>,
}

impl CollectionVerdict {
    fn is_equal(&self) -> bool {
        self.equal == self.rows && self.extra == 0 && self.failures.is_empty()
    }

    fn name(&mut self, key: String, reason: impl Into<String>) {
        if self.failures.len() < NAMED_ROWS {
            self.failures.push(Failure { key, reason: reason.into() });
        }
    }
}

/// Compares every collection of a rule. Values are compared as the target holds them, so that a documented
/// conversion counts as equal.
pub(crate) async fn verify(rule: &Rule, source: &End, target: &End) -> Result<Verdict> {
    let mut collections = Vec::new();
    let plans = if rule.mode == Mode::Bidirectional {
        resolve_both(rule, source, target).await?
    } else {
        resolve(rule, source, target).await?
    };
    for plan in plans {
        let mut verdict = CollectionVerdict { collection: plan.label.clone(), ..Default::default() };
        let (source, target) = plan.ends(source, target);
        let compared = match Mapping::prepare(&plan, &source, &target, false).await {
            Ok(mapping) => compare(&mapping, &source, &target, &mut verdict).await,
            Err(error) => Err(error),
        };
        match compared {
            Err(error) if stops_the_run(error.kind()) => return Err(error),
            Err(error) => verdict.name(String::new(), error.to_string()),
            Ok(()) => {}
        }
        collections.push(verdict);
    }
    let equal = collections.iter().all(CollectionVerdict::is_equal);
    Ok(Verdict { rule_name: rule.name.clone(), equal, collections })
}

async fn compare(
    mapping: &Mapping,
    source: &End,
    target: &End,
    verdict: &mut CollectionVerdict,
) -> Result<()> {
    let snapshot = source.tables()?.snapshot().await?;
    let options = ScanOptions { discriminator: mapping.source_discriminator.clone(), ..Default::default() };
    let mut batches = snapshot.scan(Arc::clone(&mapping.source), options).await?;
    while let Some(batch) = batches.recv().await {
        let rows = batch?.into_rows()?;
        verdict.rows += u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let mut unfit = CollectionStats::default();
        let rows = mapping.convert(rows, &mut unfit);
        verdict.different += unfit.errors;
        unfit.failures.into_iter().for_each(|failure| verdict.name(failure.key, failure.reason));
        compare_batch(mapping, target, rows, verdict).await?;
    }
    find_extra(mapping, source, target, verdict).await
}

async fn compare_batch(
    mapping: &Mapping,
    target: &End,
    rows: Vec<Row>,
    verdict: &mut CollectionVerdict,
) -> Result<()> {
    let table = &mapping.target;
    let keys: Vec<_> = rows.iter().map(|row| table.key_of(row)).collect();
    let existing = target.tables()?.fetch(table, &keys).await?;
    let existing: HashMap<String, Row> =
        existing.into_iter().map(|row| (canonical_key(&table.key_of(&row)), row)).collect();
    for (row, key) in rows.iter().zip(&keys) {
        match existing.get(&canonical_key(key)) {
            None => {
                verdict.missing += 1;
                verdict.name(key_text(key), "is missing at the target");
            }
            Some(own) => match mapping.differing_column(row, own) {
                None => verdict.equal += 1,
                Some(column) => {
                    verdict.different += 1;
                    verdict.name(key_text(key), format!("column \"{column}\" differs"));
                }
            },
        }
    }
    Ok(())
}

/// Counts and names the rows that only the target has.
async fn find_extra(
    mapping: &Mapping,
    source: &End,
    target: &End,
    verdict: &mut CollectionVerdict,
) -> Result<()> {
    let snapshot = target.tables()?.snapshot().await?;
    let options = ScanOptions {
        keys_only: true,
        discriminator: mapping.target_discriminator.clone(),
        ..ScanOptions::default()
    };
    let mut batches = snapshot.scan(Arc::clone(&mapping.target), options).await?;
    while let Some(batch) = batches.recv().await {
        for key in orphans_among(mapping, source, batch?.into_rows()?).await? {
            verdict.extra += 1;
            verdict.name(key_text(&key), "is not at the source");
        }
    }
    Ok(())
}
