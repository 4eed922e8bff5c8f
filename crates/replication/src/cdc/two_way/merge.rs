//! Asking the application which row both sides are to have.

use data::table::{Row, coerce};
use data::{Error, ErrorKind, Result, Value, json_from_value, value_from_json};
use serde_json::{Map, Value as Json};

use super::super::event::{Resolution, RowVersions};
use super::Exchange;
use super::decide::Met;
use super::record::json_of;
use super::side::Which;
use super::work::Job;
use crate::bidirectional::Pair;
use crate::snapshot::key_text;

/// 2^53, up to which a double holds every whole number.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// What the application has decided.
pub(super) enum Asked {
    /// What one side holds stays.
    Carry(Which),
    /// This is to be done at the source, and then goes to the target.
    Both(Job),
}

impl Exchange {
    /// Asks the application for a key.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] if it gives none, or one that the source cannot hold.
    pub(super) async fn ask(&self, index: usize, met: &Met) -> Result<Asked> {
        let Some(pair) = self.pairs.get(index) else { return Ok(Asked::Carry(Which::Source)) };
        let versions = Versions::of(pair, met)?;
        let conflict = RowVersions {
            rule: self.rule.name.clone(),
            collection: pair.to_target.label.clone(),
            key: key_text(&met.key),
            source: versions.json(versions.source.as_ref()),
            target: versions.json(versions.target.as_ref()),
        };
        let resolution = self.shared.resolve(conflict).await;
        match resolution.map_err(|reason| Error::new(ErrorKind::Value, format!("not resolved: {reason}")))? {
            Resolution::Delete => Ok(match (&met.source.row, &met.target.row) {
                (None, _) => Asked::Carry(Which::Source),
                (_, None) => Asked::Carry(Which::Target),
                _ => Asked::Both(Job::Delete),
            }),
            Resolution::Row(fields) => versions.merged(fields, &met.key),
        }
    }
}

/// Both versions of a row, as the source is written.
struct Versions<'a> {
    pair: &'a Pair,
    source: Option<Row>,
    target: Option<Row>,
}

impl<'a> Versions<'a> {
    fn of(pair: &'a Pair, met: &Met) -> Result<Self> {
        let (read, written) = (Which::Source.read_table(pair), Which::Source.written_table(pair));
        let own = |row: &Row| -> Row {
            let value = |name: &str| read.position(name).and_then(|position| row.get(position)).cloned();
            written.columns.iter().map(|column| value(&column.name).unwrap_or_default()).collect()
        };
        let converted = |row: &Row| pair.to_source.mapping.convert_whole(row.clone());
        let target = met.target.row.as_ref().map(converted).transpose()?.map(|(row, _)| row);
        Ok(Self { pair, source: met.source.row.as_ref().map(own), target })
    }

    fn json(&self, row: Option<&Row>) -> Option<Json> {
        Some(json_of(&Which::Source.written_table(self.pair).columns, row?))
    }

    /// The row that the application has made.
    fn merged(&self, mut fields: Map<String, Json>, key: &[Value]) -> Result<Asked> {
        let table = Which::Source.written_table(self.pair);
        let limits = self.pair.to_target.source.tables()?.limits();
        let base = self.source.as_ref().or(self.target.as_ref());
        let mut row: Row = Vec::with_capacity(table.columns.len());
        for (position, column) in table.columns.iter().enumerate() {
            let of = |row: Option<&Row>| row.and_then(|row| row.get(position)).cloned();
            let given = fields.remove(&column.name);
            if let Some(part) = table.key.iter().position(|at| *at == position) {
                let own = key.get(part).cloned().unwrap_or_default();
                if given.is_some_and(|given| !is_as_given(&own, &given)) {
                    let message = format!(
                        "not resolved: \"{}\" is of the primary key, which stays as it is; leave it out",
                        column.name
                    );
                    return Err(Error::new(ErrorKind::Value, message));
                }
                row.push(own);
                continue;
            }
            let Some(given) = given else {
                row.push(of(base).unwrap_or_default());
                continue;
            };
            // A value that came from one of both is that value, with all that JSON does not tell of it.
            let versions = [of(self.source.as_ref()), of(self.target.as_ref())];
            let known = versions.into_iter().flatten().find(|value| is_as_given(value, &given));
            row.push(match known {
                Some(value) => value,
                None => {
                    let coerced = coerce(value_from_json(given), &column.column_type, &limits);
                    coerced.map_err(|error| error.in_context(format!("column \"{}\"", column.name)))?.value
                }
            });
        }
        if let Some(name) = fields.keys().next() {
            let message = format!("not resolved: the row has no column \"{name}\"");
            return Err(Error::new(ErrorKind::Value, message));
        }
        let is = |version: &Option<Row>| {
            version.as_ref().is_some_and(|version| version.iter().zip(&row).all(|(a, b)| a.same_as(b)))
        };
        Ok(match (is(&self.source), is(&self.target)) {
            (true, _) => Asked::Carry(Which::Source),
            (_, true) => Asked::Carry(Which::Target),
            _ => Asked::Both(Job::Put((row, Vec::new()))),
        })
    }
}

/// Whether JavaScript gave a value back that it had been given. Of a whole number beyond 2^53 it knows only the nearest double.
fn is_as_given(value: &Value, given: &Json) -> bool {
    let known = json_from_value(value);
    let is_large =
        |number: &serde_json::Number| number.as_f64().is_some_and(|number| number.abs() >= EXACT_INTEGERS);
    known == *given
        || matches!((&known, given), (Json::Number(known), Json::Number(given))
            if is_large(known) && known.as_f64() == given.as_f64())
}
