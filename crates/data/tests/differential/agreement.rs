//! Whether what a dialect gave is what the model expects.

use data::schema::{CREATED_AT, DELETED_AT, UPDATED_AT};
use data::{Error, Record, Value};

use crate::model::ordered;
use crate::operations::{Expected, Outcome};

/// Sums of doubles depend on the order of their parts.
const TOLERANCE: f64 = 1e-12;

/// What is wrong, if anything is; `scale` is the largest sum that there could be.
pub(crate) fn disagreement(
    expected: &Expected,
    given: &Result<Outcome, Error>,
    scale: f64,
) -> Option<String> {
    let agree = match (expected, given) {
        (Err(kind), Err(error)) => *kind == error.kind(),
        (Ok(expected), Ok(given)) => outcomes_agree(expected, given, scale),
        _ => false,
    };
    (!agree).then(|| format!("expected {expected:?}\ngiven    {given:?}"))
}

fn outcomes_agree(expected: &Outcome, given: &Outcome, scale: f64) -> bool {
    match (expected, given) {
        (Outcome::Rows(expected), Outcome::Rows(given)) => rows_agree(expected, given, Value::same_as),
        (Outcome::Row(expected), Outcome::Row(given)) => {
            rows_agree(expected.as_slice(), given.as_slice(), Value::same_as)
        }
        (Outcome::Upserted(expected, inserted), Outcome::Upserted(given, created)) => {
            let (expected, given) = (std::slice::from_ref(expected), std::slice::from_ref(given));
            inserted == created && rows_agree(expected, given, Value::same_as)
        }
        (Outcome::Count(expected), Outcome::Count(given)) => expected == given,
        (Outcome::Flag(expected), Outcome::Flag(given)) => expected == given,
        (Outcome::Values(expected), Outcome::Values(given)) => values_agree(expected, given),
        (Outcome::Computed(expected), Outcome::Computed(given)) => {
            rows_agree(expected, given, |expected, given| nearly_same(expected, given, scale))
        }
        _ => false,
    }
}

fn rows_agree(expected: &[Record], given: &[Record], same: impl Fn(&Value, &Value) -> bool) -> bool {
    expected.len() == given.len()
        && expected.iter().zip(given).all(|(expected, given)| {
            expected.len() == given.len()
                && expected.iter().all(|(name, expected)| {
                    given.get(name).is_some_and(|given| match name.as_str() {
                        // The dialect chooses the moment.
                        CREATED_AT | UPDATED_AT | DELETED_AT => {
                            expected.is_null() == given.is_null()
                                && (given.is_null() || matches!(given, Value::Timestamp(_)))
                        }
                        _ => same(expected, given),
                    })
                })
        })
}

/// The same values in ascending order; among lists and objects the order is not fixed here.
fn values_agree(expected: &[Value], given: &[Value]) -> bool {
    expected.len() == given.len()
        && given.is_sorted_by(|a, b| ordered(a, b).is_le())
        && expected.iter().all(|expected| given.iter().any(|given| expected.same_as(given)))
}

fn nearly_same(expected: &Value, given: &Value, scale: f64) -> bool {
    match (expected.as_f64(), given.as_f64()) {
        (Some(expected), Some(given)) => (expected - given).abs() <= scale * TOLERANCE,
        _ => expected.same_as(given),
    }
}
