//! The rows of a read as a sequence of texts, so that JavaScript makes objects of the first rows while the next are read.

use data::{Cell, CellSink, Error, ErrorKind, Record, Result, RowSink};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::column::Column;
use super::write::write_records;
use crate::js_text::{JsText, Part};

/// Bytes at which the first text is handed over: few, so that JavaScript does not wait for long.
const FIRST_BYTES: usize = 32 * 1024;
/// Bytes at which every other is. What is made of a text should fit the caches.
const BATCH_BYTES: usize = 96 * 1024;
/// How many records are one text.
const BATCH_RECORDS: usize = 256;

/// A part of the rows of a read.
#[derive(Debug)]
pub(crate) enum Batch {
    /// Rows, after which there are others.
    Rows(JsText),
    /// The last rows, which may be none.
    Last(JsText),
    /// The read has failed.
    Failed(Error),
}

/// Where the rows of a read go, and where they come out again. A read never waits for JavaScript, so that it holds its
/// connection no longer than it needs; all rows together are what the caller has asked for.
pub(crate) fn row_batches() -> (RowWriter, UnboundedReceiver<Batch>) {
    let (sender, receiver) = unbounded_channel();
    let writer = RowWriter {
        sender,
        names: Vec::new(),
        columns: Vec::new(),
        next: 0,
        rows: 0,
        records: Vec::new(),
        most_bytes: FIRST_BYTES,
    };
    (writer, receiver)
}

/// Takes rows, and writes them column by column while they have the same columns.
pub(crate) struct RowWriter {
    sender: UnboundedSender<Batch>,
    names: Vec<String>,
    columns: Vec<Column>,
    /// Which column comes next.
    next: usize,
    /// How many rows the columns hold.
    rows: usize,
    /// Rows that have fields of their own, which came after those in the columns.
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
    pub(crate) fn finish(self) -> Result<()> {
        let text = match (self.records.is_empty(), self.names.is_empty()) {
            (true, false) => self.text_of_columns(self.columns.len()),
            _ => JsText::from(write_records(&self.records)?),
        };
        self.sender.send(Batch::Last(text)).map_err(|_| unwanted())
    }

    fn hand_over(&self, text: JsText) -> Result<()> {
        self.sender.send(Batch::Rows(text)).map_err(|_| unwanted())
    }

    /// Hands over the rows that are whole. The columns before `begun` hold a value of a further one, which they keep.
    fn hand_over_columns(&mut self, begun: usize) -> Result<()> {
        if self.rows > 0 {
            self.hand_over(self.text_of_columns(begun))?;
        }
        for (at, column) in self.columns.iter_mut().enumerate() {
            column.empty(at < begun);
        }
        self.rows = 0;
        self.most_bytes = BATCH_BYTES;
        Ok(())
    }

    fn hand_over_records(&mut self) -> Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        let text = write_records(&self.records)?;
        self.records.clear();
        self.hand_over(JsText::from(text))
    }

    /// The text of the columns, of which those before `begun` hold one value too many.
    fn text_of_columns(&self, begun: usize) -> JsText {
        let begun = if self.next == 0 { 0 } else { begun };
        let names = json_list(self.names.iter().map(String::as_str));
        let mut finish = Vec::with_capacity(self.columns.len());
        let mut parts = vec![Part::ascii(r#"{"names":"#), Part::of(&names), Part::ascii(r#","values":["#)];
        for (at, column) in self.columns.iter().enumerate() {
            let (text, highest, finished) = column.content();
            let bytes = if at < begun { column.before_last() } else { text };
            parts.push(Part::ascii(if at == 0 { "[" } else { "],[" }));
            parts.push(Part { bytes, highest });
            finish.push(finished);
        }
        parts.push(Part::ascii(if self.columns.is_empty() { "]" } else { "]]" }));
        let finish_names: String;
        if finish.iter().any(Option::is_some) {
            finish_names =
                json_list(finish.into_iter().map(|finish| finish.map(super::finish::Finish::name)));
            parts.push(Part::ascii(r#","finish":"#));
            parts.push(Part::of(&finish_names));
        }
        parts.push(Part::ascii("}"));
        JsText::of(&parts)
    }

    /// What has to be handed over before another row begins.
    fn begin_row(&mut self) {
        let is_full = self.columns.iter().map(Column::len).sum::<usize>() >= self.most_bytes;
        // If nobody wants the rows any more, the end of the row says so.
        let _ = self.hand_over_records();
        if is_full {
            let _ = self.hand_over_columns(0);
        }
    }
}

impl CellSink for RowWriter {
    fn columns(&mut self, names: &[&str]) -> Result<()> {
        self.hand_over_records()?;
        self.hand_over_columns(0)?;
        self.names = names.iter().map(|name| (*name).to_owned()).collect();
        self.columns = names.iter().map(|_| Column::new()).collect();
        Ok(())
    }

    fn cell(&mut self, cell: Cell<'_>) {
        if self.next == 0 {
            self.begin_row();
        }
        let at = self.next;
        self.next += 1;
        let is_unlike = self.columns.get_mut(at).is_some_and(|column| column.push(cell).is_err());
        if is_unlike {
            // What was written of the column would mean something else beside this value.
            let _ = self.hand_over_columns(at);
            if let Some(column) = self.columns.get_mut(at) {
                column.tag();
                let fits = column.push(cell).is_ok();
                debug_assert!(fits, "a column of tagged values takes any");
            }
        }
    }

    fn end_row(&mut self) -> Result<()> {
        self.next = 0;
        self.rows += 1;
        if self.sender.is_closed() { Err(unwanted()) } else { Ok(()) }
    }
}

impl RowSink for RowWriter {
    fn record(&mut self, record: Record) -> Result<()> {
        self.hand_over_columns(0)?;
        if self.records.len() >= BATCH_RECORDS {
            self.hand_over_records()?;
        }
        self.records.push(record);
        Ok(())
    }
}

fn json_list<T: serde::Serialize>(items: impl Iterator<Item = T>) -> String {
    // Texts and null always have a form in JSON.
    serde_json::to_string(&items.collect::<Vec<_>>()).unwrap_or_default()
}

fn unwanted() -> Error {
    Error::new(ErrorKind::Closed, "nobody wants the rows any more")
}

#[cfg(test)]
mod tests {
    use data::{Timestamp, Value};

    use super::*;

    /// The texts of the batches.
    fn texts(write: impl FnOnce(&mut RowWriter)) -> Vec<String> {
        let (mut writer, mut receiver) = row_batches();
        write(&mut writer);
        writer.finish().unwrap();
        let mut texts = Vec::new();
        while let Ok(batch) = receiver.try_recv() {
            match batch {
                Batch::Rows(JsText::OneByte(text)) | Batch::Last(JsText::OneByte(text)) => {
                    texts.push(text.into_iter().map(char::from).collect());
                }
                other => panic!("{other:?}"),
            }
        }
        texts
    }

    fn rows(writer: &mut RowWriter, rows: &[&[Value]]) {
        for row in rows {
            row.iter().for_each(|value| writer.cell(Cell::from(value)));
            writer.end_row().unwrap();
        }
    }

    #[test]
    fn rows_are_written_column_by_column() {
        let written = texts(|writer| {
            writer.columns(&["id", "at", "any"]).unwrap();
            rows(
                writer,
                &[
                    &["é\"".into(), Value::Timestamp(Timestamp(5_000)), 7.into()],
                    &["b".into(), Value::Null, Value::Bytes(vec![1].into())],
                ],
            );
        });
        assert_eq!(
            written,
            [
                r#"{"names":["id","at","any"],"values":[["é\"","b"],[5,null],[7,{"$$bytes":"AQ=="}]],"finish":[null,"date","tagged"]}"#
            ]
        );
        let none = texts(|writer| writer.columns(&["id"]).unwrap());
        assert_eq!(none, [r#"{"names":["id"],"values":[[]]}"#]);
        assert_eq!(texts(|_| ()), [r#"{"rows":[]}"#]);
    }

    #[test]
    fn a_value_unlike_those_before_begins_a_batch_and_is_tagged() {
        let moment = Value::Timestamp(Timestamp(1_000));
        let written = texts(|writer| {
            writer.columns(&["id", "at", "last"]).unwrap();
            rows(
                writer,
                &[
                    &[1.into(), moment.clone(), "x".into()],
                    &[2.into(), "soon".into(), "y".into()],
                    &[3.into(), moment.clone(), "z".into()],
                ],
            );
        });
        assert_eq!(
            written,
            [
                r#"{"names":["id","at","last"],"values":[[1],[1],["x"]],"finish":[null,"date",null]}"#,
                r#"{"names":["id","at","last"],"values":[[2,3],["soon",{"$$date":1}],["y","z"]],"finish":[null,"tagged",null]}"#
            ]
        );
    }

    #[test]
    fn numbers_beyond_json_are_written_as_text_beside_those_within() {
        let written = texts(|writer| {
            writer.columns(&["n"]).unwrap();
            rows(writer, &[&[1.into()], &[i64::MAX.into()], &[f64::NAN.into()], &[Value::Null]]);
        });
        assert_eq!(
            written,
            [r#"{"names":["n"],"values":[[1,"9223372036854775807","NaN",null]],"finish":["number"]}"#]
        );
    }

    #[test]
    fn many_rows_are_several_batches_of_whole_rows() {
        let written = texts(|writer| {
            writer.columns(&["id", "text"]).unwrap();
            for number in 0..1000 {
                rows(writer, &[&[number.into(), "x".repeat(200).into()]]);
            }
        });
        assert!(written.len() > 2 && written.len() < 10, "{}", written.len());
        let mut next = 0;
        for text in written {
            let batch: serde_json::Value = serde_json::from_str(&text).unwrap();
            let columns = batch["values"].as_array().unwrap();
            assert_eq!(columns[0].as_array().unwrap().len(), columns[1].as_array().unwrap().len());
            for id in columns[0].as_array().unwrap() {
                assert_eq!(id.as_i64(), Some(next));
                next += 1;
            }
        }
        assert_eq!(next, 1000);
    }

    #[test]
    fn records_and_rows_keep_their_order() {
        let record = |number: i32| Record::from_iter([("n".to_owned(), Value::Int32(number))]);
        let written = texts(|writer| {
            writer.record(record(1)).unwrap();
            writer.columns(&["n"]).unwrap();
            rows(writer, &[&[2.into()]]);
            writer.record(record(3)).unwrap();
            rows(writer, &[&[4.into()]]);
        });
        assert_eq!(
            written,
            [
                r#"{"rows":[{"n":1}]}"#,
                r#"{"names":["n"],"values":[[2]]}"#,
                r#"{"rows":[{"n":3}]}"#,
                r#"{"names":["n"],"values":[[4]]}"#
            ]
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
