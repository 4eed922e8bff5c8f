//! The beginning of a run: its holder of the lease enters itself, and what is to be copied is planned.

use std::collections::HashSet;

use data::log::{LogSnapshot, OpenedLog};

use super::checkpoint::{Checkpoint, Phase};
use super::chunk::{Chunk, load_chunks, remove_chunks, store_chunks};
use super::run::{Session, known_table};
use crate::error::{Error, Result};

impl Session {
    /// Enters this holder of the lease into the checkpoint, and the chunks that are to be copied.
    pub(super) async fn begin(
        &mut self,
        opened: OpenedLog,
        usable: Option<Checkpoint>,
        stored: Option<Checkpoint>,
        planned: Vec<Chunk>,
    ) -> Result<Option<LogSnapshot>> {
        let chunks = load_chunks(&self.target, &self.control.chunk, &self.reader.name).await;
        let old_chunks = chunks.map_err(self.in_rule())?;
        let (view, kept, forgotten) = match (opened, usable) {
            (OpenedLog::Existing { added }, Some(usable)) => {
                self.checkpoint = Checkpoint { epoch: self.lease.epoch(), ..usable };
                self.note_replaced(&added);
                let known = |chunk: &Chunk| self.checkpoint.tables.contains_key(&chunk.table);
                let (kept, forgotten): (Vec<_>, Vec<_>) = old_chunks.into_iter().partition(known);
                (None, kept, forgotten)
            }
            (OpenedLog::Created(view), _) => {
                self.checkpoint.position = view.position.clone();
                (Some(view), Vec::new(), old_chunks)
            }
            (OpenedLog::Existing { .. }, None) => {
                return Err(Error::Task(format!("the log of \"{}\" was not made anew", self.reader.name)));
            }
        };
        self.checkpoint.lineage = self.log()?.lineage();
        let planned = self.with_all_tables(&kept, planned);
        let copied_anew: HashSet<String> = planned.iter().map(|chunk| chunk.table.clone()).collect();
        self.chunks = kept;
        self.chunks.retain(|chunk| !copied_anew.contains(&chunk.table));
        self.chunks.extend(planned);
        for chunk in self.chunks.iter_mut().filter(|chunk| !chunk.is_copied) {
            chunk.epoch = self.lease.epoch();
        }
        self.chunks.sort_by(|a, b| (&a.table, a.number).cmp(&(&b.table, b.number)));
        self.checkpoint.tables = self.routes.list.iter().map(known_table).collect();
        let keeps = self.keeps_own_rows();
        self.checkpoint.own_rows.retain(|table, _| keeps && !copied_anew.contains(table));
        if self.checkpoint.phase == Phase::Copy {
            // Until the copy is done, for whoever goes on with it.
            self.checkpoint.own_rows.clone_from(&self.own_rows_before);
        }
        self.store_beginning(stored.as_ref(), &forgotten, &copied_anew).await?;
        if view.is_some() || self.chunks.iter().all(|chunk| chunk.is_copied) {
            return Ok(view);
        }
        let view = self.log()?.snapshot(&self.reader).await;
        view.map(Some).map_err(self.in_rule())
    }

    /// Every table that no chunk and no checkpoint stands for is planned as one part.
    fn with_all_tables(&self, kept: &[Chunk], mut planned: Vec<Chunk>) -> Vec<Chunk> {
        let mut seen: HashSet<String> = self.checkpoint.tables.keys().cloned().collect();
        seen.extend(kept.iter().chain(&planned).map(|chunk| chunk.table.clone()));
        for route in &self.routes.list {
            let table = &route.captured.name;
            if seen.insert(table.clone()) {
                planned.extend(Chunk::plan(table, Vec::new(), self.lease.epoch()));
            }
        }
        planned
    }

    async fn store_beginning(
        &mut self,
        stored: Option<&Checkpoint>,
        forgotten: &[Chunk],
        copied_anew: &HashSet<String>,
    ) -> Result<()> {
        let in_rule = || Error::database_in(format!("rule \"{}\"", self.rule.name));
        let mut transaction = self.lease.begin().await.map_err(in_rule())?;
        let (control, reader) = (&self.control, &self.reader.name);
        let found = Checkpoint::load(transaction.as_mut(), &control.checkpoint, reader).await;
        if found.map_err(in_rule())?.as_ref() != stored {
            // The holder before has applied something since it was read.
            return Err(Error::LeaseLost(self.rule.name.clone()));
        }
        let written = async {
            self.checkpoint.store(transaction.as_mut(), &control.checkpoint).await?;
            remove_chunks(transaction.as_mut(), &control.chunk, reader, forgotten).await?;
            store_chunks(transaction.as_mut(), &control.chunk, reader, &self.chunks).await?;
            for route in self.routes.list.iter().filter(|route| copied_anew.contains(&route.captured.name)) {
                self.letters.remove_all(transaction.as_mut(), &control.dead_letter, route.label()).await?;
            }
            transaction.commit().await
        };
        written.await.map_err(in_rule())?;
        self.letters.committed();
        Ok(())
    }

    /// Tables that the log has not told of under names that the checkpoint knows stand in the place of others. They are
    /// copied, and what is left of the others at the target is looked for.
    fn note_replaced(&mut self, added: &[String]) {
        let own_rows = &self.checkpoint.own_rows;
        let replaced = own_rows.iter().filter(|(table, _)| added.contains(table));
        self.own_rows_before.extend(replaced.map(|(table, own)| (table.clone(), own.clone())));
        let known = self.checkpoint.tables.len();
        self.checkpoint.tables.retain(|table, _| !added.contains(table));
        self.has_replaced_tables = self.checkpoint.tables.len() < known;
    }
}
