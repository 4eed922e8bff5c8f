//! The text of a whole row, taken apart.

/// The columns of a row as PostgreSQL writes it: between parentheses, with commas between; `None` is NULL.
pub(super) fn fields(text: &str) -> Option<Vec<Option<String>>> {
    let mut rest = text.strip_prefix('(')?.strip_suffix(')')?.chars().peekable();
    let mut fields = Vec::new();
    loop {
        let mut field = None;
        let mut is_quoted = false;
        loop {
            match rest.next() {
                Some(',') if !is_quoted => break,
                None if is_quoted => return None,
                None => {
                    fields.push(field);
                    return Some(fields);
                }
                // A quote within quotes is doubled; one at the end or the beginning is none of the value.
                Some('"') if is_quoted && rest.peek() == Some(&'"') => {
                    rest.next();
                    field.get_or_insert_with(String::new).push('"');
                }
                Some('"') => {
                    is_quoted = !is_quoted;
                    field.get_or_insert_with(String::new);
                }
                Some('\\') => field.get_or_insert_with(String::new).push(rest.next()?),
                Some(character) => field.get_or_insert_with(String::new).push(character),
            }
        }
        fields.push(field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_apart_at_their_commas() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(fields("(1,,\"\",\"a,b\")").unwrap(), [some("1"), None, some(""), some("a,b")]);
        assert_eq!(
            fields("(\"say \"\"hi\"\"\",\"back\\\\slash\",x)").unwrap(),
            [some("say \"hi\""), some("back\\slash"), some("x")]
        );
        assert_eq!(fields("()").unwrap(), [None]);
        assert_eq!(fields("(,)").unwrap(), [None, None]);
    }

    #[test]
    fn what_is_no_row_is_refused() {
        for text in ["", "(", "1,2", "(\"a)", "(a\\)"] {
            assert_eq!(fields(text), None, "{text}");
        }
    }
}
