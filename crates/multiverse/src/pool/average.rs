//! Moving averages of what a server does.

/// An exponentially weighted moving average.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Average {
    value: Option<f64>,
}

/// How much one sample weighs.
const WEIGHT: f64 = 0.1;

impl Average {
    pub(crate) fn record(&mut self, sample: f64) {
        self.value = Some(self.value.map_or(sample, |value| value + WEIGHT * (sample - value)));
    }

    /// The average, `None` before the first sample.
    pub(crate) fn get(self) -> Option<f64> {
        self.value
    }
}
