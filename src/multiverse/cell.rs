//! Binary cells of numbers, dates and times, in the forms that JavaScript takes.

/// Milliseconds from 1970 to 2000, from which the server counts.
const MILLIS_TO_2000: i64 = 946_684_800_000;
/// Days from 1970 to 2000.
const DAYS_TO_2000: i32 = 10_957;
/// A date that is infinite, as its packed form.
pub(super) const INFINITE_DAYS: i32 = i32::MAX;
pub(super) const NEGATIVE_INFINITE_DAYS: i32 = i32::MIN;

/// A cell whose bytes are not what its type says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// An integer of two or four bytes.
pub(super) fn integer(cell: &[u8]) -> Result<i32, Malformed> {
    match *cell {
        [a, b] => Ok(i16::from_be_bytes([a, b]).into()),
        [a, b, c, d] => Ok(i32::from_be_bytes([a, b, c, d])),
        _ => Err(Malformed),
    }
}

pub(super) fn boolean(cell: &[u8]) -> Result<i32, Malformed> {
    match *cell {
        [byte] => Ok(i32::from(byte != 0)),
        _ => Err(Malformed),
    }
}

/// A float of eight bytes.
pub(super) fn double(cell: &[u8]) -> Result<f64, Malformed> {
    cell.try_into().map(f64::from_be_bytes).map_err(|_| Malformed)
}

/// Milliseconds since 1970; the infinities as such.
pub(super) fn moment(cell: &[u8]) -> Result<f64, Malformed> {
    let micros = i64::from_be_bytes(cell.try_into().map_err(|_| Malformed)?);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of the server's range fit in a double")]
    Ok(match micros {
        i64::MAX => f64::INFINITY,
        i64::MIN => f64::NEG_INFINITY,
        _ => (micros.div_euclid(1_000) + MILLIS_TO_2000) as f64,
    })
}

/// Days since 1970; the infinities as [`INFINITE_DAYS`] and [`NEGATIVE_INFINITE_DAYS`].
pub(super) fn day(cell: &[u8]) -> Result<i32, Malformed> {
    let days = i32::from_be_bytes(cell.try_into().map_err(|_| Malformed)?);
    match days {
        i32::MAX => Ok(INFINITE_DAYS),
        i32::MIN => Ok(NEGATIVE_INFINITE_DAYS),
        _ => days.checked_add(DAYS_TO_2000).ok_or(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_1970_round_down_as_their_fractions_do() {
        for (micros, millis) in [
            (0_i64, 946_684_800_000.0),
            (-1, 946_684_799_999.0),
            (-946_684_800_000_001, -1.0),
            (1_999, 946_684_800_001.0),
            (i64::MAX, f64::INFINITY),
            (i64::MIN, f64::NEG_INFINITY),
        ] {
            assert_eq!(moment(&micros.to_be_bytes()), Ok(millis));
        }
    }

    #[test]
    fn days_count_from_1970() {
        assert_eq!(day(&0_i32.to_be_bytes()), Ok(10_957));
        assert_eq!(day(&(-10_957_i32).to_be_bytes()), Ok(0));
        assert_eq!(day(&i32::MAX.to_be_bytes()), Ok(INFINITE_DAYS));
        assert_eq!(day(&i32::MIN.to_be_bytes()), Ok(NEGATIVE_INFINITE_DAYS));
    }

    #[test]
    fn cells_of_another_length_are_refused() {
        assert_eq!(integer(b"abc"), Err(Malformed));
        assert_eq!(boolean(b""), Err(Malformed));
        assert_eq!(double(b"abc"), Err(Malformed));
        assert_eq!(moment(b"abc"), Err(Malformed));
        assert_eq!(day(b"abc"), Err(Malformed));
    }
}
