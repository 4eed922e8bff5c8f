//! A set of keys in a few numbers: how many there are, and the sums of their powers, from which two sets that differ in few keys
//! can be told apart.
//!
//! A key counts as a number below a prime. From the first `n` sums of powers of `n` unknown numbers Newton's identities make the
//! polynomial whose roots they are; those among known candidates are then found by trying each. Sums that were not needed for
//! that must agree afterwards.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What numbers are counted modulo: 2^61 - 1.
const PRIME: u64 = (1 << 61) - 1;
/// How many powers are summed up.
const POWERS: usize = 8;
/// How many keys can be found among candidates; the sums that are left prove that they are the ones.
const MOST_FOUND: usize = POWERS - 2;

/// A set of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeySums {
    count: i64,
    sums: [u64; POWERS],
}

impl KeySums {
    /// Adds a key, given in its canonical form.
    pub(super) fn add(&mut self, key: &str) {
        self.add_number(number_of(key));
    }

    /// Takes a key away.
    pub(super) fn remove(&mut self, key: &str) {
        let mut one = Self::default();
        one.add(key);
        *self = self.minus(&one);
    }

    /// How many keys there are.
    pub(super) fn count(&self) -> i64 {
        self.count
    }

    /// What it holds beyond another one.
    pub(super) fn minus(&self, other: &Self) -> Self {
        let mut sums = self.sums;
        for (sum, other) in sums.iter_mut().zip(other.sums) {
            *sum = plus(*sum, PRIME - other);
        }
        Self { count: self.count - other.count, sums }
    }

    /// Which of the candidates, all of which differ, make up the set; `None` if it is too large or holds anything else.
    pub(super) fn find<'a>(&self, candidates: impl Iterator<Item = &'a str>) -> Option<Vec<usize>> {
        let count = usize::try_from(self.count).ok().filter(|count| *count <= MOST_FOUND)?;
        let polynomial = self.polynomial(count);
        let (mut found, mut proof) = (Vec::with_capacity(count), Self::default());
        for (index, candidate) in candidates.enumerate() {
            let number = number_of(candidate);
            let value = polynomial.iter().fold(0, |value, factor| plus(times(value, number), *factor));
            if count > 0 && value == 0 {
                found.push(index);
                proof.add_number(number);
            }
        }
        (proof == *self).then_some(found)
    }

    fn add_number(&mut self, number: u64) {
        self.count += 1;
        let mut power = 1;
        for sum in &mut self.sums {
            power = times(power, number);
            *sum = plus(*sum, power);
        }
    }

    /// The factors of the polynomial with these roots, the highest power first.
    fn polynomial(&self, count: usize) -> Vec<u64> {
        // The elementary symmetric polynomials of the roots: k e(k) = e(k-1) p(1) - e(k-2) p(2) + ...
        let mut elementary = vec![1_u64];
        for (k, divisor) in (1..=count).zip(1_u64..) {
            let terms = elementary.iter().rev().zip(&self.sums).enumerate();
            let sum = terms.fold(0, |sum, (i, (e, p))| plus(sum, signed(times(*e, *p), i % 2 == 1)));
            debug_assert_eq!(elementary.len(), k);
            elementary.push(times(sum, inverse(divisor)));
        }
        elementary.into_iter().enumerate().map(|(k, e)| signed(e, k % 2 == 1)).collect()
    }
}

/// The number that stands for a key.
fn number_of(key: &str) -> u64 {
    let hash = Sha256::digest(key.as_bytes());
    let first = hash.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    // Nothing is added by the powers of zero.
    (first % PRIME).max(1)
}

fn plus(a: u64, b: u64) -> u64 {
    (a + b) % PRIME
}

fn times(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b) % u128::from(PRIME);
    // What is left of a division by a number of 61 bits has no more.
    u64::try_from(product).unwrap_or(0)
}

fn signed(number: u64, is_negative: bool) -> u64 {
    if is_negative { plus(PRIME - number, 0) } else { number }
}

/// The number that a number is to be multiplied with to come to 1, by Fermat's little theorem.
fn inverse(number: u64) -> u64 {
    let (mut result, mut base, mut exponent) = (1, number, PRIME - 2);
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = times(result, base);
        }
        base = times(base, base);
        exponent /= 2;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(range: std::ops::Range<u32>) -> Vec<String> {
        range.map(|number| format!("key {number}")).collect()
    }

    fn sums(keys: &[String]) -> KeySums {
        let mut sums = KeySums::default();
        keys.iter().for_each(|key| sums.add(key));
        sums
    }

    fn find(set: &KeySums, candidates: &[String]) -> Option<Vec<usize>> {
        set.find(candidates.iter().map(String::as_str))
    }

    #[test]
    fn a_number_times_its_inverse_is_one() {
        for number in [1, 2, 3, 8, PRIME - 1] {
            assert_eq!(times(number, inverse(number)), 1);
        }
    }

    #[test]
    fn keys_that_are_added_and_taken_away_leave_nothing() {
        let mut set = sums(&keys(0..100));
        keys(0..100).iter().for_each(|key| set.remove(key));
        assert_eq!(set, KeySums::default());
    }

    #[test]
    fn the_keys_in_which_two_sets_differ_are_found_among_candidates() {
        let (all, candidates) = (keys(0..1000), keys(500..600));
        for differing in 0..=MOST_FOUND {
            let gone: Vec<String> = candidates.iter().rev().step_by(7).take(differing).cloned().collect();
            let left: Vec<String> = all.iter().filter(|key| !gone.contains(key)).cloned().collect();
            let found = find(&sums(&all).minus(&sums(&left)), &candidates).unwrap();
            assert_eq!(found.len(), differing);
            assert!(found.iter().all(|index| gone.contains(&candidates[*index])));
        }
    }

    #[test]
    fn a_set_with_a_key_that_is_no_candidate_or_with_too_many_is_not_found() {
        let candidates = keys(0..100);
        assert_eq!(find(&sums(&keys(99..101)), &candidates), None);
        assert_eq!(find(&sums(&keys(0..7)), &candidates), None);
        let missing = sums(&keys(0..3)).minus(&sums(&keys(3..5)));
        assert_eq!(missing.count(), 1);
        assert_eq!(find(&missing, &candidates), None);
        let balanced = sums(&keys(0..2)).minus(&sums(&keys(2..4)));
        assert_eq!(find(&balanced, &candidates), None);
    }
}
