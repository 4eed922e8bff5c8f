//! Writing records of a CSV file.

use std::borrow::Cow;

/// Appends a record. NULL is an empty cell, an empty text a pair of quotes.
pub(in super::super) fn write_record<'a>(
    output: &mut Vec<u8>,
    cells: impl IntoIterator<Item = Option<Cow<'a, str>>>,
    delimiter: u8,
) {
    for (position, cell) in cells.into_iter().enumerate() {
        if position > 0 {
            output.push(delimiter);
        }
        let Some(cell) = cell else { continue };
        let needs_quotes = |byte: u8| byte == delimiter || matches!(byte, b'"' | b'\r' | b'\n');
        if !cell.is_empty()
            && !cell.starts_with(' ')
            && !cell.ends_with(' ')
            && !cell.bytes().any(needs_quotes)
        {
            output.extend_from_slice(cell.as_bytes());
            continue;
        }
        output.push(b'"');
        output.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
        output.push(b'"');
    }
    output.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cells_that_need_them_have_quotes() {
        let mut output = Vec::new();
        let cells = [Some("a".into()), None, Some("".into()), Some("b,\"c\"\n".into()), Some(" d".into())];
        write_record(&mut output, cells, b',');
        assert_eq!(String::from_utf8(output).unwrap(), "a,,\"\",\"b,\"\"c\"\"\n\",\" d\"\r\n");
    }
}
