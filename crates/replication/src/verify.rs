//! Comparing source and target of a rule row by row, without changing either.

use std::collections::HashMap;
use std::sync::Arc;

use data::table::{Row, ScanOptions};
use data::{Result, Value};
use serde::Serialize;

use crate::rule::{Mode, Rule};
use crate::snapshot::{
    CollectionPlan, End, Mapping, canonical_key, key_text, orphans_among, resolve, resolve_both,
    stops_the_run,
};
use crate::stats::Failure;

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
        let compared = match Comparison::prepare(rule, &plan, &source, &target).await {
            Ok(comparison) => comparison.run(&source, &target, &mut verdict).await,
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

/// How the rows of a collection are compared.
struct Comparison {
    mapping: Mapping,
    /// The way back, where the rule goes both ways: then a value that the source cannot hold whole does not differ from
    /// what became of it there.
    back: Option<Mapping>,
}

impl Comparison {
    async fn prepare(rule: &Rule, plan: &CollectionPlan, source: &End, target: &End) -> Result<Self> {
        let mapping = Mapping::prepare(plan, source, target, false).await?;
        let back = match rule.mode {
            Mode::Bidirectional => Some(Mapping::prepare(&plan.reversed(), target, source, false).await?),
            Mode::Snapshot | Mode::Cdc => None,
        };
        Ok(Self { mapping, back })
    }

    async fn run(&self, source: &End, target: &End, verdict: &mut CollectionVerdict) -> Result<()> {
        let mapping = &self.mapping;
        let snapshot = source.tables()?.snapshot().await?;
        let options =
            ScanOptions { discriminator: mapping.source_discriminator.clone(), ..Default::default() };
        let mut batches = snapshot.scan(Arc::clone(&mapping.source), options).await?;
        while let Some(batch) = batches.recv().await {
            let rows = batch?.into_rows()?;
            verdict.rows += u64::try_from(rows.len()).unwrap_or(u64::MAX);
            let mut converted = Vec::with_capacity(rows.len());
            for row in rows {
                match mapping.convert_whole(row.clone()) {
                    Ok((as_target, _)) => converted.push((row, as_target)),
                    Err(error) => {
                        verdict.different += 1;
                        verdict.name(key_text(&mapping.source.key_of(&row)), error.to_string());
                    }
                }
            }
            self.batch(target, converted, verdict).await?;
        }
        find_extra(mapping, source, target, verdict).await
    }

    /// Compares rows of the source, given as they are and as the target would hold them.
    async fn batch(
        &self,
        target: &End,
        rows: Vec<(Row, Row)>,
        verdict: &mut CollectionVerdict,
    ) -> Result<()> {
        let table = &self.mapping.target;
        let keys: Vec<_> = rows.iter().map(|(_, as_target)| table.key_of(as_target)).collect();
        let existing = target.tables()?.fetch(table, &keys).await?;
        let existing: HashMap<String, Row> =
            existing.into_iter().map(|row| (canonical_key(&table.key_of(&row)), row)).collect();
        for ((row, as_target), key) in rows.iter().zip(&keys) {
            match existing.get(&canonical_key(key)) {
                None => {
                    verdict.missing += 1;
                    verdict.name(key_text(key), "is missing at the target");
                }
                Some(own) => match self.difference(row, as_target, own) {
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

    /// The first column in which a row differs.
    fn difference(&self, row: &[Value], as_target: &[Value], own: &[Value]) -> Option<&str> {
        let mut differing = self.mapping.differing_columns(as_target, own);
        let column = differing.find(|column| !self.came_back(*column, row, own))?;
        self.mapping.target.columns.get(column).map(|column| column.name.as_str())
    }

    /// Whether the value of the target, on its way back, becomes what the source holds.
    fn came_back(&self, column: usize, row: &[Value], own: &[Value]) -> bool {
        let Some(back) = &self.back else { return false };
        let position = self.mapping.position(column);
        let (Some(held), Some(value)) = (row.get(position), own.get(column)) else { return false };
        let into = self.mapping.source.columns.get(position).and_then(|own| back.target.position(&own.name));
        into.is_some_and(|into| {
            back.convert_value(into, value.clone())
                .is_ok_and(|back_value| back.same_value(into, &back_value.value, held))
        })
    }
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
