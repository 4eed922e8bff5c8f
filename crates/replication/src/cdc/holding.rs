//! What one process at a time may do: run a rule at intervals, or whatever else is known by a name. A lease like that of a stream.

use data::table::OWN_TABLE_PREFIX;
use data::{ErrorKind, Result};

use super::control_tables::ControlTables;
use super::identity::digest;
use super::lease::Lease;
use crate::rule::Rule;
use crate::snapshot::End;

/// The right of this process to run a rule, kept at the target of the rule.
pub(crate) struct Held {
    /// None where the target keeps none, so that every process may run the rule.
    lease: Option<HeldName>,
}

impl Held {
    /// Takes the right, unless another process has it.
    pub(crate) async fn take(rule: &Rule, target: &End) -> Result<Option<Self>> {
        let name = format!("run_{}", digest(&[&rule.name, &rule.source, &rule.target]));
        match HeldName::take(&name, target).await {
            Ok(lease) => Ok(lease.map(|lease| Self { lease: Some(lease) })),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(Some(Self { lease: None })),
            Err(error) => Err(error),
        }
    }

    /// Whether another process may have it by now.
    pub(crate) fn is_lost(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.0.is_lost())
    }

    /// Gives it back.
    pub(crate) async fn release(self) -> Result<()> {
        match self.lease {
            Some(lease) => lease.release().await,
            None => Ok(()),
        }
    }
}

/// A name that one process at a time holds in a database.
pub(crate) struct HeldName(Lease);

impl HeldName {
    /// Takes the name, unless another process holds it.
    pub(crate) async fn take(name: &str, database: &End) -> Result<Option<Self>> {
        let control = ControlTables::create(database.tables()?).await?;
        let owner = uuid::Uuid::new_v4().to_string();
        let name = format!("{OWN_TABLE_PREFIX}{name}");
        Ok(Lease::take(database, &control.lease, &name, &owner).await?.map(Self))
    }

    /// Gives it back.
    pub(crate) async fn release(self) -> Result<()> {
        self.0.release().await
    }
}
