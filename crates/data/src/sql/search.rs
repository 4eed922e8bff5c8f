//! Finding rows by a text within their fields.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

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
        if cases.len() > 1 {
            pattern.push('[');
            pattern.extend(cases);
            pattern.push(']');
        } else {
            pattern.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
        }
    }
    pattern
}

/// A letter in all its cases, by Unicode's simple folding; the final sigma, for one, has two others.
fn cases_of(character: char) -> Vec<char> {
    let mut class = ClassUnicode::new([ClassUnicodeRange::new(character, character)]);
    class.case_fold_simple();
    class.ranges().iter().flat_map(|range| range.start()..=range.end()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_match_in_either_case_and_signs_stand_for_themselves() {
        assert_eq!(pattern_of("Aé1"), "[Aa][Éé]1");
        assert_eq!(pattern_of("a.*%_"), r"[Aa]\.\*%_");
        assert_eq!(pattern_of("ς"), "[Σςσ]");
        assert_eq!(pattern_of("日\0"), "日\0");
        let matching = regex::Regex::new(&pattern_of("[x]^\\-é")).unwrap();
        assert!(matching.is_match("a [X]^\\-É b") && !matching.is_match("x"));
    }
}
