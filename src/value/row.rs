//! A single row as JSON text: `[{…}, name, finish, …]`, with the columns that have to be finished and how, or `[]`.

use data::{Cell, CellSink, Record, Result, RowSink};

use super::cell::{finish_of_cell, push_cell, push_string};
use super::finish::Finish;
use crate::js_text::{JsText, Part, highest};

/// Takes one row; those that follow it are passed over.
#[derive(Default)]
pub(crate) struct RowText {
    /// The names in quotes, each with what stands before it.
    names: Vec<u8>,
    /// Where each name ends.
    ends: Vec<usize>,
    text: Vec<u8>,
    finish: Vec<u8>,
    /// Which column comes next.
    next: usize,
    is_whole: bool,
}

/// The text of a record, if there is one.
pub(crate) fn write_row(record: Option<&Record>) -> JsText {
    let mut text = RowText::default();
    if let Some(record) = record {
        text.take(record);
    }
    text.finish()
}

impl RowText {
    /// The text of what came.
    pub(crate) fn finish(self) -> JsText {
        JsText::of(&self.parts())
    }

    /// The text of several, as a list.
    pub(crate) fn list(rows: &[Self]) -> JsText {
        let mut parts = Vec::with_capacity(rows.len() * 5 + 2);
        parts.push(Part::ascii("["));
        for (at, row) in rows.iter().enumerate() {
            parts.push(Part::ascii(if at == 0 { "" } else { "," }));
            parts.extend(row.parts());
        }
        parts.push(Part::ascii("]"));
        JsText::of(&parts)
    }

    fn parts(&self) -> [Part<'_>; 4] {
        let part = |bytes| Part { bytes, highest: highest(bytes) };
        // Nothing was finished where there is no row.
        [Part::ascii("["), part(&self.text), part(&self.finish), Part::ascii("]")]
    }

    fn take(&mut self, record: &Record) {
        let mut quoted = Vec::new();
        record.iter().enumerate().for_each(|(at, (name, value))| {
            quoted.clear();
            push_name(at, name, &mut quoted);
            self.push(&quoted, Cell::from(value));
        });
        self.end();
    }

    /// Appends a cell; the name is preceded by what separates it from others.
    fn push(&mut self, name: &[u8], cell: Cell<'_>) {
        self.text.extend_from_slice(name);
        self.text.push(b':');
        let finish = finish_of_cell(cell);
        push_cell(cell, finish == Some(Finish::Tagged), &mut self.text);
        if let Some(finish) = finish {
            self.finish.push(b',');
            self.finish.extend_from_slice(name.get(1..).unwrap_or_default());
            self.finish.push(b',');
            push_string(finish.name(), &mut self.finish);
        }
    }

    fn end(&mut self) {
        self.text.extend_from_slice(if self.text.is_empty() { b"{}" } else { b"}" });
        self.is_whole = true;
    }
}

fn push_name(at: usize, name: &str, quoted: &mut Vec<u8>) {
    quoted.push(if at == 0 { b'{' } else { b',' });
    push_string(name, quoted);
}

impl CellSink for RowText {
    fn columns(&mut self, names: &[&str]) -> Result<()> {
        self.names.clear();
        self.ends.clear();
        // An ordinary row is no longer than this, so that the text is not moved while it grows.
        self.text.reserve(512);
        for (at, name) in names.iter().enumerate() {
            push_name(at, name, &mut self.names);
            self.ends.push(self.names.len());
        }
        Ok(())
    }

    fn cell(&mut self, cell: Cell<'_>) {
        let at = self.next;
        self.next += 1;
        if self.is_whole {
            return;
        }
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before).copied()).unwrap_or(0);
        if let Some(end) = self.ends.get(at).copied() {
            let names = std::mem::take(&mut self.names);
            self.push(names.get(start..end).unwrap_or_default(), cell);
            self.names = names;
        }
    }

    fn end_row(&mut self) -> Result<()> {
        if !self.is_whole {
            self.end();
        }
        Ok(())
    }
}

impl RowSink for RowText {
    fn record(&mut self, record: Record) -> Result<()> {
        if !self.is_whole {
            self.take(&record);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use data::{Timestamp, Value};

    use super::*;

    fn text_of(text: JsText) -> String {
        match text {
            JsText::OneByte(text) => text.into_iter().map(char::from).collect(),
            JsText::TwoByte(text) => String::from_utf16(&text).unwrap(),
        }
    }

    #[test]
    fn a_row_is_written_with_what_has_to_be_finished() {
        let record = Record::from_iter([
            ("id".to_owned(), Value::from("a\"é")),
            ("at".to_owned(), Value::Timestamp(Timestamp(5_000))),
            ("gone".to_owned(), Value::Null),
            ("n".to_owned(), Value::Float(f64::NAN)),
            ("deep".to_owned(), Value::object([("at", Value::Timestamp(Timestamp(0)))])),
        ]);
        let expected = r#"[{"id":"a\"é","at":5,"gone":null,"n":"NaN","deep":{"at":{"$$date":0}}},"at","date","n","number","deep","tagged"]"#;
        assert_eq!(text_of(write_row(Some(&record))), expected);
        let mut cells = RowText::default();
        cells.columns(&record.keys().map(String::as_str).collect::<Vec<_>>()).unwrap();
        for _ in 0..2 {
            record.values().for_each(|value| cells.cell(Cell::from(value)));
            cells.end_row().unwrap();
        }
        assert_eq!(text_of(cells.finish()), expected);
    }

    #[test]
    fn several_rows_are_a_list() {
        let row = |text: &str| {
            let mut row = RowText::default();
            row.record(Record::from_iter([("id".to_owned(), Value::from(text))])).unwrap();
            row
        };
        let rows = [row("Łódź"), RowText::default(), row("b")];
        assert_eq!(text_of(RowText::list(&rows)), r#"[[{"id":"Łódź"}],[],[{"id":"b"}]]"#);
        assert_eq!(text_of(RowText::list(&[])), "[]");
    }

    #[test]
    fn no_row_is_an_empty_list() {
        assert_eq!(text_of(write_row(None)), "[]");
        let mut cells = RowText::default();
        cells.columns(&["id"]).unwrap();
        assert_eq!(text_of(cells.finish()), "[]");
        assert_eq!(text_of(write_row(Some(&Record::new()))), "[{}]");
    }
}
