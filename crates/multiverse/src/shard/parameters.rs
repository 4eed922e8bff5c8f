//! The values of parameters, read from the section of a Bind message, and sections that leave some of them out.

use bytes::{BufMut, BytesMut};

use crate::request::BindParameters;

/// The oid of the type text.
const TEXT: u32 = 25;

/// A parameter's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Parameter<'p> {
    Null,
    Text(&'p str),
    Binary(&'p [u8]),
}

/// The parameter at a position from 0; `None` past the last, or where the section is malformed.
pub(crate) fn parameter(parameters: &BindParameters, at: usize) -> Option<Parameter<'_>> {
    let section = Section::read(parameters.section())?;
    let value = section.values().nth(at)?;
    Some(match (value, section.is_binary(at)) {
        (None, _) => Parameter::Null,
        (Some(bytes), true) => Parameter::Binary(bytes),
        (Some(bytes), false) => Parameter::Text(str::from_utf8(bytes).ok()?),
    })
}

/// The same parameters where only some are used: of the others nothing is sent, and their type is said, as the server cannot
/// infer it.
pub(crate) fn only_used(parameters: &BindParameters, is_used: impl Fn(usize) -> bool) -> BindParameters {
    let Some(section) = Section::read(parameters.section()) else { return parameters.clone() };
    let count = section.values().count();
    if (0..count).all(&is_used) {
        return parameters.clone();
    }
    let mut written = BytesMut::with_capacity(parameters.section().len());
    written.put_u16(count as u16);
    for at in 0..count {
        written.put_u16(u16::from(is_used(at) && section.is_binary(at)));
    }
    written.put_u16(count as u16);
    for (at, value) in section.values().enumerate() {
        match value.filter(|_| is_used(at)) {
            Some(bytes) => {
                written.put_u32(bytes.len() as u32);
                written.put_slice(bytes);
            }
            None => written.put_i32(-1),
        }
    }
    let types = (0..count).map(|at| if is_used(at) { 0 } else { TEXT }).collect();
    BindParameters::from_section(written.freeze()).with_types(types)
}

struct Section<'p> {
    formats: &'p [u8],
    values: &'p [u8],
    count: usize,
}

impl<'p> Section<'p> {
    fn read(section: &'p [u8]) -> Option<Self> {
        let (formats, rest) = section.split_first_chunk::<2>()?;
        let (formats, rest) = rest.split_at_checked(2 * usize::from(u16::from_be_bytes(*formats)))?;
        let (count, values) = rest.split_first_chunk::<2>()?;
        Some(Self { formats, values, count: u16::from_be_bytes(*count).into() })
    }

    fn is_binary(&self, at: usize) -> bool {
        // One format is that of all.
        let at = if self.formats.len() == 2 { 0 } else { at };
        self.formats.get(2 * at + 1) == Some(&1)
    }

    fn values(&self) -> impl Iterator<Item = Option<&'p [u8]>> {
        let mut rest = self.values;
        (0..self.count).map_while(move |_| {
            let (length, after) = rest.split_first_chunk::<4>()?;
            match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => {
                    let (value, after) = after.split_at_checked(length)?;
                    rest = after;
                    Some(Some(value))
                }
                Err(_) => {
                    rest = after;
                    Some(None)
                }
            }
        })
    }
}

/// The elements of the text of an array of one dimension; `None` where it is none.
pub(crate) fn array_items(text: &str) -> Option<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut items = Vec::new();
    let mut rest = inner.trim_start();
    if rest.is_empty() {
        return Some(items);
    }
    loop {
        let after = match rest.strip_prefix('"') {
            Some(quoted) => {
                let mut item = String::new();
                let mut each = quoted.char_indices();
                let end = loop {
                    match each.next()? {
                        (at, '"') => break at + 1,
                        (_, '\\') => item.push(each.next()?.1),
                        (_, other) => item.push(other),
                    }
                };
                items.push(Some(item));
                quoted.get(end..)?
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (item, after) = rest.split_at_checked(end)?;
                let item = item.trim();
                if item.is_empty() || item.contains(['{', '}', '"', '\\']) {
                    return None;
                }
                items.push((!item.eq_ignore_ascii_case("null")).then(|| item.to_owned()));
                after
            }
        };
        match after.trim_start() {
            "" => return Some(items),
            more => rest = more.strip_prefix(',')?.trim_start(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_by_their_position() {
        let parameters = BindParameters::from_texts(&[Some("a"), None, Some("")]);
        let found: Vec<_> = (0..4).map(|at| parameter(&parameters, at)).collect();
        assert_eq!(
            found,
            [Some(Parameter::Text("a")), Some(Parameter::Null), Some(Parameter::Text("")), None]
        );
        let fewer = only_used(&parameters, |at| at != 0);
        assert_eq!(
            (parameter(&fewer, 0), parameter(&fewer, 2)),
            (Some(Parameter::Null), Some(Parameter::Text("")))
        );
        assert_eq!(fewer.types(), [25, 0, 0]);
        assert_eq!(only_used(&parameters, |_| true), parameters);
    }

    #[test]
    fn elements_of_arrays_are_read_as_the_server_does() {
        let items = |text| {
            array_items(text)
                .map(|items| items.into_iter().map(|i| i.unwrap_or("-".into())).collect::<Vec<_>>())
        };
        assert_eq!(items("{}").unwrap(), Vec::<String>::new());
        assert_eq!(items(r#"{1, "a\"b,", NULL,"NULL"}"#).unwrap(), ["1", "a\"b,", "-", "NULL"]);
        for text in ["", "1", "{1", "{{1}}", "{1,}", "{\"a}"] {
            assert_eq!(items(text), None, "{text}");
        }
    }
}
