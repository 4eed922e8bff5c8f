//! Which lists of objects a JSON document holds.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::error::{content_error, file_error};
use super::super::text;
use super::read::{JsonPlace, json_error};
use crate::error::Result;

/// The member of a document that holds lists by their names, beside members that describe them.
const ENTITIES: &str = "entities";

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
