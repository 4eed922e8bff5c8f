//! Comments that turn rules off: `-- pgm-lint-ignore rule, rule: why`, and `-- pgm-lint-ignore-file rule`.

use pg_query::protobuf::Token;

use super::report::LintTarget;

const MARK: &str = "pgm-lint-ignore";
const OF_FILE: &str = "-file";

/// A comment that turns rules off.
#[derive(Debug, PartialEq)]
struct Ignore {
    line: usize,
    of_file: bool,
    /// All rules when there are none.
    rules: Vec<String>,
}

/// The comments of a migration that turn rules off.
#[derive(Debug, Default)]
pub(super) struct Ignores {
    list: Vec<Ignore>,
}

impl Ignores {
    pub(super) fn of(target: &LintTarget) -> Self {
        let mut list = Vec::new();
        for comment in &target.comments {
            list.extend(read(&comment.text, comment.line));
        }
        for text in target.texts.iter().filter(|text| text.sql.contains(MARK)) {
            let Ok(tokens) = pg_query::scan(&text.sql) else { continue };
            for token in tokens.tokens {
                let is_comment =
                    matches!(Token::try_from(token.token), Ok(Token::SqlComment | Token::CComment));
                let (Ok(start), Ok(end)) = (usize::try_from(token.start), usize::try_from(token.end)) else {
                    continue;
                };
                let found = text.sql.get(start..end).filter(|_| is_comment);
                let before = text.sql.get(..start).unwrap_or_default();
                let line = text.line.max(1) + before.matches('\n').count();
                list.extend(found.and_then(|comment| read(comment, line)));
            }
        }
        list.sort_by_key(|ignore: &Ignore| ignore.line);
        Self { list }
    }

    /// Whether a rule is turned off for a statement: by a comment within its lines, or by one between it and the statement
    /// before it, which ends on the line `after`.
    pub(super) fn covers(&self, rule: &str, lines: (usize, usize), after: usize) -> bool {
        self.list.iter().any(|ignore| {
            let is_here = ignore.of_file || ignore.line > after && ignore.line <= lines.1;
            is_here && (ignore.rules.is_empty() || ignore.rules.iter().any(|named| named == rule))
        })
    }

    /// The rules that comments name, with their lines.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, usize)> {
        self.list.iter().flat_map(|ignore| ignore.rules.iter().map(|rule| (rule.as_str(), ignore.line)))
    }
}

fn read(comment: &str, line: usize) -> Option<Ignore> {
    let (_, after) = comment.split_once(MARK)?;
    let (of_file, after) = match after.strip_prefix(OF_FILE) {
        Some(after) => (true, after),
        None => (false, after),
    };
    // What follows a colon says why.
    let names = after.split(':').next().unwrap_or_default().trim_end_matches("*/");
    let names = names.split([',', ' ', '\t']).map(str::trim).filter(|name| !name.is_empty());
    Some(Ignore { line, of_file, rules: names.map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_name_rules_and_may_say_why() {
        let of = |text: &str| read(text, 3).map(|ignore| (ignore.of_file, ignore.rules));
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(of("-- pgm-lint-ignore a-b, c: nobody uses it"), Some((false, names(&["a-b", "c"]))));
        assert_eq!(of("/* pgm-lint-ignore-file a */"), Some((true, names(&["a"]))));
        assert_eq!(of("// pgm-lint-ignore"), Some((false, Vec::new())));
        assert_eq!(of("-- nothing"), None);
    }
}
