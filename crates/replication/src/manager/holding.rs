//! Rules that are run at intervals by one process among many: the right to do so.

use super::Manager;
use crate::cdc::Held;
use crate::error::{Error, Result};

impl Manager {
    /// Takes the right to run a rule at intervals, unless another process has it; whether this one has it now. It is kept at
    /// the target and renewed until [`release_rule`](Self::release_rule), the end of the process, or for some seconds after
    /// the target was lost. A target that cannot keep it, such as one of an application's own dialect, gives it to everybody.
    ///
    /// # Errors
    /// [`Error::UnknownRule`], [`Error::NoMaster`], [`Error::Database`].
    pub async fn hold_rule(&self, name: &str) -> Result<bool> {
        let rule = self.rule(name)?;
        if self.state().held.get(name).is_some_and(|held| !held.is_lost()) {
            return Ok(true);
        }
        let target = self.end(&rule, "target")?;
        let held = Held::take(&rule, &target).await;
        let held = held.map_err(Error::database_in(format!("the right to run rule \"{name}\"")))?;
        let is_held = held.is_some();
        let before = match held {
            Some(held) => self.state().held.insert(name.to_owned(), held),
            None => self.state().held.shift_remove(name),
        };
        drop(before);
        Ok(is_held)
    }

    /// Gives the right to run a rule back, so that another process need not wait for it. One that is not held is no error.
    pub async fn release_rule(&self, name: &str) {
        let held = self.state().held.shift_remove(name);
        if let Some(held) = held
            && let Err(error) = held.release().await
        {
            tracing::debug!(code = error.code(), "the right to run a rule was not given back: {error}");
        }
    }

    /// Gives back the rights to all rules.
    pub(super) async fn release_rules(&self) {
        let names: Vec<String> = self.state().held.keys().cloned().collect();
        for name in names {
            self.release_rule(&name).await;
        }
    }
}
