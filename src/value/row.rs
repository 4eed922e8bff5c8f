//! A single row as JSON text: `[{…}, name, finish, …]`, with the columns that have to be finished and how, or `[]`.

use data::{Cell, CellSink, Record, Result, RowSink};

use super::cell::{Kind, push_cell, push_string};
use super::finish::Finish;
use crate::js_text::{JsText, Part, highest};

/// Takes one row; those that follow it are passed over.
#[derive(Default)]
pub(crate) struct RowText {
    /// Each name in quotes, with what stands before it.
    names: Vec<Vec<u8>>,
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
        if !self.is_whole {
            return JsText::of(&[Part::ascii("[]")]);
        }
        let part = |bytes| Part { bytes, highest: highest(bytes) };
        JsText::of(&[Part::ascii("["), part(&self.text), part(&self.finish), Part::ascii("]")])
    }

    fn take(&mut self, record: &Record) {
        record.iter().enumerate().for_each(|(at, (name, value))| {
            let name = quoted(at, name);
            self.push(&name, Cell::from(value));
        });
        self.end();
    }

    /// Appends a cell; the name is preceded by what separates it from others.
    fn push(&mut self, name: &[u8], cell: Cell<'_>) {
        self.text.extend_from_slice(name);
        self.text.push(b':');
        let kind = Kind::of(cell);
        push_cell(cell, kind == Kind::Finished(Finish::Tagged), &mut self.text);
        if let Kind::Finished(finish) = kind {
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

fn quoted(at: usize, name: &str) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(name.len() + 3);
    quoted.push(if at == 0 { b'{' } else { b',' });
    push_string(name, &mut quoted);
    quoted
}

impl CellSink for RowText {
    fn columns(&mut self, names: &[&str]) -> Result<()> {
        self.names = names.iter().enumerate().map(|(at, name)| quoted(at, name)).collect();
        Ok(())
    }

    fn cell(&mut self, cell: Cell<'_>) {
        let at = self.next;
        self.next += 1;
        if !self.is_whole
            && let Some(name) = self.names.get_mut(at).map(std::mem::take)
        {
            self.push(&name, cell);
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
    fn no_row_is_an_empty_list() {
        assert_eq!(text_of(write_row(None)), "[]");
        let mut cells = RowText::default();
        cells.columns(&["id"]).unwrap();
        assert_eq!(text_of(cells.finish()), "[]");
        assert_eq!(text_of(write_row(Some(&Record::new()))), "[{}]");
    }
}
