//! Whether two versions of a row differ, which of them stays, and what is written over the other.

use std::cmp::Ordering;

use data::table::{Coerced, Row};
use data::{Result, Timestamp, Value, json_text};

use super::pair::{Column, Pair};
use crate::rule::ConflictResolution;
use crate::snapshot::{Converted, GivenUp, Mapping, moment};
use crate::stats::Winner;

/// How two versions of a row differ.
pub(crate) struct Difference {
    pub(crate) winner: Winner,
    /// The columns that differ.
    pub(crate) fields: Vec<String>,
}

impl Pair {
    /// How a row of the source and a row of the target differ, if they do. They are compared as the side holds them that
    /// holds less: a value that one side cannot hold whole, and that was converted on its way there, does not differ from
    /// what became of it.
    pub(crate) fn difference(&self, row: &[Value], own: &[Value]) -> Option<Difference> {
        let differing: Vec<&Column> =
            self.columns.iter().filter(|column| !self.is_same(column, row, own)).collect();
        if differing.is_empty() {
            return None;
        }
        let winner = self.winner(row, own, &differing);
        Some(Difference { winner, fields: differing.iter().map(|column| column.name.clone()).collect() })
    }

    fn is_same(&self, column: &Column, row: &[Value], own: &[Value]) -> bool {
        let (value, other) = (at(row, column.at_source), at(own, column.at_target));
        let becomes = |mapping: &Mapping, into: usize, from: &Value, to: &Value| {
            mapping
                .convert_value(into, from.clone())
                .is_ok_and(|Coerced { value, .. }| mapping.same_value(into, &value, to))
        };
        becomes(&self.to_target.mapping, column.into_target, value, other)
            || becomes(&self.to_source.mapping, column.into_source, other, value)
    }

    fn winner(&self, row: &[Value], own: &[Value], differing: &[&Column]) -> Winner {
        match self.resolution {
            ConflictResolution::SourceWins => Winner::Source,
            ConflictResolution::TargetWins => Winner::Target,
            // The application is only asked where changes are streamed.
            ConflictResolution::Timestamp | ConflictResolution::Resolve => match self.age_order(row, own) {
                Some(Ordering::Greater) | None => Winner::Source,
                Some(Ordering::Less) => Winner::Target,
                Some(Ordering::Equal) => by_content(row, own, differing),
            },
        }
    }

    /// Which version was written later; `None` if one does not tell.
    fn age_order(&self, row: &[Value], own: &[Value]) -> Option<Ordering> {
        let (at_source, at_target) = self.updated_at?;
        let deleted = self.deleted_at;
        let deleted_here = deleted.and_then(|(position, _)| moment(at(row, position)));
        let deleted_there = deleted.and_then(|(_, position)| moment(at(own, position)));
        let ours = moment(at(row, at_source))?.max(deleted_here.unwrap_or(Timestamp::NEG_INFINITY));
        let theirs = moment(at(own, at_target))?.max(deleted_there.unwrap_or(Timestamp::NEG_INFINITY));
        Some(if self.microseconds { ours.cmp(&theirs) } else { ours.millis().cmp(&theirs.millis()) })
    }

    /// The row of the source as it is written over that of the target. A value that is the same keeps the form in which
    /// the target holds it, which may be the finer one.
    pub(crate) fn for_target(&self, row: &[Value], own: &[Value]) -> Result<Converted> {
        let (mut merged, mut losses) = self.to_target.mapping.convert_whole(row.to_vec())?;
        for column in self.columns.iter().filter(|column| self.is_same(column, row, own)) {
            keep(&mut merged, &mut losses, column.into_target, at(own, column.at_target));
        }
        Ok((merged, losses))
    }

    /// The row of the target as it is written over that of the source.
    pub(crate) fn for_source(&self, row: &[Value], own: &[Value]) -> Result<Converted> {
        let (mut merged, mut losses) = self.to_source.mapping.convert_whole(own.to_vec())?;
        for column in self.columns.iter().filter(|column| self.is_same(column, row, own)) {
            keep(&mut merged, &mut losses, column.into_source, at(row, column.at_source));
        }
        Ok((merged, losses))
    }
}

fn keep(merged: &mut Row, losses: &mut Vec<GivenUp>, column: usize, own: &Value) {
    if let Some(slot) = merged.get_mut(column) {
        slot.clone_from(own);
    }
    losses.retain(|given_up| !matches!(given_up, GivenUp::Value(lossy, _) if *lossy == column));
}

fn at(row: &[Value], position: usize) -> &Value {
    row.get(position).unwrap_or(&Value::Null)
}

/// Decides between versions of the same age by what they hold, so that the same one stays whichever side is called the
/// source: the first column that differs, by name, decides, and the greater text wins.
fn by_content(row: &[Value], own: &[Value], differing: &[&Column]) -> Winner {
    let order = differing
        .iter()
        .map(|column| content_order(at(row, column.at_source), at(own, column.at_target)))
        .find(|order| order.is_ne());
    if order == Some(Ordering::Less) { Winner::Target } else { Winner::Source }
}

fn content_order(ours: &Value, theirs: &Value) -> Ordering {
    json_text(ours).cmp(&json_text(theirs)).then_with(|| ours.type_name().cmp(theirs.type_name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, position: usize) -> Column {
        let name = name.to_owned();
        Column {
            name,
            at_source: position,
            at_target: position,
            into_target: position,
            into_source: position,
        }
    }

    #[test]
    fn a_tie_has_the_same_winner_whichever_side_is_called_the_source() {
        let columns = [column("a", 0), column("b", 1)];
        let differing: Vec<&Column> = columns.iter().collect();
        let one = [Value::from("x"), Value::Int32(10)];
        for other in [
            [Value::from("y"), Value::Int32(1)],
            [Value::from("x"), Value::Int32(9)],
            [Value::from("x"), Value::Null],
            [Value::from("x"), Value::from("10")],
        ] {
            let forth = by_content(&one, &other, &differing);
            let back = by_content(&other, &one, &differing);
            assert_ne!(forth, back, "{other:?}");
        }
    }
}
