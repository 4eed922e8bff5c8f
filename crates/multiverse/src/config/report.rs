//! What is wrong with a configuration.

/// A setting that is missing or malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ConfigError {
    /// The setting, from the cluster's id on, as in `eu.primary.host`.
    pub field: String,
    /// What is wrong, and the fix.
    pub problem: String,
}

/// Everything that was found while a configuration was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What keeps the configuration from being used.
    pub errors: Vec<ConfigError>,
    /// What is probably not meant.
    pub warnings: Vec<String>,
}

impl Report {
    pub(crate) fn error(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.errors.push(ConfigError { field: field.into(), problem: problem.into() });
    }

    pub(crate) fn warning(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Whether the configuration can be used.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }
}
