//! Finding rows by a text within their fields.

use crate::error::Result;
use crate::filter::{Condition, FieldPath, Filter};
use crate::schema::{EntitySchema, FieldType};

/// The filter that one of the fields contains a text, in either case of its letters; without fields, one of the string
/// and text fields.
///
/// # Errors
/// [`ErrorKind::Filter`](crate::ErrorKind::Filter) if something is no field name.
pub(super) fn containing(schema: &EntitySchema, text: &str, fields: &[String]) -> Result<Filter> {
    let searched: Vec<FieldPath> = if fields.is_empty() {
        let is_text = |field_type| matches!(field_type, FieldType::String | FieldType::Text);
        let texts = schema.fields.iter().filter(|(_, field)| is_text(field.field_type));
        texts.map(|(name, _)| FieldPath { field: name.clone(), below: Vec::new() }).collect()
    } else {
        fields.iter().map(|field| FieldPath::parse(field)).collect::<Result<_>>()?
    };
    let condition = Condition::Regex { pattern: pattern_of(text), ignore_case: false };
    Ok(Filter::Any(searched.into_iter().map(|path| Filter::Field(path, condition.clone())).collect()))
}

/// A pattern that matches a text in either case. Both cases of each letter are written out, because what a database
/// takes for the same letter in another case depends on its locale.
fn pattern_of(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() * 4);
    for character in text.chars() {
        let cases = cases_of(character);
        match cases.as_slice() {
            [single] => pattern.push_str(&regex::escape(single.encode_utf8(&mut [0; 4]))),
            cases => {
                pattern.push('[');
                pattern.extend(cases);
                pattern.push(']');
            }
        }
    }
    pattern
}

/// A character with its other cases, as far as these are single characters.
fn cases_of(character: char) -> Vec<char> {
    fn single(mut characters: impl Iterator<Item = char>) -> Option<char> {
        characters.next().filter(|_| characters.next().is_none())
    }
    let mut cases = vec![character];
    let (lower, upper) = (single(character.to_lowercase()), single(character.to_uppercase()));
    // A final sigma and the long s have the same capital as another letter.
    let of_upper = upper.and_then(|upper| single(upper.to_lowercase()));
    for case in [lower, upper, of_upper].into_iter().flatten() {
        if !cases.contains(&case) {
            cases.push(case);
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_match_in_either_case_and_signs_stand_for_themselves() {
        assert_eq!(pattern_of("Aé1"), "[Aa][éÉ]1");
        assert_eq!(pattern_of("a.*%_"), r"[aA]\.\*%_");
        assert_eq!(pattern_of("ς"), "[ςΣσ]");
        assert_eq!(pattern_of("ß"), "ß");
        let matching = regex::Regex::new(&pattern_of("[x]^\\-é")).unwrap();
        assert!(matching.is_match("a [X]^\\-É b") && !matching.is_match("x"));
    }
}
