//! A result as it is kept: the server's messages, plain or compressed.

use std::sync::Arc;

use wire::{Column, RowBatch};

use super::recording::Recording;
use crate::answer::Answer;

/// What an entry takes besides its rows: its key in several indexes, about.
const OVERHEAD: usize = 256;

/// The result of one statement.
#[derive(Debug, Clone)]
pub(crate) struct StoredResult {
    pub(super) columns: Option<Arc<[Column]>>,
    pub(super) rows: StoredRows,
    pub(super) tag: Arc<str>,
    pub(super) raw_size: usize,
}

#[derive(Debug, Clone)]
pub(super) enum StoredRows {
    Plain(Arc<[RowBatch]>),
    /// The server's messages by LZ4, with their length before them.
    Compressed(Arc<[u8]>),
}

impl StoredResult {
    /// What was recorded, if it is one whole result.
    pub(crate) fn of(recording: Recording, compress_above: Option<usize>) -> Option<Self> {
        let Recording { columns, batches, tag, .. } = recording;
        let raw_size: usize = batches.iter().map(RowBatch::size).sum();
        let rows = if compress_above.is_some_and(|limit| raw_size > limit) {
            let frames: Vec<u8> = batches.iter().flat_map(|batch| batch.frames()).copied().collect();
            let compressed = lz4_flex::compress_prepend_size(&frames);
            if compressed.len() < raw_size {
                StoredRows::Compressed(compressed.into())
            } else {
                StoredRows::Plain(batches.into())
            }
        } else {
            StoredRows::Plain(batches.into())
        };
        Some(Self { columns, rows, tag: tag?.into(), raw_size })
    }

    /// The bytes that it takes, the columns aside, which it mostly shares with others.
    pub(crate) fn size(&self) -> usize {
        OVERHEAD + self.rows_size()
    }

    /// The bytes of its rows as they are kept.
    pub(crate) fn rows_size(&self) -> usize {
        match &self.rows {
            StoredRows::Plain(_) => self.raw_size,
            StoredRows::Compressed(bytes) => bytes.len(),
        }
    }

    /// The bytes of its rows without compression.
    pub(crate) fn raw_size(&self) -> usize {
        self.raw_size
    }

    /// The same with rows that are not compressed; `None` if they cannot be read.
    pub(crate) fn opened(&self) -> Option<Self> {
        let StoredRows::Compressed(bytes) = &self.rows else { return Some(self.clone()) };
        let frames = lz4_flex::decompress_size_prepended(bytes).ok()?;
        let batches = RowBatch::read_frames(&frames).ok()?;
        Some(Self { rows: StoredRows::Plain(batches.into()), ..self.clone() })
    }

    /// Hands an opened result out as the server did, up to its end.
    pub(crate) fn replay(&self, answer: &mut dyn Answer) {
        if let Some(columns) = &self.columns {
            answer.columns(columns);
        }
        if let StoredRows::Plain(batches) = &self.rows {
            for batch in batches.iter().filter(|batch| !batch.is_empty()) {
                // All of it is in memory, so that there is nothing to pause.
                let _ = answer.rows(batch.clone());
            }
        }
        answer.result(&self.tag);
    }
}
