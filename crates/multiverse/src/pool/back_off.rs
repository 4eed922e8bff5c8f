//! The pause after failures to connect: longer each time, never quite the same.

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

const SHORTEST: Duration = Duration::from_millis(50);

/// How many attempts failed in a row, and when the next may be made.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
    until: Option<Instant>,
}

impl BackOff {
    /// Notes a failure. The pause doubles with each, up to `longest`, and is shortened by up to a half at random, so that
    /// many clients do not come back together. Returns when the next attempt may be made.
    pub(crate) fn fail(&mut self, now: Instant, longest: Duration) -> Instant {
        let pause = SHORTEST.saturating_mul(1 << self.failures.min(16)).min(longest);
        self.failures = self.failures.saturating_add(1);
        let until = now + pause.mul_f64(0.5 + 0.5 * random());
        self.until = Some(until);
        until
    }

    pub(crate) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// Until when attempts are to wait, if they are.
    pub(crate) fn waits_until(&self, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until)
    }
}

/// A number from 0 to 1. The keys of hash maps are random, and nothing here needs better.
pub(crate) fn random() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_limit_and_start_anew_after_a_success() {
        let now = Instant::now();
        let longest = Duration::from_secs(1);
        let mut back_off = BackOff::default();
        assert!(back_off.fail(now, longest) <= now + SHORTEST);
        for _ in 0..40 {
            let until = back_off.fail(now, longest);
            assert!(until > now && until <= now + longest);
        }
        assert!(back_off.fail(now, longest) >= now + longest / 2 && back_off.waits_until(now).is_some());
        back_off.succeed();
        assert!(back_off.waits_until(now).is_none());
        assert!(back_off.fail(now, longest) <= now + SHORTEST);
    }
}
