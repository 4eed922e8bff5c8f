//! The tree file: written by the manager after every change, and taken over from.

use std::path::Path;

use super::{Manager, ManagerState};
use crate::error::Result;
use crate::tree::{LoadedTree, Secrets, Tree};

impl Manager {
    /// Writes replicas, rules and routing to a file, with passwords masked.
    ///
    /// # Errors
    /// [`Error::TreeFile`].
    pub fn save_to_file(&self, path: &Path) -> Result<()> {
        self.state().tree(Secrets::Masked).save(path)
    }

    /// As [`save_to_file`](Self::save_to_file), with a URI that holds a password written as a reference to a variable.
    ///
    /// # Errors
    /// [`Error::TreeFile`].
    pub fn save_to_file_with_variables(&self, path: &Path) -> Result<()> {
        self.state().tree(Secrets::Variables).save(path)
    }

    /// Takes over routing and rules from a file. A rule that exists is kept as it is.
    ///
    /// # Errors
    /// [`Error::TreeFile`], [`Error::RuleCycle`]; nothing is taken over then.
    pub fn load_from_file(&self, path: &Path) -> Result<()> {
        let loaded = LoadedTree::read(path)?;
        {
            let mut state = self.state();
            state.take_rules(loaded.rules)?;
            for (project, routing) in loaded.routing {
                state.topology.set_routing(&project, routing);
            }
            for (project, replicas) in loaded.replicas {
                state.kept.entry(project).or_default().extend(replicas);
            }
        }
        self.persist()
    }

    /// Writes the file after every change; now too, unless there is one, which may be about to be loaded.
    ///
    /// # Errors
    /// [`Error::TreeFile`].
    pub fn enable_auto_persist(&self, path: &Path) -> Result<()> {
        if !path.exists() {
            self.save_to_file(path)?;
        }
        self.state().persist_to = Some(path.to_owned());
        Ok(())
    }

    pub(crate) fn persist(&self) -> Result<()> {
        self.state().persist()
    }
}

impl ManagerState {
    /// Writes the tree file, if it is to be written after every change.
    pub(crate) fn persist(&self) -> Result<()> {
        let Some(path) = &self.persist_to else { return Ok(()) };
        self.tree(Secrets::Masked).save(path)
    }

    fn tree(&self, secrets: Secrets) -> Tree<'_> {
        Tree::of(&self.topology, &self.kept, &self.rules, secrets)
    }
}
