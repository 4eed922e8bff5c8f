//! Values that become moments, and moments that lose digits.

use super::{Coerced, Limits, Loss, misfit, refuse};
use crate::error::Result;
use crate::value::{Timestamp, Value};

pub(super) fn timestamp(value: Value, limits: &Limits) -> Result<Coerced> {
    let moment = match &value {
        Value::Timestamp(moment) => *moment,
        Value::Text(text) => Timestamp::parse_iso(text).ok_or_else(|| misfit(&value, "a date"))?,
        _ => return Err(misfit(&value, "a date")),
    };
    if moment.is_infinite() && !limits.infinite_timestamp {
        return Err(refuse(format!("the date {moment} has no equivalent")));
    }
    if !limits.microseconds && !moment.is_infinite() && moment.sub_millis() != 0 {
        let value = Value::Timestamp(Timestamp::from_millis(moment.millis()));
        return Ok(Coerced { value, loss: Some(Loss::SubMillisecond) });
    }
    Ok(Value::Timestamp(moment).into())
}

/// Drops the digits of a second that a column does not keep, which its database would drop or round in silence.
pub(in crate::table) fn cut_second(coerced: Coerced, digits: u32) -> Coerced {
    let Coerced { value, loss } = coerced;
    match value {
        Value::Timestamp(moment) if !moment.is_infinite() => {
            let unit = 10_i64.pow(6_u32.saturating_sub(digits));
            let cut = Timestamp(moment.0.div_euclid(unit) * unit);
            let loss = if cut == moment { loss } else { Some(Loss::SubSecond) };
            Coerced { value: Value::Timestamp(cut), loss }
        }
        value => Coerced { value, loss },
    }
}
