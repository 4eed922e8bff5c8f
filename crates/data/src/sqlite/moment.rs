//! Moments as SQLite keeps them: ISO 8601 text. From year 0 to 9999 its order is that of the moments; years outside of
//! that carry a sign, before which the order of their characters has no meaning.

use std::cmp::{Ordering, Reverse};

use crate::sql::Statement;
use crate::value::{Timestamp, Value};

/// The collation that orders such text as moments. Connections of the pool have it; no index and no table uses it, so
/// that other programs can work with the file.
pub(super) const COLLATION: &str = "REPLICAVERSE_MOMENT";

/// The order of two moments. Text that is none has its place by its characters among those of four-digit years.
pub(super) fn collate(a: &str, b: &str) -> Ordering {
    sort_key(a).cmp(&sort_key(b))
}

/// What moments are ordered by: their side of the four-digit years, the year where it counts backwards, and the rest.
/// Without its `Z` a moment comes before those with further digits of the same millisecond.
fn sort_key(text: &str) -> (u8, Reverse<&str>, &str) {
    let digits = text.strip_suffix('Z').unwrap_or(text);
    match text.as_bytes() {
        b"-infinity" => (0, Reverse(""), ""),
        b"infinity" => (4, Reverse(""), ""),
        [b'-', ..] => (1, Reverse(text.get(..7).unwrap_or(text)), digits),
        [b'+', ..] => (3, Reverse(""), digits),
        _ => (2, Reverse(""), digits),
    }
}

/// Appends the condition that the moment in `column` compares so with another. For an ordinary year it begins with one on
/// the characters, which an index answers. `upper` is the operand of a further condition that holds at the same time and
/// bounds the column from above.
pub(super) fn push_compare(
    sql: &mut Statement,
    column: &str,
    operator: &str,
    moment: Timestamp,
    upper: Option<Timestamp>,
) {
    let text = moment.to_iso();
    sql.push("(");
    if is_ordinary(moment) {
        if operator.trim_start().starts_with('<') {
            // Years before 0 begin with a minus, which comes before the digits.
            sql.push(column).push(" >= '-' AND ").push(column).push(" <= ");
            // A moment of further digits comes before its own millisecond, and that after all of them.
            sql.bind(Value::Text(millisecond(&text))).push(" AND ");
        } else {
            let least = Value::from(text.trim_end_matches('Z').get(..23).unwrap_or(&text));
            // Years after 9999 begin with a plus, which comes before the minus. Between two ordinary years there are none.
            if upper.is_some_and(is_ordinary) {
                sql.push(column).push(" >= ").bind(least).push(" AND ");
            } else {
                sql.push("(").push(column).push(" >= ").bind(least);
                sql.push(" OR ").push(column).push(" < ',') AND ");
            }
        }
    }
    push_ordered(sql, column);
    sql.push(operator).bind(Value::Text(text)).push(")");
}

/// Appends the column as something that is ordered by the moments in it.
pub(super) fn push_ordered(sql: &mut Statement, column: &str) {
    sql.push(column).push(" COLLATE ").push(COLLATION);
}

/// A query for whether a column holds a moment that its characters do not order right.
pub(super) fn has_extraordinary(table: &str, column: &str) -> String {
    let exists = |condition: &str| format!("EXISTS (SELECT 1 FROM {table} WHERE {column} {condition})");
    format!("SELECT {} OR {}", exists("< '0'"), exists(">= ':'"))
}

fn is_ordinary(moment: Timestamp) -> bool {
    !moment.is_infinite() && matches!(moment.civil().0, 0..=9999)
}

/// The text of the moment's millisecond.
fn millisecond(text: &str) -> String {
    format!("{}Z", text.get(..23).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_all_years_have_the_order_of_time() {
        let ascending = [
            "-infinity",
            "-290000-01-01T00:00:00.000Z",
            "-000002-12-31T23:59:59.999Z",
            "-000001-01-01T00:00:00.000Z",
            "-000001-06-01T00:00:00.000Z",
            "0000-01-01T00:00:00.000Z",
            "2024-01-01T00:00:00.123Z",
            "2024-01-01T00:00:00.123456Z",
            "2024-01-01T00:00:00.124Z",
            "9999-12-31T23:59:59.999Z",
            "+010000-01-01T00:00:00.000Z",
            "+275760-09-13T00:00:00.000Z",
            "infinity",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(collate(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
    }

    #[test]
    fn text_that_is_no_moment_has_an_order_too() {
        assert_eq!(collate("", "2024"), Ordering::Less);
        assert_eq!(collate("-é", "-"), Ordering::Less);
    }
}
