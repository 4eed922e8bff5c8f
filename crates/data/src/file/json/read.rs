//! Reading the objects of a JSON file one by one, without holding the others.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::error::{content_error, file_error, format_error};
use super::super::text::{self, Lines};
use crate::error::{Error, Result};
use crate::value::{Object, Value, value_from_json_text};

/// The member of a document that holds lists by their names, beside members that describe them.
const ENTITIES: &str = "entities";

/// Where in a document a list of objects is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct JsonPlace(Vec<String>);

/// What is done with an object; whether the others are wanted too.
pub(in super::super) type Visit<'a> = dyn FnMut(Object) -> Result<bool> + 'a;

/// The lists of objects in a document, with their names: one without a name if the document is a list.
///
/// # Errors
/// The file cannot be read, or holds no list where one is looked for.
pub(in super::super) fn lists_in(path: &Path) -> Result<Vec<(Option<String>, JsonPlace)>> {
    let mut reader = text::open(path)?;
    let mut first = [0];
    loop {
        let read = reader.read(&mut first).map_err(|error| file_error(path, error))?;
        if read == 0 {
            return Err(content_error(path, "the file is empty"));
        }
        if !first[0].is_ascii_whitespace() {
            break;
        }
    }
    if first[0] == b'[' {
        return Ok(vec![(None, JsonPlace(Vec::new()))]);
    }
    let mut outline = Outline::default();
    let mut deserializer = serde_json::Deserializer::from_reader(text::open(path)?);
    let parsed = OutlineSeed { outline: &mut outline }
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    parsed.map_err(|error| json_error(path, &error))?;
    let lists: Vec<_> = match outline.within {
        Some(within) => {
            within.into_iter().map(|name| (name.clone(), vec![ENTITIES.to_owned(), name])).collect()
        }
        None => outline.top.into_iter().map(|name| (name.clone(), vec![name])).collect(),
    };
    if lists.is_empty() {
        return Err(content_error(path, "expected a list of objects, or an object of such lists"));
    }
    Ok(lists.into_iter().map(|(name, place)| (Some(name), JsonPlace(place))).collect())
}

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

fn json_error(path: &Path, error: &serde_json::Error) -> Error {
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

/// The names of a document's lists.
#[derive(Default)]
struct Outline {
    top: Vec<String>,
    /// Those in the member made for them, if there is one.
    within: Option<Vec<String>>,
}

struct OutlineSeed<'a> {
    outline: &'a mut Outline,
}

impl<'de> DeserializeSeed<'de> for OutlineSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OutlineSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of objects, or an object of such lists")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(name) = entries.next_key::<String>()? {
            if name == ENTITIES {
                match entries.next_value_seed(EntitiesSeed)? {
                    Some(found) => self.outline.within = Some(found),
                    None => self.outline.top.push(name),
                }
            } else if entries.next_value_seed(IsList)? {
                self.outline.top.push(name);
            }
        }
        Ok(())
    }
}

/// The names of the lists in the member that holds them; `None` if it is itself a list.
struct EntitiesSeed;

impl<'de> DeserializeSeed<'de> for EntitiesSeed {
    type Value = Option<Vec<String>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EntitiesSeed {
    type Value = Option<Vec<String>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of lists of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = entries.next_key::<String>()? {
            if entries.next_value_seed(IsList)? {
                names.push(name);
            }
        }
        Ok(Some(names))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// Whether a value is a list; it is passed over.
struct IsList;

impl<'de> DeserializeSeed<'de> for IsList {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for IsList {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
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
