//! One collection compared: its rows as the source has them, and those that only the target has.

use std::collections::HashSet;
use std::sync::Arc;

use data::table::{Row, ScanOptions};
use data::{Result, Value};

use super::settle::Suspects;
use super::{CollectionVerdict, Repair};
use crate::rule::{ConflictResolution, Mode, Rule};
use crate::snapshot::{
    Collection, CollectionPlan, End, Mapping, canonical_key, held_by, key_text, orphans_among,
};

/// How many rows that seem to differ are held at a time.
const HELD_SUSPECTS: usize = 5_000;

/// In what a row differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// This column of it.
    Different(String),
    /// The target lacks it.
    Missing,
    /// Only the target has it.
    Extra,
}

/// How the rows of a collection are compared.
pub(super) struct Comparison {
    pub(super) collection: Collection,
    /// The way back, where the rule goes both ways: then a value that the source cannot hold whole does not differ from
    /// what became of it there.
    back: Option<Mapping>,
    /// Whether changes are on their way while rows are compared, so that a row may differ only for a moment.
    pub(super) is_live: bool,
    pub(super) repair: Repair,
}

impl Comparison {
    pub(super) async fn prepare(
        rule: &Rule,
        plan: &CollectionPlan,
        source: &End,
        target: &End,
        repair: Repair,
    ) -> Result<Self> {
        let (source, target) = plan.ends(source, target);
        let mapping = Mapping::prepare(plan, &source, &target, false).await?;
        let back = match rule.mode {
            Mode::Bidirectional => Some(Mapping::prepare(&plan.reversed(), &target, &source, false).await?),
            Mode::Snapshot | Mode::Cdc => None,
        };
        let collection = Collection {
            label: plan.label.clone(),
            source,
            target,
            mapping,
            // What differs is repaired towards the source, whatever the rule does with changes.
            resolution: ConflictResolution::SourceWins,
            fresh: false,
            rewrites: false,
        };
        Ok(Self { collection, back, is_live: rule.mode == Mode::Cdc, repair })
    }

    pub(super) async fn run(&self, verdict: &mut CollectionVerdict) -> Result<()> {
        let mut suspects = Suspects::default();
        self.scan_source(&mut suspects, verdict).await?;
        self.scan_target(&mut suspects, verdict).await?;
        suspects.settle(self, verdict).await
    }

    async fn scan_source(&self, suspects: &mut Suspects, verdict: &mut CollectionVerdict) -> Result<()> {
        let Collection { source, target, mapping, .. } = &self.collection;
        let snapshot = source.tables()?.snapshot().await?;
        let options =
            ScanOptions { discriminator: mapping.source_discriminator.clone(), ..Default::default() };
        let mut batches = source.scan_in(snapshot.as_ref(), Arc::clone(&mapping.source), options).await?;
        while let Some(batch) = batches.recv().await {
            let rows = self.carried(batch?.into_rows()?, verdict).await?;
            verdict.rows += u64::try_from(rows.len()).unwrap_or(u64::MAX);
            let rows = self.convert(rows, verdict);
            let keys: Vec<_> = rows.iter().map(|(_, as_target)| mapping.target.key_of(as_target)).collect();
            let existing = held_by(target, mapping, &keys).await?;
            let mut seen = HashSet::with_capacity(keys.len());
            for ((row, as_target), key) in rows.iter().zip(keys) {
                if !seen.insert(canonical_key(&key)) {
                    verdict.different += 1;
                    let own_key = key_text(&mapping.source.key_of(row));
                    verdict.name(own_key, "another row has the same primary key at the target");
                    continue;
                }
                match self.finding(row, as_target, existing.row(&canonical_key(&key))) {
                    None => verdict.equal += 1,
                    Some(finding) => suspects.add(key, finding),
                }
            }
            if suspects.len() >= HELD_SUSPECTS {
                suspects.settle(self, verdict).await?;
            }
        }
        Ok(())
    }

    /// The rows that are carried; those for which that cannot be told differ for good.
    async fn carried(&self, rows: Vec<Row>, verdict: &mut CollectionVerdict) -> Result<Vec<Row>> {
        let mapping = &self.collection.mapping;
        if !mapping.is_choosy() {
            return Ok(rows);
        }
        let admitted = mapping.admit_copied(rows).await?;
        for (refused, error) in admitted.refused {
            verdict.rows += 1;
            verdict.different += 1;
            verdict.name(key_text(&mapping.source.key_of(&refused.row)), error.to_string());
        }
        Ok(admitted.kept.into_iter().map(|kept| kept.row).collect())
    }

    /// Looks for the rows that only the target has.
    async fn scan_target(&self, suspects: &mut Suspects, verdict: &mut CollectionVerdict) -> Result<()> {
        let Collection { source, target, mapping, .. } = &self.collection;
        let snapshot = target.tables()?.snapshot().await?;
        let options = ScanOptions {
            keys_only: true,
            discriminator: mapping.part_of_target().cloned(),
            ..ScanOptions::default()
        };
        let mut batches = target.scan_in(snapshot.as_ref(), Arc::clone(&mapping.target), options).await?;
        while let Some(batch) = batches.recv().await {
            for key in orphans_among(mapping, source, batch?.into_rows()?).await? {
                suspects.add(key, Finding::Extra);
            }
            if suspects.len() >= HELD_SUSPECTS {
                suspects.settle(self, verdict).await?;
            }
        }
        Ok(())
    }

    /// The rows as they are with what the target would hold of them; those that it cannot hold differ for good.
    fn convert(&self, rows: Vec<Row>, verdict: &mut CollectionVerdict) -> Vec<(Row, Row)> {
        let mapping = &self.collection.mapping;
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
        converted
    }

    /// In what a row of the source, given as it is and as the target would hold it, differs from the target's own.
    pub(super) fn finding(&self, row: &[Value], as_target: &[Value], own: Option<&Row>) -> Option<Finding> {
        let Some(own) = own else { return Some(Finding::Missing) };
        let mapping = &self.collection.mapping;
        let mut differing = mapping.differing_columns(as_target, own);
        let column = differing.find(|column| !self.came_back(*column, row, own))?;
        let name = mapping.target.columns.get(column).map(|column| column.name.clone());
        Some(Finding::Different(name.unwrap_or_default()))
    }

    /// Whether the value of the target, on its way back, becomes what the source holds.
    fn came_back(&self, column: usize, row: &[Value], own: &[Value]) -> bool {
        let Some(back) = &self.back else { return false };
        let mapping = &self.collection.mapping;
        let position = mapping.position(column);
        let (Some(held), Some(value)) = (row.get(position), own.get(column)) else { return false };
        let into = mapping.source.columns.get(position).and_then(|own| back.target.position(&own.name));
        into.is_some_and(|into| {
            back.convert_value(into, value.clone())
                .is_ok_and(|back_value| back.same_value(into, &back_value.value, held))
        })
    }
}
