//! Which rows of a source are carried, and what a transform makes of them, before they are brought into the types of the target.

use data::schema::Discriminator;
use data::table::{ColumnType, Row};
use data::{Error, ErrorKind, Object, Record, Result, Value};
use tokio::time::timeout;

use super::Mapping;
use crate::cdc::RowOperation;
use crate::row_shape::{RowToTransform, Transform, TransformOutcome};
use crate::snapshot::{End, canonical_key, key_columns};

/// How many rows a transform is given at a time.
const TRANSFORMED_AT_ONCE: usize = 500;

/// A row of the source, in the order of its table, that has been told whole.
pub(crate) struct Candidate {
    pub(crate) row: Row,
    /// Whether the target is thought not to have it.
    pub(crate) is_new: bool,
}

/// What became of rows.
#[derive(Default)]
pub(crate) struct Admitted {
    /// Those that the target is to have, as the transform has left them.
    pub(crate) kept: Vec<Candidate>,
    /// Those that the target is not to have.
    pub(crate) dropped: Vec<Candidate>,
    /// Those for which the transform failed, as they were.
    pub(crate) refused: Vec<(Candidate, Error)>,
}

impl Mapping {
    /// Whether rows are looked at before they are carried.
    pub(crate) fn is_choosy(&self) -> bool {
        self.filter.is_some() || self.transform.is_some()
    }

    /// Whether rows pass through a function.
    pub(crate) fn transforms(&self) -> bool {
        self.transform.is_some()
    }

    /// Whether the filter holds for a row of which these columns are not known, in ascending order; `None` if they decide.
    pub(crate) fn is_wanted(&self, row: &[Value], missing: &[usize]) -> Option<bool> {
        let Some(filter) = &self.filter else { return Some(true) };
        filter.holds(row, &|column| missing.binary_search(&column).is_err())
    }

    /// Whether a change that does not tell these columns leaves it as it was whether the filter holds.
    pub(crate) fn is_untouched_by(&self, missing: &[usize]) -> bool {
        self.filter
            .as_ref()
            .is_none_or(|filter| !filter.asks_for(&|column| missing.binary_search(&column).is_err()))
    }

    /// The rows of the target that come from this source, where it has others.
    pub(crate) fn part_of_target(&self) -> Option<&Discriminator> {
        self.source_mark.as_ref().or(self.target_discriminator.as_ref())
    }

    /// Chooses rows that were copied.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub(crate) async fn admit_copied(&self, rows: Vec<Row>) -> Result<Admitted> {
        self.admit(rows.into_iter().map(|row| Candidate { row, is_new: true }).collect()).await
    }

    /// Chooses rows by the filter, and passes them through the transform.
    ///
    /// # Errors
    /// If the transform cannot be called.
    pub(crate) async fn admit(&self, rows: Vec<Candidate>) -> Result<Admitted> {
        let (wanted, dropped) = rows.into_iter().partition(|row| self.is_wanted(&row.row, &[]) == Some(true));
        let mut admitted = Admitted { kept: wanted, dropped, refused: Vec::new() };
        let Some(transform) = &self.transform else { return Ok(admitted) };
        let mut rest = std::mem::take(&mut admitted.kept);
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(TRANSFORMED_AT_ONCE));
            self.transform_rows(transform, std::mem::replace(&mut rest, later), &mut admitted).await?;
        }
        Ok(admitted)
    }

    async fn transform_rows(
        &self,
        Transform(transform): &Transform,
        rows: Vec<Candidate>,
        admitted: &mut Admitted,
    ) -> Result<()> {
        let given: Vec<_> = rows.iter().map(|candidate| self.to_transform(candidate)).collect();
        let limit = self.transform_limit;
        let most = limit.saturating_mul(u32::try_from(given.len()).unwrap_or(u32::MAX));
        let Ok(outcomes) = timeout(most, transform.apply(&self.label, &given, limit)).await else {
            let reason = format!("it took longer than {} ms", limit.as_millis());
            admitted.refused.extend(rows.into_iter().map(|row| (row, failed(&reason))));
            return Ok(());
        };
        let outcomes = outcomes?;
        if outcomes.len() != rows.len() {
            return Err(Error::new(
                ErrorKind::Internal,
                "a transform was answered for other rows than it was given",
            ));
        }
        for (candidate, outcome) in rows.into_iter().zip(outcomes) {
            match outcome {
                TransformOutcome::Dropped => admitted.dropped.push(candidate),
                TransformOutcome::Failed(reason) => admitted.refused.push((candidate, failed(&reason))),
                TransformOutcome::Row(record) => match self.transformed(&candidate.row, record) {
                    Ok(row) => admitted.kept.push(Candidate { row, ..candidate }),
                    Err(error) => admitted.refused.push((candidate, error)),
                },
            }
        }
        Ok(())
    }

    fn to_transform(&self, candidate: &Candidate) -> RowToTransform {
        let mut record = Record::new();
        for (column, value) in self.source.columns.iter().zip(&candidate.row) {
            match (&column.column_type, value) {
                (ColumnType::Rest, Value::Object(fields)) => {
                    record.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
                }
                (ColumnType::Rest, _) => {}
                _ => drop(record.insert(column.name.clone(), value.clone())),
            }
        }
        let key_names =
            self.source.key.iter().filter_map(|at| Some(self.source.columns.get(*at)?.name.clone()));
        let operation = if candidate.is_new { RowOperation::Insert } else { RowOperation::Update };
        RowToTransform {
            operation,
            key: key_names.zip(self.source.key_of(&candidate.row)).collect(),
            row: record,
        }
    }

    /// A row that was transformed, with the columns that were added behind those of the source.
    fn transformed(&self, before: &[Value], mut record: Record) -> Result<Row> {
        let mut row = Vec::with_capacity(self.source.columns.len() + self.added.len() + 1);
        for (at, column) in self.source.columns.iter().enumerate() {
            let value = record.shift_remove(&column.name);
            row.push(match (value, before.get(at)) {
                (None, Some(before)) if self.source.key.contains(&at) => before.clone(),
                (Some(value), Some(before)) if self.source.key.contains(&at) && !same_key(&value, before) => {
                    return Err(failed(&format!("it changed the primary key (\"{}\")", column.name)));
                }
                (value, _) => value.unwrap_or_default(),
            });
        }
        for name in &self.added {
            row.push(record.shift_remove(name).unwrap_or_default());
        }
        let further: Object = record.into_iter().collect();
        let further = if further.is_empty() { Value::Null } else { Value::Object(Box::new(further)) };
        match self.source.rest().and_then(|rest| row.get_mut(rest)) {
            Some(rest) => *rest = further,
            None => row.push(further),
        }
        Ok(row)
    }

    /// Which of the keys, in the types of the source, it has rows under that are carried; in their canonical form.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] if it cannot even read one of the keys, and what the source says else.
    pub(crate) async fn keys_carried(&self, source: &End, keys: &[Vec<Value>]) -> Result<Vec<String>> {
        let tables = source.tables()?;
        if !self.is_choosy() {
            let rows = tables.fetch(&key_columns(&self.source), keys).await?;
            return Ok(rows.iter().map(|row| canonical_key(row)).collect());
        }
        let admitted = self.admit_copied(tables.fetch(&self.source, keys).await?).await?;
        // Whether a row is carried for which the transform fails is not known; so it stays.
        let carried = admitted.kept.iter().chain(admitted.refused.iter().map(|(row, _)| row));
        Ok(carried.map(|row| canonical_key(&self.source.key_of(&row.row))).collect())
    }
}

fn same_key(a: &Value, b: &Value) -> bool {
    canonical_key(std::slice::from_ref(a)) == canonical_key(std::slice::from_ref(b)) || a.same_as(b)
}

fn failed(reason: &str) -> Error {
    Error::new(ErrorKind::Value, format!("the transform failed: {reason}"))
}
