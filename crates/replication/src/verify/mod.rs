//! Comparing source and target of a rule row by row while both are in use, and repairing what differs.

mod compare;
mod settle;

use data::Result;
use serde::Serialize;

use crate::error::Error;
use crate::rule::{Mode, Rule};
use crate::snapshot::{End, TakenTables, resolve, resolve_both, stops_the_run, taken_reason};
use crate::stats::Failure;
use compare::Comparison;

/// How many rows that differ are named per collection, some 20 MB of them.
const NAMED_ROWS: usize = 100_000;

/// What is said of a row that the target lacks.
pub(crate) const MISSING: &str = "is missing at the target";

/// What is done about rows that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repair {
    /// Nothing.
    #[default]
    None,
    /// Rows that differ or are missing are copied once more.
    Rows,
    /// And rows that only the target has are deleted.
    RowsAndExtras,
}

impl Repair {
    /// Reads the name that configurations use.
    ///
    /// # Errors
    /// [`Error::Config`] naming the known ones.
    pub fn parse(name: &str) -> Result<Self, Error> {
        match name {
            "none" => Ok(Self::None),
            "rows" => Ok(Self::Rows),
            "rows-and-extras" => Ok(Self::RowsAndExtras),
            other => {
                let problem = format!("unknown value \"{other}\"; known are none, rows, rows-and-extras");
                Err(Error::config("repair", problem))
            }
        }
    }
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The rule.
    pub rule_name: String,
    /// Whether every row of the source stands unchanged at the target, and no other row does. Of rows that were repaired it
    /// says how they were found.
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
    /// Rows that were repaired.
    pub repaired: u64,
    /// The rows that are not equal, the first [`NAMED_ROWS`] of them, and the collection's own error with an empty key.
    pub failures: Vec<Failure>,
}

impl CollectionVerdict {
    fn is_equal(&self) -> bool {
        self.different == 0 && self.missing == 0 && self.extra == 0 && self.failures.is_empty()
    }

    fn name(&mut self, key: String, reason: impl Into<String>) {
        if self.failures.len() < NAMED_ROWS {
            self.failures.push(Failure { key, reason: reason.into() });
        }
    }
}

/// Compares every collection of a rule. Values are compared as the target holds them, so that a documented
/// conversion counts as equal.
pub(crate) async fn verify(rule: &Rule, source: &End, target: &End, repair: Repair) -> Result<Verdict> {
    let mut collections = Vec::new();
    let plans = if rule.mode == Mode::Bidirectional {
        resolve_both(rule, source, target).await?
    } else {
        resolve(rule, source, target).await?
    };
    let mut taken = TakenTables::default();
    for plan in plans {
        let mut verdict = CollectionVerdict { collection: plan.label.clone(), ..Default::default() };
        let compared = match Comparison::prepare(rule, &plan, source, target, repair).await {
            // The rows of the other one would be extras here.
            Ok(comparison) if !taken.take(&comparison.collection.mapping) => {
                verdict.name(String::new(), taken_reason(&plan));
                Ok(())
            }
            Ok(comparison) => comparison.run(&mut verdict).await,
            Err(error) => {
                taken.reserve(&plan, target).await;
                Err(error)
            }
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
