//! Aggregations.

use data::schema::DELETED_AT;
use data::{
    Accumulator, Condition, ErrorKind, FieldPath, Filter, Group, GroupKey, Pipeline, Record, Stage, Value,
};

use super::Model;
use super::filter::passes;
use super::order::{compare, ordered, sort_rows};
use crate::filters::member;

impl Model {
    pub(super) fn aggregate(&self, pipeline: &Pipeline) -> Result<Vec<Record>, ErrorKind> {
        let names_deleted =
            |stage: &Stage| matches!(stage, Stage::Match(filter) if filter.mentions(DELETED_AT));
        let deleted_too = pipeline.stages.iter().any(names_deleted);
        let all = self.passing(&Filter::everything(), deleted_too)?;
        let mut rows: Vec<Record> = all.into_iter().map(|row| self.rows[row].clone()).collect();
        let mut is_grouped = false;
        for stage in &pipeline.stages {
            match stage {
                Stage::Match(filter) if is_grouped => rows.retain(|row| counts_enough(row, filter)),
                Stage::Match(filter) => {
                    self.check(filter)?;
                    rows.retain(|row| passes(&self.schema, row, filter));
                }
                Stage::Sort(sort) => sort_rows(&mut rows, sort),
                Stage::Limit(limit) => rows.truncate(usize::try_from(*limit).unwrap()),
                Stage::Group(group) => {
                    rows = grouped(&rows, group);
                    is_grouped = true;
                }
            }
        }
        Ok(rows)
    }
}

/// After a group only its counts are asked for.
fn counts_enough(row: &Record, filter: &Filter) -> bool {
    match filter {
        Filter::Field(path, Condition::Gte(least)) => row[&path.field].as_f64() >= least.as_f64(),
        _ => true,
    }
}

fn grouped(rows: &[Record], group: &Group) -> Vec<Record> {
    let mut groups: Vec<(Record, Vec<&Record>)> = Vec::new();
    if group.by == GroupKey::Nothing {
        groups.push((Record::new(), Vec::new()));
    }
    for row in rows {
        let key: Record =
            group.by.named().into_iter().map(|(name, path)| (name, value_at(row, path))).collect();
        let same = |known: &Record| known.iter().all(|(name, value)| value.same_as(&key[name]));
        match groups.iter_mut().find(|(known, _)| same(known)) {
            Some((_, members)) => members.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    let result = |(mut record, members): (Record, Vec<&Record>)| {
        let computed =
            group.fields.iter().map(|(name, accumulator)| (name.clone(), computed(&members, accumulator)));
        record.extend(computed);
        record
    };
    groups.into_iter().map(result).collect()
}

fn value_at(row: &Record, path: &FieldPath) -> Value {
    path.below.iter().fold(row[&path.field].clone(), |value, key| member(&value, key))
}

#[expect(clippy::cast_precision_loss, reason = "there are few rows")]
fn computed(rows: &[&Record], accumulator: &Accumulator) -> Value {
    let given = |path: &FieldPath| -> Vec<Value> {
        rows.iter().map(|row| value_at(row, path)).filter(|value| !value.is_null()).collect()
    };
    let numbers = |path| -> Vec<f64> { given(path).iter().filter_map(Value::as_f64).collect() };
    let number = |count: usize| Value::Float(count as f64);
    match accumulator {
        Accumulator::Count => number(rows.len()),
        Accumulator::CountOf(path) => number(given(path).len()),
        Accumulator::SumOf(each) => Value::Float(*each * rows.len() as f64),
        Accumulator::Sum(path) => Value::Float(numbers(path).iter().sum()),
        Accumulator::Average(path) => {
            let numbers = numbers(path);
            let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
            if numbers.is_empty() { Value::Null } else { Value::Float(mean) }
        }
        Accumulator::Min(path) => extreme(given(path), false),
        Accumulator::Max(path) => extreme(given(path), true),
    }
}

fn extreme(values: Vec<Value>, largest: bool) -> Value {
    let order = |a: &Value, b: &Value| compare(a, b).unwrap_or_else(|| ordered(a, b));
    let found = if largest { values.into_iter().max_by(order) } else { values.into_iter().min_by(order) };
    found.unwrap_or_default()
}
