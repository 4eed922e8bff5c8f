//! Numbers of PostgreSQL's type numeric: read, compared, added, divided by a count, written.

use std::cmp::Ordering;

/// The base of digits, and how many decimal digits one holds.
const BASE: i32 = 10_000;
const WIDTH: usize = 4;
/// The least number of significant digits of a quotient, and the most digits behind its point.
const QUOTIENT_DIGITS: i32 = 16;
const MOST_SCALE: i32 = 1000;
/// More digits than this are not read: the server's own limit.
const MOST_DIGITS: usize = 150_000;

/// A finite numeric, or one of those that are not.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Decimal {
    /// A number with so many digits behind its point.
    Finite(Finite),
    /// Beyond all numbers, on this side.
    Infinite { is_negative: bool },
    /// No number; PostgreSQL takes it for the largest.
    NotANumber,
}

/// Digits to the base of 10,000, the first of which counts 10,000 to the power of `weight`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finite {
    is_negative: bool,
    weight: i32,
    digits: Vec<i16>,
    scale: i32,
}

impl Decimal {
    /// Reads a number as the server writes and reads it; `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(|each: char| each.is_ascii_whitespace());
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        match unsigned.to_ascii_lowercase().as_str() {
            "nan" if unsigned.len() == text.len() => return Some(Self::NotANumber),
            "infinity" | "inf" => return Some(Self::Infinite { is_negative }),
            _ => {}
        }
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_written =
            is_number(whole) && is_number(fraction) && !(whole.is_empty() && fraction.is_empty());
        if !is_written || mantissa.len() > MOST_DIGITS || exponent.unsigned_abs() as usize > MOST_DIGITS {
            return None;
        }
        let decimals: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        let scale = i32::try_from(fraction.len()).ok()? - exponent;
        Some(Self::Finite(Finite::from_decimals(is_negative, &decimals, scale)))
    }

    /// A whole number.
    pub(crate) fn from_integer(value: i128) -> Self {
        let decimals: Vec<u8> = value.unsigned_abs().to_string().bytes().map(|byte| byte - b'0').collect();
        Self::Finite(Finite::from_decimals(value < 0, &decimals, 0))
    }

    /// The hash by which hash partitioning places it.
    pub(crate) fn hash(&self) -> u64 {
        match self {
            Self::Finite(finite) => super::hash::of_numeric(&finite.digits, finite.weight),
            _ => super::hash::of_special_numeric(),
        }
    }

    /// The sum, with as many digits behind the point as the one with more of them.
    pub(crate) fn add(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Finite(one), Self::Finite(other)) => Self::Finite(one.add(other)),
            (Self::NotANumber, _) | (_, Self::NotANumber) => Self::NotANumber,
            (Self::Infinite { is_negative: one }, Self::Infinite { is_negative: other }) if one != other => {
                Self::NotANumber
            }
            (Self::Infinite { is_negative }, _) | (_, Self::Infinite { is_negative }) => {
                Self::Infinite { is_negative: *is_negative }
            }
        }
    }

    /// The mean of so many values whose sum this is, with the digits that the server gives it.
    pub(crate) fn divided_by(&self, count: i64) -> Self {
        match self {
            Self::Finite(sum) => Self::Finite(sum.divided_by(count)),
            other => other.clone(),
        }
    }

    /// The order of the server: NaN is equal to itself and above all others.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let place = |value: &Self| match value {
            Self::Infinite { is_negative: true } => 0,
            Self::Finite(_) => 1,
            Self::Infinite { .. } => 2,
            Self::NotANumber => 3,
        };
        match (self, other) {
            (Self::Finite(one), Self::Finite(other)) => one.order(other),
            _ => place(self).cmp(&place(other)),
        }
    }

    /// The same value, written in one way only.
    pub(crate) fn normal(&self) -> String {
        match self {
            Self::Finite(finite) => format!("{}{}:{:?}", finite.is_negative, finite.weight, finite.digits),
            other => other.to_text(),
        }
    }

    /// The number as the server writes it.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Finite(finite) => finite.to_text(),
            Self::Infinite { is_negative: false } => "Infinity".to_owned(),
            Self::Infinite { is_negative: true } => "-Infinity".to_owned(),
            Self::NotANumber => "NaN".to_owned(),
        }
    }
}

impl Finite {
    /// From decimal digits, of which the last `scale` stand behind the point.
    fn from_decimals(is_negative: bool, decimals: &[u8], scale: i32) -> Self {
        // Filled up at both ends, so that the point lies between digits of the large base.
        let behind = scale.rem_euclid(WIDTH as i32);
        let fill = if behind == 0 { 0 } else { WIDTH as i32 - behind };
        let mut padded: Vec<u8> = decimals.to_vec();
        padded.extend(std::iter::repeat_n(0, usize::try_from(fill).unwrap_or(0)));
        let ahead = (WIDTH - padded.len() % WIDTH) % WIDTH;
        let mut all = vec![0; ahead];
        all.append(&mut padded);
        let (groups, _) = all.as_chunks::<WIDTH>();
        let digit =
            |group: &[u8; WIDTH]| group.iter().fold(0, |value, decimal| value * 10 + i16::from(*decimal));
        let digits: Vec<i16> = groups.iter().map(digit).collect();
        let fraction_groups = (scale + fill) / WIDTH as i32;
        let weight = i32::try_from(digits.len()).unwrap_or(i32::MAX) - 1 - fraction_groups;
        Self { is_negative, weight, digits, scale: scale.max(0) }.stripped()
    }

    /// Without zeros at either end; zero has no digits, and is not negative.
    fn stripped(mut self) -> Self {
        let leading = self.digits.iter().take_while(|digit| **digit == 0).count();
        self.digits.drain(..leading);
        self.weight -= i32::try_from(leading).unwrap_or(0);
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.weight = 0;
            self.is_negative = false;
        }
        self
    }

    /// The digit that counts 10,000 to this power.
    fn digit(&self, power: i32) -> i32 {
        let at = usize::try_from(self.weight - power).ok();
        at.and_then(|at| self.digits.get(at)).copied().map_or(0, i32::from)
    }

    fn lowest(&self) -> i32 {
        self.weight + 1 - i32::try_from(self.digits.len()).unwrap_or(0)
    }

    fn add(&self, other: &Self) -> Self {
        let scale = self.scale.max(other.scale);
        if self.is_negative != other.is_negative {
            // The larger decides on the sign.
            return match self.order_of_size(other) {
                Ordering::Less => other.combined(self, -1, scale),
                _ => self.combined(other, -1, scale),
            };
        }
        self.combined(other, 1, scale)
    }

    /// This and the other one, added or, being not larger, taken away.
    fn combined(&self, other: &Self, sign: i32, scale: i32) -> Self {
        let (lowest, highest) = (self.lowest().min(other.lowest()), self.weight.max(other.weight) + 1);
        let mut digits = Vec::new();
        let mut carry = 0;
        for power in lowest..=highest {
            let sum = self.digit(power) + sign * other.digit(power) + carry;
            carry = sum.div_euclid(BASE);
            digits.push(sum.rem_euclid(BASE) as i16);
        }
        digits.reverse();
        Self { is_negative: self.is_negative, weight: highest, digits, scale }.stripped()
    }

    fn order_of_size(&self, other: &Self) -> Ordering {
        let (lowest, highest) = (self.lowest().min(other.lowest()), self.weight.max(other.weight));
        let mut powers = (lowest..=highest).rev();
        powers
            .find_map(|power| Some(self.digit(power).cmp(&other.digit(power))).filter(|order| order.is_ne()))
            .unwrap_or(Ordering::Equal)
    }

    fn order(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.order_of_size(other),
            (true, true) => other.order_of_size(self),
        }
    }

    /// The quotient, rounded at the scale that the server chooses for it.
    fn divided_by(&self, count: i64) -> Self {
        let divisor = Self::from_decimals(
            count < 0,
            &count.unsigned_abs().to_string().bytes().map(|byte| byte - b'0').collect::<Vec<_>>(),
            0,
        );
        let scale = self.quotient_scale(&divisor);
        let lowest = -(scale / WIDTH as i32) - 2;
        let divisor = i128::from(count.unsigned_abs().max(1));
        let mut remainder: i128 = 0;
        let mut decimals = Vec::new();
        for power in (lowest..=self.weight.max(0)).rev() {
            remainder = remainder * i128::from(BASE) + i128::from(self.digit(power));
            let digit = remainder / divisor;
            remainder %= divisor;
            for unit in [1000, 100, 10, 1] {
                decimals.push((digit / unit % 10) as u8);
            }
        }
        let have = -lowest * WIDTH as i32;
        rounded(self.is_negative != (count < 0), decimals, have, scale)
    }

    /// How many digits behind the point a quotient has.
    fn quotient_scale(&self, divisor: &Self) -> i32 {
        let first = |number: &Self| number.digits.first().copied().unwrap_or(0);
        let mut weight = self.weight - divisor.weight;
        if first(self) <= first(divisor) {
            weight -= 1;
        }
        let scale = QUOTIENT_DIGITS - weight * WIDTH as i32;
        scale.max(self.scale).max(divisor.scale).clamp(0, MOST_SCALE)
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        if self.is_negative {
            text.push('-');
        }
        let mut whole = String::new();
        for power in (0..=self.weight.max(0)).rev() {
            whole.push_str(&format!("{:04}", self.digit(power)));
        }
        let trimmed = whole.trim_start_matches('0');
        text.push_str(if trimmed.is_empty() { "0" } else { trimmed });
        if self.scale > 0 {
            let groups = (self.scale + WIDTH as i32 - 1) / WIDTH as i32;
            let fraction: String = (1..=groups).map(|group| format!("{:04}", self.digit(-group))).collect();
            text.push('.');
            text.push_str(fraction.get(..self.scale as usize).unwrap_or(&fraction));
        }
        text
    }
}

/// Decimal digits, of which `have` stand behind the point, rounded to fewer: half away from zero.
fn rounded(is_negative: bool, mut decimals: Vec<u8>, have: i32, scale: i32) -> Finite {
    let drop = usize::try_from(have - scale).unwrap_or(0).min(decimals.len());
    let keep = decimals.len() - drop;
    let rounds_up = decimals.get(keep).is_some_and(|digit| *digit >= 5);
    decimals.truncate(keep);
    if rounds_up {
        let nines = decimals.iter().rev().take_while(|digit| **digit == 9).count();
        let at = decimals.len() - nines;
        decimals.iter_mut().skip(at).for_each(|digit| *digit = 0);
        match at.checked_sub(1).and_then(|at| decimals.get_mut(at)) {
            Some(digit) => *digit += 1,
            None => decimals.insert(0, 1),
        }
    }
    Finite::from_decimals(is_negative, &decimals, scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_are_written_as_they_were_read() {
        for text in [
            "0",
            "0.00",
            "-1.50",
            "123456789.000100",
            "10000",
            "-0.0001",
            "NaN",
            "-Infinity",
            "99999999999999999999",
        ] {
            assert_eq!(decimal(text).to_text(), text);
        }
        assert_eq!(decimal("1.5e3").to_text(), "1500");
        assert_eq!(decimal("15e-3").to_text(), "0.015");
        for text in ["", "-", ".", "1.2.3", "0x10", "1_000", "--1"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sums_keep_the_longer_fraction() {
        for (one, other, sum) in [
            ("1", "2", "3"),
            ("9999.9", "0.1", "10000.0"),
            ("-5", "3.25", "-1.75"),
            ("5.00", "-5", "0.00"),
            ("-10000", "1", "-9999"),
            ("0.00001", "-100000000", "-99999999.99999"),
        ] {
            assert_eq!(decimal(one).add(&decimal(other)).to_text(), sum);
            assert_eq!(decimal(other).add(&decimal(one)).to_text(), sum);
        }
    }

    #[test]
    fn means_have_the_digits_that_the_server_gives() {
        for (sum, count, mean) in [
            ("10", 4, "2.5000000000000000"),
            ("1", 3, "0.33333333333333333333"),
            ("200000", 3, "66666.666666666667"),
            ("-7", 2, "-3.5000000000000000"),
            ("0", 5, "0.00000000000000000000"),
            ("1.10", 2, "0.55000000000000000000"),
        ] {
            assert_eq!(decimal(sum).divided_by(count).to_text(), mean, "{sum} / {count}");
        }
    }

    #[test]
    fn the_order_is_that_of_the_server() {
        let sorted = ["-Infinity", "-10000.5", "-1", "0", "0.5", "1.00", "9999", "10000", "Infinity", "NaN"];
        for (at, one) in sorted.iter().enumerate() {
            for (other_at, other) in sorted.iter().enumerate() {
                assert_eq!(decimal(one).order(&decimal(other)), at.cmp(&other_at), "{one} and {other}");
            }
        }
        assert_eq!(decimal("1.0").order(&decimal("1.000")), Ordering::Equal);
        assert_eq!(decimal("1.0").normal(), decimal("1.000").normal());
    }
}
