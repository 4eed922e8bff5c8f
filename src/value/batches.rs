//! The rows of a read as a sequence of batches, so that JavaScript makes objects of the first rows while the next are read.

use data::{Cell, CellSink, Error, ErrorKind, Record, Result, RowSink};
use napi::bindgen_prelude::Either;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::packed::{PackedRows, RowPacker};
use super::write::write_records;
use crate::js_text::JsText;

/// Bytes at which the first batch is handed over: few, so that JavaScript does not wait for long.
const FIRST_BYTES: usize = 32 * 1024;
/// Bytes at which every other is. What is made of a batch should fit the caches.
const BATCH_BYTES: usize = 96 * 1024;
/// How many records are one text.
const BATCH_RECORDS: usize = 256;

/// Some rows on their way to JavaScript: records as text, rows of shared columns packed.
pub(crate) type SomeRows = Either<JsText, PackedRows>;

/// A part of the rows of a read.
#[derive(Debug)]
pub(crate) enum Batch {
    /// Rows, after which there are others.
    Rows(SomeRows),
    /// The last rows, which may be none.
    Last(SomeRows),
    /// The read has failed.
    Failed(Error),
}

/// Where the rows of a read go, and where they come out again. A read never waits for JavaScript, so that it holds its
/// connection no longer than it needs; all rows together are what the caller has asked for.
pub(crate) fn row_batches() -> (RowWriter, UnboundedReceiver<Batch>) {
    let (sender, receiver) = unbounded_channel();
    let writer =
        RowWriter { sender, packer: RowPacker::default(), records: Vec::new(), most_bytes: FIRST_BYTES };
    (writer, receiver)
}

/// Takes rows, and packs them column by column while they have the same columns.
pub(crate) struct RowWriter {
    sender: UnboundedSender<Batch>,
    packer: RowPacker,
    /// Rows that have fields of their own, which came after those that are packed.
    records: Vec<Record>,
    most_bytes: usize,
}

impl RowWriter {
    /// Where to tell that a read has failed.
    pub(crate) fn sender(&self) -> UnboundedSender<Batch> {
        self.sender.clone()
    }

    /// Hands over what is left.
    ///
    /// # Errors
    /// Nobody wants the rows any more.
    pub(crate) fn finish(mut self) -> Result<()> {
        let rows = if self.records.is_empty() && self.packer.has_columns() {
            Either::B(self.packer.take())
        } else {
            Either::A(JsText::from(write_records(&self.records)?))
        };
        self.sender.send(Batch::Last(rows)).map_err(|_| unwanted())
    }

    fn hand_over(&self, rows: SomeRows) -> Result<()> {
        self.sender.send(Batch::Rows(rows)).map_err(|_| unwanted())
    }

    fn hand_over_packed(&mut self) -> Result<()> {
        if self.packer.rows() == 0 {
            return Ok(());
        }
        self.most_bytes = BATCH_BYTES;
        let rows = self.packer.take();
        self.hand_over(Either::B(rows))
    }

    fn hand_over_records(&mut self) -> Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        let text = write_records(&self.records)?;
        self.records.clear();
        self.hand_over(Either::A(JsText::from(text)))
    }
}

impl CellSink for RowWriter {
    fn columns(&mut self, names: &[&str]) -> Result<()> {
        self.hand_over_records()?;
        self.hand_over_packed()?;
        self.packer.begin(names);
        Ok(())
    }

    fn cell(&mut self, cell: Cell<'_>) {
        if self.packer.is_between_rows() {
            // If nobody wants the rows any more, the end of the row says so.
            let _ = self.hand_over_records();
            if self.packer.len() >= self.most_bytes {
                let _ = self.hand_over_packed();
            }
        }
        self.packer.cell(cell);
    }

    fn end_row(&mut self) -> Result<()> {
        self.packer.end_row();
        if self.sender.is_closed() { Err(unwanted()) } else { Ok(()) }
    }
}

impl RowSink for RowWriter {
    fn record(&mut self, record: Record) -> Result<()> {
        self.hand_over_packed()?;
        if self.records.len() >= BATCH_RECORDS {
            self.hand_over_records()?;
        }
        self.records.push(record);
        Ok(())
    }
}

fn unwanted() -> Error {
    Error::new(ErrorKind::Closed, "nobody wants the rows any more")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The batches.
    fn batches(write: impl FnOnce(&mut RowWriter)) -> Vec<SomeRows> {
        let (mut writer, mut receiver) = row_batches();
        write(&mut writer);
        writer.finish().unwrap();
        let mut batches = Vec::new();
        while let Ok(batch) = receiver.try_recv() {
            match batch {
                Batch::Rows(rows) | Batch::Last(rows) => batches.push(rows),
                Batch::Failed(error) => panic!("{error}"),
            }
        }
        batches
    }

    fn number(writer: &mut RowWriter, number: i32) {
        writer.cell(Cell::Integer(number.into()));
        writer.end_row().unwrap();
    }

    /// The numbers of a batch of one column, or its text.
    fn content(batch: &SomeRows) -> (Vec<i32>, String) {
        match batch {
            Either::A(JsText::OneByte(text)) => (Vec::new(), text.iter().copied().map(char::from).collect()),
            Either::A(other) => panic!("{other:?}"),
            Either::B(packed) => (packed.parts().0[4..4 + packed.count()].to_vec(), String::new()),
        }
    }

    #[test]
    fn many_rows_are_several_batches_of_whole_rows() {
        let written = batches(|writer| {
            writer.columns(&["id", "text"]).unwrap();
            for number in 0..1000 {
                writer.cell(Cell::Integer(number));
                writer.cell(Cell::Text(&format!("{number:0200}")));
                writer.end_row().unwrap();
            }
        });
        assert!(written.len() > 2 && written.len() < 10, "{}", written.len());
        let mut next = 0;
        for batch in written {
            let Either::B(packed) = batch else { panic!("{batch:?}") };
            let (words, _, texts) = packed.parts();
            let first = next;
            for id in &words[5..5 + packed.count()] {
                assert_eq!(*id, next);
                next += 1;
            }
            let text: String = (first..next).map(|number| format!("{number:0200}")).collect();
            assert_eq!(texts, [JsText::OneByte(text.into_bytes())]);
        }
        assert_eq!(next, 1000);
    }

    #[test]
    fn records_and_rows_keep_their_order() {
        let record = |number: i32| Record::from_iter([("n".to_owned(), data::Value::Int32(number))]);
        let written = batches(|writer| {
            writer.record(record(1)).unwrap();
            writer.columns(&["n"]).unwrap();
            number(writer, 2);
            writer.record(record(3)).unwrap();
            number(writer, 4);
        });
        let text = |text: &str| (Vec::new(), text.to_owned());
        assert_eq!(
            written.iter().map(content).collect::<Vec<_>>(),
            [
                text(r#"{"rows":[{"n":1}]}"#),
                (vec![2], String::new()),
                text(r#"{"rows":[{"n":3}]}"#),
                (vec![4], String::new())
            ]
        );
    }

    #[test]
    fn no_rows_are_one_batch_of_none() {
        let written = batches(|writer| writer.columns(&["id"]).unwrap());
        assert_eq!(written.iter().map(content).collect::<Vec<_>>(), [(Vec::new(), String::new())]);
        let written = batches(|_| ());
        assert_eq!(
            written.iter().map(content).collect::<Vec<_>>(),
            [(Vec::new(), r#"{"rows":[]}"#.to_owned())]
        );
    }

    #[test]
    fn a_read_ends_when_nobody_wants_its_rows() {
        let (mut writer, receiver) = row_batches();
        drop(receiver);
        writer.columns(&["n"]).unwrap();
        writer.cell(Cell::Integer(1));
        assert_eq!(writer.end_row().unwrap_err().kind(), ErrorKind::Closed);
    }
}
