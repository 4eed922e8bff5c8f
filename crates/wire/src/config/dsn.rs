//! Connection strings of the form `host=localhost dbname='my db'`.

use std::iter::Peekable;
use std::str::Chars;

use super::settings::Settings;
use crate::error::ConfigError;

/// Reads `name = value` pairs. A value with spaces stands in single quotes; `\` takes the next character as it is.
pub(super) fn read(text: &str, settings: &mut Settings) -> Result<(), ConfigError> {
    let mut rest = text.chars().peekable();
    loop {
        skip_spaces(&mut rest);
        if rest.peek().is_none() {
            return Ok(());
        }
        let name = read_name(&mut rest)?;
        skip_spaces(&mut rest);
        let value = read_value(&mut rest, &name)?;
        settings.set(&name, value)?;
    }
}

fn skip_spaces(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|character| character.is_ascii_whitespace()).is_some() {}
}

/// Reads a name and the `=` after it. The message does not repeat the text: it may be the end of a password
/// whose quotes were forgotten.
fn read_name(rest: &mut Peekable<Chars<'_>>) -> Result<String, ConfigError> {
    let mut name = String::new();
    while let Some(character) =
        rest.next_if(|character| *character != '=' && !character.is_ascii_whitespace())
    {
        name.push(character);
    }
    skip_spaces(rest);
    match rest.next() {
        Some('=') if !name.is_empty() => Ok(name),
        Some('=') => Err(ConfigError::new("connection string", "a = has no name before it")),
        _ => Err(ConfigError::new(
            "connection string",
            "a word has no = after it (it must be a URI or name=value pairs; a value with spaces needs single quotes)",
        )),
    }
}

fn read_value(rest: &mut Peekable<Chars<'_>>, name: &str) -> Result<String, ConfigError> {
    let quoted = rest.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match rest.next() {
            None if quoted => {
                return Err(ConfigError::new(
                    super::settings::printable(name),
                    "the closing quote is missing",
                ));
            }
            None => return Ok(value),
            Some('\'') if quoted => return Ok(value),
            Some(character) if !quoted && character.is_ascii_whitespace() => return Ok(value),
            // A backslash at the very end stands for nothing.
            Some('\\') => value.extend(rest.next()),
            Some(character) => value.push(character),
        }
    }
}
