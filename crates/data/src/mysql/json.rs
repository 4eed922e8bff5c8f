//! Tests on JSON. A place is extracted by its path; the type of what lies there is asked before its value.

use super::server::ServerKind;
use super::text::{exact, push_match};
use crate::filter::Direction;
use crate::sql::{JsonTest, Statement};
use crate::value::{Value, json_from_value, json_text, value_from_json};

/// Segments of a path that may be a place in a list as well as a key are tried both ways, up to so many of them; further
/// ones are places in a list.
const AMBIGUOUS_SEGMENTS: usize = 4;
const NUMBERS: &str = "'INTEGER', 'UNSIGNED INTEGER', 'DOUBLE', 'DECIMAL'";
/// Up to this number a double tells integers apart.
const EXACT: u64 = 1 << 53;

/// A place within the JSON of a column.
pub(super) struct Place<'a> {
    server: ServerKind,
    column: &'a str,
    paths: Vec<Path>,
}

/// One reading of a path, and the paths that must lead to lists for it to hold. Without that, the first item of
/// something that is no list would be the thing itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Path {
    text: String,
    lists: Vec<String>,
}

impl<'a> Place<'a> {
    /// The place below some keys; the whole column where there are none.
    pub(super) fn new(server: ServerKind, column: &'a str, below: &[String]) -> Self {
        let paths = if below.is_empty() { Vec::new() } else { readings(below) };
        Self { server, column, paths }
    }

    /// Appends an expression for the JSON at this place; NULL where there is none.
    fn push(&self, sql: &mut Statement) {
        if self.paths.is_empty() {
            sql.push(self.column);
            return;
        }
        sql.push("COALESCE(");
        sql.list(&self.paths, ", ", |sql, path| {
            if !path.lists.is_empty() {
                sql.push("CASE WHEN ");
                sql.list(&path.lists, " AND ", |sql, list| {
                    sql.push("JSON_TYPE(");
                    self.push_extract(sql, list);
                    sql.push(") = 'ARRAY'");
                });
                sql.push(" THEN ");
            }
            self.push_extract(sql, &path.text);
            if !path.lists.is_empty() {
                sql.push(" END");
            }
        });
        sql.push(")");
    }

    fn push_extract(&self, sql: &mut Statement, path: &str) {
        sql.push("JSON_EXTRACT(").push(self.column).push(", ").bind(Value::from(path)).push(")");
    }

    fn push_type(&self, sql: &mut Statement) {
        sql.push("JSON_TYPE(");
        self.push(sql);
        sql.push(")");
    }

    /// The text of a JSON string, compared character by character.
    fn push_text(&self, sql: &mut Statement) {
        let mut inner = sql.part();
        inner.push("JSON_UNQUOTE(");
        self.push(&mut inner);
        inner.push(")");
        let expression = exact(self.server, inner.text());
        sql.append(&expression, inner);
    }

    /// Appends the JSON at this place as it was written; NULL where there is nothing, or null.
    pub(super) fn push_as_kept(&self, sql: &mut Statement) {
        sql.push("CASE WHEN ");
        self.push_type(sql);
        sql.push(" <> 'NULL' THEN ");
        match self.server {
            ServerKind::Mariadb => {
                let mut inner = sql.part();
                self.push(&mut inner);
                let expression = exact(self.server, inner.text());
                sql.append(&expression, inner);
            }
            ServerKind::Mysql => self.push(sql),
        }
        sql.push(" END");
    }

    /// Appends the JSON at this place in a form that is the same for equal values; NULL where there is nothing, or null.
    pub(super) fn push_canonical(&self, sql: &mut Statement) {
        sql.push("CASE WHEN ");
        self.push_type(sql);
        sql.push(" <> 'NULL' THEN ");
        match self.server {
            // MariaDB keeps the text, in which numbers and the order of keys may differ.
            ServerKind::Mariadb => {
                let mut inner = sql.part();
                inner.push("CASE WHEN ");
                self.push_type(&mut inner);
                // Integers that a double may not hold keep their digits, and so do doubles as large, which are whole.
                inner.push(" IN (").push(NUMBERS).push(") AND ABS(");
                self.push_number(&mut inner, "DOUBLE");
                inner.push(&format!(") BETWEEN {EXACT} AND 1e19 THEN CAST("));
                self.push_number(&mut inner, "DECIMAL(65,0)");
                inner.push(" AS CHAR) WHEN ");
                self.push_type(&mut inner);
                inner.push(" IN (").push(NUMBERS).push(") THEN CAST(");
                self.push_number(&mut inner, "DOUBLE");
                // There are two zeros, of which this leaves one. MariaDB forgets in which character set it has normalized
                // a document, and a conversion after that would garble it, were it not told by the cast.
                inner.push(" + 0 AS CHAR) ELSE CAST(JSON_NORMALIZE(");
                self.push(&mut inner);
                inner.push(") AS CHAR CHARACTER SET utf8mb4) END");
                let expression = exact(self.server, inner.text());
                sql.append(&expression, inner);
            }
            ServerKind::Mysql => self.push(sql),
        }
        sql.push(" END");
    }

    /// Appends the number at this place; NULL where there is something else.
    pub(super) fn push_number_or_null(&self, sql: &mut Statement) {
        sql.push("CASE WHEN ");
        self.push_type(sql);
        sql.push(" IN (").push(NUMBERS).push(") THEN ");
        self.push_number(sql, "DOUBLE");
        sql.push(" END");
    }

    fn push_number(&self, sql: &mut Statement, number_type: &str) {
        sql.push("CAST(");
        self.push(sql);
        sql.push(" AS ").push(number_type).push(")");
    }

    /// Appends the condition that this place passes the test.
    pub(super) fn push_test(&self, sql: &mut Statement, test: &JsonTest) {
        match test {
            JsonTest::HasValue => {
                self.push_type(sql);
                sql.push(" <> 'NULL'");
            }
            JsonTest::Equals(value) => self.push_equals(sql, &plain(value)),
            JsonTest::Contains(value) => {
                let value = plain(value);
                self.push_any_item(sql, |sql, item| item.push_equals(sql, &value));
            }
            JsonTest::Compare(operator, value) => self.push_compare(sql, operator, &plain(value)),
            JsonTest::Matches { pattern, ignore_case } => {
                let matches = |sql: &mut Statement, place: &Place<'_>| {
                    sql.push("CASE WHEN ");
                    place.push_type(sql);
                    sql.push(" = 'STRING' THEN ");
                    let mut text = sql.part();
                    text.push("JSON_UNQUOTE(");
                    place.push(&mut text);
                    text.push(")");
                    push_match(place.server, sql, text, pattern, *ignore_case);
                    sql.push(" END");
                };
                sql.push("(");
                matches(sql, self);
                sql.push(" OR ");
                self.push_any_item(sql, matches);
                sql.push(")");
            }
        }
    }

    /// The condition that this is a list, and one of its items passes.
    fn push_any_item(&self, sql: &mut Statement, test: impl FnOnce(&mut Statement, &Place<'_>)) {
        sql.push("EXISTS (SELECT 1 FROM JSON_TABLE(CASE WHEN ");
        self.push_type(sql);
        sql.push(" = 'ARRAY' THEN ");
        self.push(sql);
        sql.push(" ELSE JSON_ARRAY() END, '$[*]' COLUMNS (v JSON PATH '$')) AS item WHERE ");
        test(sql, &Place { server: self.server, column: "item.v", paths: Vec::new() });
        sql.push(")");
    }

    /// The two servers agree on scalars. Of documents MariaDB keeps the text, and compares what is meant when asked.
    fn push_equals(&self, sql: &mut Statement, value: &Value) {
        match (value, self.server) {
            (Value::Null, _) => {
                self.push_type(sql);
                sql.push(" = 'NULL'");
            }
            (Value::Array(_) | Value::Object(_), ServerKind::Mariadb) => {
                sql.push("JSON_EQUALS(");
                self.push(sql);
                sql.push(", ").bind(Value::Text(json_text(value))).push(")");
            }
            (Value::Array(_) | Value::Object(_), ServerKind::Mysql) => {
                self.push(sql);
                sql.push(" = CAST(").bind(Value::Text(json_text(value))).push(" AS JSON)");
            }
            (scalar, _) => self.push_compare(sql, "=", scalar),
        }
    }

    fn push_compare(&self, sql: &mut Statement, operator: &str, value: &Value) {
        let operator = format!(" {operator} ");
        sql.push("CASE WHEN ");
        self.push_type(sql);
        match value {
            Value::Bool(flag) => {
                sql.push(" = 'BOOLEAN' THEN ");
                self.push_text(sql);
                // The words stand in the order of what they mean.
                sql.push(&operator).push(if *flag { "'true'" } else { "'false'" });
            }
            Value::Text(_) => {
                sql.push(" = 'STRING' THEN ");
                self.push_text(sql);
                sql.push(&operator).bind(value.clone());
            }
            Value::Int64(number) if number.unsigned_abs() > EXACT => {
                sql.push(" IN ('INTEGER', 'UNSIGNED INTEGER') THEN ");
                self.push_number(sql, "DECIMAL(65,0)");
                sql.push(&operator).bind(value.clone()).push(" WHEN ");
                self.push_type(sql);
                sql.push(" IN ('DOUBLE', 'DECIMAL') THEN ");
                self.push_number(sql, "DOUBLE");
                sql.push(&operator).bind(value.clone());
            }
            number => match number.as_f64().filter(|number| number.is_finite()) {
                Some(number) => {
                    sql.push(" IN (").push(NUMBERS).push(") THEN ");
                    self.push_number(sql, "DOUBLE");
                    sql.push(&operator).bind(Value::Float(number));
                }
                None => drop(sql.push(" = '' THEN FALSE")),
            },
        }
        sql.push(" END");
    }

    /// Appends what to order by: no value first, then texts, then numbers by their worth.
    pub(super) fn push_order(&self, sql: &mut Statement, direction: Direction) {
        let direction = match direction {
            Direction::Ascending => " ASC",
            Direction::Descending => " DESC",
        };
        sql.push("CASE WHEN ");
        self.push_type(sql);
        sql.push(" IN (").push(NUMBERS).push(") THEN ");
        self.push_number(sql, "DOUBLE");
        sql.push(" END").push(direction).push(", CASE WHEN ");
        self.push_type(sql);
        sql.push(" <> 'NULL' THEN ");
        self.push_text(sql);
        sql.push(" END").push(direction);
    }
}

/// Appends the smallest or largest canonical value in a group. Numbers are smaller than anything else.
pub(super) fn push_extreme(server: ServerKind, sql: &mut Statement, column: &str, largest: bool) {
    let place = Place::new(server, column, &[]);
    let function = if largest { "MAX(" } else { "MIN(" };
    let numbers = |sql: &mut Statement| {
        sql.push("CAST(").push(function);
        place.push_number_or_null(sql);
        sql.push(") AS CHAR)");
    };
    let texts = |sql: &mut Statement| {
        sql.push("JSON_QUOTE(").push(function).push("CASE WHEN ");
        place.push_type(sql);
        sql.push(" = 'STRING' THEN ");
        place.push_text(sql);
        sql.push(" END))");
    };
    let others = |sql: &mut Statement| {
        sql.push(function).push("CASE WHEN ");
        place.push_type(sql);
        sql.push(" NOT IN ('NULL', 'STRING', ").push(NUMBERS).push(") THEN ").push(column).push(" END)");
    };
    sql.push("COALESCE(");
    let mut kinds: [&dyn Fn(&mut Statement); 3] = [&numbers, &texts, &others];
    if largest {
        kinds.reverse();
    }
    sql.list(kinds, ", ", |sql, kind| kind(sql));
    sql.push(")");
}

/// The value as JSON would hold it: dates and the like are text there.
fn plain(value: &Value) -> Value {
    match value {
        Value::Decimal(_) | Value::Array(_) | Value::Object(_) => crate::value::plain_value(value.clone()),
        value => value_from_json(json_from_value(value)),
    }
}

/// Every path that the keys may mean: a number is a place in a list, or the key of an object.
fn readings(below: &[String]) -> Vec<Path> {
    let mut paths = vec![Path { text: "$".to_owned(), lists: Vec::new() }];
    let mut ambiguous = 0;
    for key in below {
        let place = key.parse::<u32>().ok().filter(|place| place.to_string() == *key);
        let member = quoted_key(key);
        let Some(place) = place else {
            paths.iter_mut().for_each(|path| path.text.push_str(&member));
            continue;
        };
        ambiguous += 1;
        let items = paths.iter().map(|path| Path {
            text: format!("{}[{place}]", path.text),
            lists: path.lists.iter().cloned().chain((place == 0).then(|| path.text.clone())).collect(),
        });
        let mut both: Vec<Path> = items.collect();
        if ambiguous <= AMBIGUOUS_SEGMENTS {
            both.extend(
                paths.iter().map(|path| Path { text: format!("{}{member}", path.text), ..path.clone() }),
            );
        }
        paths = both;
    }
    paths
}

/// `."key"`, as a path has it.
fn quoted_key(key: &str) -> String {
    let mut quoted = String::with_capacity(key.len() + 3);
    quoted.push_str(".\"");
    for character in key.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(below: &[&str]) -> Vec<String> {
        let below: Vec<String> = below.iter().map(|key| (*key).to_owned()).collect();
        readings(&below).into_iter().map(|path| path.text).collect()
    }

    #[test]
    fn a_number_in_a_path_is_a_place_or_a_key() {
        assert_eq!(texts(&["a", "b\"c"]), [r#"$."a"."b\"c""#]);
        assert_eq!(texts(&["a", "1"]), [r#"$."a"[1]"#, r#"$."a"."1""#]);
        assert_eq!(texts(&["01"]), [r#"$."01""#]);
        assert_eq!(texts(&["1"; 30]).len(), 1 << AMBIGUOUS_SEGMENTS);
    }

    #[test]
    fn the_first_item_is_only_that_of_a_list() {
        let first = readings(&["a".to_owned(), "0".to_owned()]).remove(0);
        assert_eq!(first, Path { text: r#"$."a"[0]"#.to_owned(), lists: vec![r#"$."a""#.to_owned()] });
    }
}
