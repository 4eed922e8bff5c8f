//! What a request that is to be kept is answered, taken down on its way to the caller.

use std::sync::Arc;

use wire::{Column, RowBatch};

/// A result being taken down.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    pub(super) columns: Option<Arc<[Column]>>,
    pub(super) batches: Vec<RowBatch>,
    /// The command tag, once the result has ended.
    pub(super) tag: Option<String>,
    size: usize,
    limit: usize,
    is_void: bool,
}

impl Recording {
    /// Takes down up to so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(crate) fn columns(&mut self, columns: &Arc<[Column]>) {
        self.columns = Some(Arc::clone(columns));
    }

    pub(crate) fn rows(&mut self, rows: &RowBatch) {
        if self.is_void {
            return;
        }
        // A small piece would hold on to the whole buffer it was read into.
        let rows = rows.detached();
        self.size += rows.size();
        if self.size > self.limit {
            self.is_void = true;
            self.batches = Vec::new();
        } else {
            self.batches.push(rows);
        }
    }

    pub(crate) fn result(&mut self, command_tag: &str) {
        // A second result: the text held several statements after all.
        self.is_void |= self.tag.is_some();
        self.tag = Some(command_tag.to_owned());
    }

    /// What was taken down, if it is one whole result.
    pub(crate) fn finished(self) -> Option<Self> {
        (!self.is_void && self.tag.is_some()).then_some(self)
    }
}
