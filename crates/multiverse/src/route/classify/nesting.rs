//! How deep the syntax tree of a text may get, known before it is parsed.
//!
//! The parser and all who walk its tree recurse, and a chain like `1 + 1 + 1 + …` nests once per operator. Without a bound
//! a text could overflow the stack, so the bound decides how much stack the parser is given, or that it is not called.

use pg_query::protobuf::Token;

use super::parse;

/// An upper bound of the depth of the text's syntax tree; `None` when the text does not even consist of tokens.
pub(super) fn depth_bound(sql: &str) -> Option<usize> {
    parse::scan(sql, depth_of)
}

/// No tree is deeper than the number of tokens that are not set apart by a comma, or by AND and OR, which make lists.
fn depth_of(tokens: &mut dyn Iterator<Item = i32>) -> usize {
    let mut groups = Vec::new();
    let mut group = Group::default();
    let mut depth = 0;
    for token in tokens {
        match Token::try_from(token) {
            Ok(Token::Ascii40 | Token::Ascii91 | Token::Case) => {
                groups.push(group);
                depth += 3;
                group = Group { base: depth, deepest: depth };
            }
            Ok(Token::Ascii41 | Token::Ascii93 | Token::EndP) => {
                // What follows the group may take all of it as its left side.
                depth = depth.max(group.deepest);
                if let Some(outer) = groups.pop() {
                    group = Group { base: outer.base, deepest: outer.deepest.max(depth) };
                }
            }
            Ok(Token::Ascii44 | Token::Ascii59 | Token::And | Token::Or) => depth = group.base,
            _ => depth += 1,
        }
        group.deepest = group.deepest.max(depth);
    }
    groups.iter().fold(group.deepest, |deepest, group| deepest.max(group.deepest))
}

/// What stands between parentheses, brackets, or CASE and END.
#[derive(Default)]
struct Group {
    /// The depth at its beginning.
    base: usize,
    /// The greatest depth in it so far.
    deepest: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_flat_and_long_chains_are_deep() {
        let list = format!("SELECT * FROM t WHERE id IN ({})", vec!["$1"; 10_000].join(", "));
        let conditions = format!("SELECT 1 WHERE {}", vec!["a = 1"; 10_000].join(" OR "));
        let chain = format!("SELECT {}", vec!["1"; 10_000].join(" + "));
        let parentheses = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(depth_bound(&list).unwrap() < 50 && depth_bound(&conditions).unwrap() < 50);
        assert!(depth_bound(&chain).unwrap() >= 10_000 && depth_bound(&parentheses).unwrap() >= 5_000);
    }

    #[test]
    fn a_chain_after_a_group_adds_to_the_depth_of_the_group() {
        let inner = vec!["1"; 1_000].join(" + ");
        let sum = format!("SELECT f({inner}, 2) + {inner}");
        let cases = format!("SELECT {} 1 {}", "CASE WHEN a AND b THEN ".repeat(500), "END ".repeat(500));
        assert!(depth_bound(&sum).unwrap() >= 3_500 && depth_bound(&cases).unwrap() >= 1_500);
    }

    #[test]
    fn parentheses_in_strings_and_comments_close_nothing() {
        let text = format!("SELECT {}1{}", "(')' /* ) */ || ".repeat(500), ")".repeat(500));
        assert!(depth_bound(&text).unwrap() >= 1_000);
    }
}
