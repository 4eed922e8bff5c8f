//! Rules as they come to the manager: added or loaded, and given the functions that their rows pass through.

use std::sync::Arc;

use super::{Manager, ManagerState};
use crate::error::{Error, Result};
use crate::row_shape::{RowTransform, Transform};
use crate::rule::{Mode, Rule};
use crate::rule_cycles::cycle_with;
use crate::rule_overlap::overlap_with;
use crate::snapshot::End;

impl Manager {
    /// Adds a rule. One that was loaded from a file and waits for its transform may be added again, as it stands there.
    ///
    /// # Errors
    /// [`Error::DuplicateRule`]; [`Error::RuleCycle`] if changes would come back to where they were made; [`Error::Config`] if it
    /// would write the rows of another rule.
    pub fn add_rule(&self, mut rule: Rule) -> Result<()> {
        {
            let mut state = self.state();
            if let Some(known) = state.rules.get(&rule.name) {
                let waits = known.shape.transforms && !state.transforms.contains_key(&rule.name);
                if waits && *known == rule {
                    return Ok(());
                }
                return Err(Error::DuplicateRule(rule.name));
            }
            check_beside(&rule, state.rules.values())?;
            if state.transforms.contains_key(&rule.name) {
                check_transform(&rule)?;
                rule.shape.transforms = true;
            }
            state.rules.insert(rule.name.clone(), rule);
        }
        self.persist()
    }

    /// Gives a rule the function that its rows pass through, now or when it comes to be. A file that keeps the rule says that
    /// it has one; the function is to be given again by each process.
    ///
    /// # Errors
    /// [`Error::TreeFile`] if the change cannot be persisted; [`Error::Config`] for a rule whose rows pass through none.
    pub fn set_transform(&self, rule: &str, transform: Arc<dyn RowTransform>) -> Result<()> {
        {
            let mut state = self.state();
            if let Some(known) = state.rules.get(rule) {
                check_transform(known)?;
            }
            state.transforms.insert(rule.to_owned(), Transform(transform));
            if let Some(rule) = state.rules.get_mut(rule) {
                rule.shape.transforms = true;
            }
        }
        self.persist()
    }

    /// A rule with the function that its rows pass through.
    pub(super) fn shaped_rule(&self, name: &str) -> Result<Rule> {
        let mut rule = self.rule(name)?;
        rule.shape.transform = self.state().transforms.get(name).cloned();
        rule.shape.transforms |= rule.shape.transform.is_some();
        if rule.shape.transforms && rule.shape.transform.is_none() {
            let problem = "is a function of the application, which has not given it since the rule was loaded; add the rule \
                           again with it, or name it in the option ruleTransforms";
            return Err(Error::config(format!("rule \"{name}\".transform"), problem));
        }
        Ok(rule)
    }
}

impl ManagerState {
    /// The connected master of a project, as an end of rules.
    pub(super) fn end_of(&self, project: &str) -> Option<End> {
        let master = self.topology.connected_master(project)?;
        let dialect = master.connection.clone()?;
        Some(End::database(dialect, master.schemas.clone()).with_strategy(master.config.schema_strategy))
    }

    /// The rules that read the log of a project's master, each with its target if that is connected.
    pub(crate) fn readers_of(&self, project: &str) -> Vec<(String, Option<End>)> {
        let reading = self.rules.values().filter(|rule| rule.source == project && rule.reads_log());
        reading.map(|rule| (rule.name.clone(), self.end_of(&rule.target))).collect()
    }

    /// Takes rules of a file over; one that exists is kept as it is.
    ///
    /// # Errors
    /// [`Error::RuleCycle`], or [`Error::Config`] for two that write the same rows; none is taken over then.
    pub(super) fn take_rules(&mut self, loaded: Vec<Rule>) -> Result<()> {
        let mut rules = self.rules.clone();
        for mut rule in loaded {
            if rules.contains_key(&rule.name) {
                continue;
            }
            check_beside(&rule, rules.values())?;
            if self.transforms.contains_key(&rule.name) {
                check_transform(&rule)?;
                rule.shape.transforms = true;
            }
            rules.insert(rule.name.clone(), rule);
        }
        self.rules = rules;
        Ok(())
    }
}

/// Fails if a rule cannot be beside others: it would carry changes round in a circle, or write the rows of another one.
fn check_beside<'r>(rule: &'r Rule, others: impl Iterator<Item = &'r Rule> + Clone) -> Result<()> {
    if let Some(cycle) = cycle_with(rule, others.clone()) {
        return Err(Error::RuleCycle { rule: rule.name.clone(), cycle });
    }
    match overlap_with(rule, others) {
        Some(problem) => Err(Error::config(format!("rule \"{}\".target", rule.name), problem)),
        None => Ok(()),
    }
}

/// The rows of a rule that goes both ways pass through nothing.
fn check_transform(rule: &Rule) -> Result<()> {
    if rule.mode != Mode::Bidirectional {
        return Ok(());
    }
    let problem = "a rule of mode bidirectional has none; both sides hold the same rows";
    Err(Error::config(format!("rule \"{}\".transform", rule.name), problem))
}
