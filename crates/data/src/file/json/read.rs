//! Reading the objects of a JSON file one by one, without holding the others.

use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::error::{content_error, file_error, format_error};
use super::super::text::{self, Lines};
use crate::error::{Error, Result};
use crate::value::{Object, Value, value_from_json_text};

/// Where in a document a list of objects is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct JsonPlace(pub(super) Vec<String>);

/// What is done with an object; whether the others are wanted too.
pub(in super::super) type Visit<'a> = dyn FnMut(Object) -> Result<bool> + 'a;

/// Hands on the objects of a list.
///
/// # Errors
/// The file cannot be read, is no JSON, or the list holds something else; or what `visit` reports.
pub(in super::super) fn each_object(path: &Path, place: &JsonPlace, visit: &mut Visit<'_>) -> Result<()> {
    let mut deserializer = serde_json::Deserializer::from_reader(text::open(path)?);
    let mut rows = Rows { path, visit, outcome: Outcome::Going, found: false };
    let seed = Within { place: &place.0, rows: &mut rows };
    let parsed = seed.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    let found = rows.found;
    match (rows.outcome, parsed) {
        (Outcome::Failed(error), _) => Err(error),
        (Outcome::Enough, _) => Ok(()),
        (Outcome::Going, Err(error)) => Err(json_error(path, &error)),
        (Outcome::Going, Ok(())) if found => Ok(()),
        (Outcome::Going, Ok(())) => {
            Err(content_error(path, format!("there is no list {}", place.0.join("."))))
        }
    }
}

/// Hands on the objects of a file with one per line.
///
/// # Errors
/// The file cannot be read, or a line is no object; or what `visit` reports.
pub(in super::super) fn each_line(path: &Path, visit: &mut Visit<'_>) -> Result<()> {
    let mut lines = Lines::new(text::open(path)?, 0, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        if !lines.read(path, &mut line)? {
            return Ok(());
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let value = value_from_json_text(line.trim_ascii())
            .map_err(|error| format_error(path, lines.number, format!("no JSON: {error}")))?;
        let Value::Object(object) = value else {
            return Err(format_error(
                path,
                lines.number,
                format!("expected an object, found a {}", value.type_name()),
            ));
        };
        if !visit(*object)? {
            return Ok(());
        }
    }
}

pub(super) fn json_error(path: &Path, error: &serde_json::Error) -> Error {
    if error.is_io() {
        return file_error(path, std::io::Error::other(error.to_string()));
    }
    format_error(path, error.line() as u64, error)
}

/// How the visit of a list goes on.
enum Outcome {
    Going,
    Enough,
    Failed(Error),
}

/// A list whose objects are handed on.
struct Rows<'a, 'v> {
    path: &'a Path,
    visit: &'a mut Visit<'v>,
    outcome: Outcome,
    found: bool,
}

impl Rows<'_, '_> {
    fn take(&mut self, raw: &RawValue, number: u64) -> Result<bool> {
        let wrong = |problem: String| content_error(self.path, format!("object {number}: {problem}"));
        match value_from_json_text(raw.get().as_bytes()).map_err(|error| wrong(error.to_string()))? {
            Value::Object(object) => (self.visit)(*object),
            other => Err(wrong(format!("expected an object, found a {}", other.type_name()))),
        }
    }
}

/// Leads to the list at a place.
struct Within<'p, 'r, 'a, 'v> {
    place: &'p [String],
    rows: &'r mut Rows<'a, 'v>,
}

impl<'de> DeserializeSeed<'de> for Within<'_, '_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.place.is_empty() {
            deserializer.deserialize_seq(self)
        } else {
            deserializer.deserialize_map(self)
        }
    }
}

impl<'de> Visitor<'de> for Within<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.place.is_empty() { "a list of objects" } else { "an object of lists" })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.rows.found = true;
        let mut number = 0;
        while let Some(raw) = items.next_element::<Box<RawValue>>()? {
            number += 1;
            match self.rows.take(&raw, number) {
                Ok(true) => continue,
                Ok(false) => self.rows.outcome = Outcome::Enough,
                Err(error) => self.rows.outcome = Outcome::Failed(error),
            }
            // The outcome says why; this only ends the reading.
            return Err(A::Error::custom("no more is wanted"));
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(name) = entries.next_key::<String>()? {
            match self.place.split_first() {
                Some((first, rest)) if *first == name => {
                    entries.next_value_seed(Within { place: rest, rows: &mut *self.rows })?;
                }
                _ => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::outline::lists_in;
    use super::*;
    use crate::value::json_text;

    fn in_file<T>(text: &str, read: impl FnOnce(&Path) -> T) -> T {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.json");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    fn objects(text: &str) -> Result<Vec<String>> {
        in_file(text, |path| {
            let mut rows = Vec::new();
            for (name, place) in lists_in(path)? {
                each_object(path, &place, &mut |object| {
                    rows.push(format!(
                        "{}{}",
                        name.as_deref().unwrap_or(""),
                        json_text(&Value::Object(Box::new(object)))
                    ));
                    Ok(true)
                })?;
            }
            Ok(rows)
        })
    }

    #[test]
    fn every_shape_of_document_is_read() {
        assert_eq!(objects(" [{\"a\":1},{}]").unwrap(), ["{\"a\":1}", "{}"]);
        assert_eq!(objects("{\"x\":[{\"a\":1}],\"n\":3,\"y\":[]}").unwrap(), ["x{\"a\":1}"]);
        let named = r#"{"source":"s","date":"d","entities":{"User":[{"a":12345678901234567890}]}}"#;
        assert_eq!(objects(named).unwrap(), ["User{\"a\":12345678901234567890}"]);
    }

    #[test]
    fn what_is_no_list_of_objects_is_refused_with_its_place() {
        for (text, place) in [
            ("[{\"a\":1},\n{\"a\":}]", "t.json:2: "),
            ("[{\"a\":1},\n2]", "object 2: expected an object, found a integer"),
            ("[{\"a\":1}", "t.json:1: EOF"),
            ("{\"a\":1}", "expected a list of objects"),
            ("3", "t.json:1: "),
            ("", "the file is empty"),
            ("[] x", "t.json:1: trailing"),
        ] {
            let error = objects(text).unwrap_err();
            assert!(error.to_string().contains(place), "{text}: {error}");
            assert_eq!(error.kind(), crate::ErrorKind::Format);
        }
    }

    #[test]
    fn a_malformed_line_is_named() {
        let read = |text| in_file(text, |path| each_line(path, &mut |_| Ok(true)));
        assert!(read("{\"a\":1}\n\n{\"a\":2}\n").is_ok());
        assert!(read("{\"a\":1}\n\n{oops\n").unwrap_err().to_string().contains("t.json:3: no JSON"));
        assert!(read("[1]\n").unwrap_err().to_string().contains("t.json:1: expected an object"));
    }

    #[test]
    fn reading_ends_when_no_more_is_wanted() {
        let mut rows = 0;
        in_file("[{},{},{broken", |path| {
            each_object(path, &JsonPlace(Vec::new()), &mut |_| {
                rows += 1;
                Ok(false)
            })
        })
        .unwrap();
        assert_eq!(rows, 1);
    }
}
