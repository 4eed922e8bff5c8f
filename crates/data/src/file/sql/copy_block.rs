//! The rows of a COPY block, in PostgreSQL's text format.

use super::super::cell::Raw;

/// The values of a line: separated by tabs, `\N` is NULL, a backslash escapes.
pub(super) fn read_line(line: &str) -> Vec<Raw> {
    line.split('\t').map(|cell| if cell == "\\N" { Raw::Null } else { Raw::Cell(unescape(cell)) }).collect()
}

fn unescape(cell: &str) -> String {
    if !cell.contains('\\') {
        return cell.to_owned();
    }
    let mut text = String::with_capacity(cell.len());
    let mut rest = cell.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match rest.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('v') => text.push('\u{b}'),
            Some(other) => text.push(other),
            None => text.push('\\'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_escapes_are_told_from_text() {
        let cell = |text: &str| Raw::Cell(text.to_owned());
        assert_eq!(
            read_line("1\t\\N\t\ta\\tb\\\\N\\n\t\\\\x00"),
            [cell("1"), Raw::Null, cell(""), cell("a\tb\\N\n"), cell("\\x00")]
        );
    }
}
