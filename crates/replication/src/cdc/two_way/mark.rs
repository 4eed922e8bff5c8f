//! Marks: a side keeps that it was read before the other one keeps anything that comes of it.
//!
//! The mark is the number of the checkpoint that a side keeps. It grows in a transaction of its own, behind everything that was
//! read there, and whatever is then written at the other side names it in the same transaction. A side whose number is below the
//! one that the other side names has gone back in time, if only by the last moments: it was restored, or replaced by a server
//! that lagged behind.

use super::super::checkpoint::Checkpoint;
use super::Exchange;
use super::side::Which;
use super::write::{COLLISION_ATTEMPTS, COLLISION_PAUSE, is_collision};
use crate::error::Result;

impl Exchange {
    /// From here on, what is read at the sides lies behind their marks.
    pub(super) fn read_anew(&mut self) {
        self.is_marked = [false; 2];
    }

    /// Has a side keep that it was read, unless it has kept anything since.
    pub(super) async fn mark(&mut self, which: Which) -> Result<()> {
        if *self.mark_of(which) {
            return Ok(());
        }
        let next = self.marked(which);
        let mut attempt = 1;
        loop {
            match self.mark_once(which, &next).await {
                Err(error) if is_collision(&error) && attempt < COLLISION_ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(COLLISION_PAUSE).await;
                }
                marked => break marked?,
            }
        }
        self.keep(which, next);
        Ok(())
    }

    async fn mark_once(&self, which: Which, next: &Checkpoint) -> Result<()> {
        let mut transaction = self.begin_fenced(which).await?;
        let table = &self.side(which).control.checkpoint;
        next.advance(transaction.as_mut(), table).await.map_err(self.in_rule())?;
        transaction.commit().await.map_err(self.in_rule())
    }

    /// The checkpoint that a side keeps, with its next mark and that of the other side.
    pub(super) fn marked(&self, keeper: Which) -> Checkpoint {
        let log = keeper.other();
        Checkpoint { history: self.next_history(log), ..self.side(log).checkpoint.clone() }
    }

    /// A side has stored the checkpoint that it keeps.
    pub(super) fn keep(&mut self, keeper: Which, stored: Checkpoint) {
        self.side_mut(keeper.other()).checkpoint = stored;
        *self.mark_of(keeper) = true;
    }

    fn mark_of(&mut self, which: Which) -> &mut bool {
        let [source, target] = &mut self.is_marked;
        if which == Which::Source { source } else { target }
    }
}
