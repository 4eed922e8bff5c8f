//! Compiling a filter into the condition of a WHERE clause.

use super::documents::check_json;
use super::fields::Fields;
use super::junction::Junction;
use super::link_condition::push_link_condition;
use super::statement::Statement;
use super::syntax::{JsonTest, SqlSyntax, fit_operand};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Condition, FieldPath, Filter};
use crate::schema::{EntitySchema, FieldType};
use crate::value::Value;

/// What a filter is compiled against.
pub(super) struct Scope<'a> {
    pub(super) schema: &'a EntitySchema,
    pub(super) fields: &'a Fields,
    pub(super) syntax: &'static dyn SqlSyntax,
    /// Before the names of tables.
    pub(super) prefix: &'a str,
}

impl Scope<'_> {
    /// The junction that a name means: that of a many-to-many relation, which has no column.
    fn junction(&self, path: &FieldPath) -> Option<Junction> {
        let is_of_rows = self.fields.outputs().is_none();
        let is_relation = is_of_rows && path.below.is_empty() && self.fields.get(&path.field).is_none();
        if is_relation { Junction::of(self.schema, &path.field, self.prefix) } else { None }
    }
}

/// Appends ` WHERE …` unless every row passes.
///
/// # Errors
/// [`ErrorKind::Filter`](crate::ErrorKind::Filter).
pub(super) fn push_where(sql: &mut Statement, scope: &Scope<'_>, filter: &Filter) -> Result<()> {
    if matches!(filter, Filter::All(parts) if parts.is_empty()) {
        return Ok(());
    }
    sql.push(" WHERE ");
    push_filter(sql, scope, filter)
}

fn push_filter(sql: &mut Statement, scope: &Scope<'_>, filter: &Filter) -> Result<()> {
    match filter {
        Filter::All(parts) => push_parts(sql, parts, " AND ", "1 = 1", |sql, part| match part {
            Filter::Field(path, condition) => {
                push_condition(sql, scope, path, condition, upper_bound(parts, path))
            }
            part => push_filter(sql, scope, part),
        }),
        Filter::Any(parts) => {
            push_parts(sql, parts, " OR ", "1 = 0", |sql, part| push_filter(sql, scope, part))
        }
        Filter::Field(path, condition) => push_condition(sql, scope, path, condition, None),
    }
}

fn push_parts(
    sql: &mut Statement,
    parts: &[Filter],
    between: &str,
    none: &str,
    push_part: impl Fn(&mut Statement, &Filter) -> Result<()>,
) -> Result<()> {
    if parts.is_empty() {
        sql.push(none);
        return Ok(());
    }
    push_tree(sql, parts, between, &push_part)
}

/// Appends conditions with an operator between them. Very many are put into halves, as each operator of a long chain is
/// one level deeper than the one before it, and databases bound the depth of an expression.
fn push_tree<T>(
    sql: &mut Statement,
    parts: &[T],
    between: &str,
    push_part: &impl Fn(&mut Statement, &T) -> Result<()>,
) -> Result<()> {
    const LONGEST_CHAIN: usize = 50;
    sql.push("(");
    if parts.len() > LONGEST_CHAIN {
        let (first, second) = parts.split_at(parts.len() / 2);
        push_tree(sql, first, between, push_part)?;
        sql.push(between);
        push_tree(sql, second, between, push_part)?;
    } else {
        for (i, part) in parts.iter().enumerate() {
            sql.push(if i > 0 { between } else { "" });
            push_part(sql, part)?;
        }
    }
    sql.push(")");
    Ok(())
}

/// What bounds a field from above among conditions that hold together.
fn upper_bound<'a>(parts: &'a [Filter], path: &FieldPath) -> Option<&'a Value> {
    parts.iter().find_map(|part| match part {
        Filter::Field(other, Condition::Lt(value) | Condition::Lte(value)) if other == path => Some(value),
        _ => None,
    })
}

fn push_condition(
    sql: &mut Statement,
    scope: &Scope<'_>,
    path: &FieldPath,
    condition: &Condition,
    upper: Option<&Value>,
) -> Result<()> {
    if let Some(junction) = scope.junction(path) {
        return push_link_condition(sql, scope.syntax, &junction, &path.field, condition);
    }
    let (column, below) = scope.fields.resolve(scope.schema, path)?;
    let quoted = scope.syntax.quote(&column.name);
    if column.is_json() {
        // A list field contains a single value; anything else equals as a whole.
        let contains = column.field_type == FieldType::Array && below.is_empty();
        let place = format!("filter on \"{path}\"");
        condition.operands().iter().try_for_each(|operand| check_json(&place, operand, ErrorKind::Filter))?;
        return JsonPlace { scope, column: &quoted, below, contains }.push(sql, condition);
    }
    ScalarColumn { scope, field: &path.field, column: &quoted, field_type: column.field_type, upper }
        .push(sql, condition)
}

/// A column that holds one plain value.
struct ScalarColumn<'a> {
    scope: &'a Scope<'a>,
    field: &'a str,
    column: &'a str,
    field_type: FieldType,
    /// The operand of another condition that bounds the field from above.
    upper: Option<&'a Value>,
}

impl ScalarColumn<'_> {
    fn push(&self, sql: &mut Statement, condition: &Condition) -> Result<()> {
        match condition {
            Condition::Eq(Value::Null) | Condition::Exists(false) => {
                sql.push(self.column).push(" IS NULL");
            }
            Condition::Ne(Value::Null) | Condition::Exists(true) => {
                sql.push(self.column).push(" IS NOT NULL");
            }
            Condition::Eq(value) => self.compare(sql, " = ", value)?,
            // IS NOT TRUE holds where the comparison is NULL, so a row without a value is another one.
            Condition::Ne(value) => {
                sql.push("(");
                self.compare(sql, " = ", value)?;
                sql.push(") IS NOT TRUE");
            }
            Condition::Gt(value) => self.compare(sql, " > ", value)?,
            Condition::Gte(value) => self.compare(sql, " >= ", value)?,
            Condition::Lt(value) => self.compare(sql, " < ", value)?,
            Condition::Lte(value) => self.compare(sql, " <= ", value)?,
            Condition::In(values) => self.one_of(sql, values)?,
            Condition::Nin(values) => {
                sql.push("(");
                self.one_of(sql, values)?;
                sql.push(") IS NOT TRUE");
            }
            Condition::Regex { pattern, ignore_case } => self.matches(sql, pattern, *ignore_case)?,
        }
        Ok(())
    }

    fn compare(&self, sql: &mut Statement, operator: &str, value: &Value) -> Result<()> {
        let value = self.operand(value)?;
        if self.field_type == FieldType::Date {
            let upper = self.upper.map(|upper| self.operand(upper)).transpose()?;
            self.scope.syntax.compare_date(sql, self.column, operator, value, upper.as_ref());
        } else {
            self.scope.syntax.compare(sql, self.column, operator, value);
        }
        Ok(())
    }

    fn one_of(&self, sql: &mut Statement, values: &[Value]) -> Result<()> {
        let given = values
            .iter()
            .filter(|value| !value.is_null())
            .map(|value| self.operand(value))
            .collect::<Result<Vec<_>>>()?;
        let with_null = given.len() < values.len();
        match (given.is_empty(), with_null) {
            (true, true) => {
                sql.push(self.column).push(" IS NULL");
            }
            (true, false) => {
                sql.push("1 = 0");
            }
            (false, false) => self.scope.syntax.one_of(sql, self.column, given),
            (false, true) => {
                sql.push("(");
                self.scope.syntax.one_of(sql, self.column, given);
                sql.push(" OR ").push(self.column).push(" IS NULL)");
            }
        }
        Ok(())
    }

    fn matches(&self, sql: &mut Statement, pattern: &str, ignore_case: bool) -> Result<()> {
        self.scope.syntax.check_pattern(pattern)?;
        match self.field_type {
            FieldType::String | FieldType::Text => {
                self.scope.syntax.matches(sql, self.column, pattern, ignore_case)
            }
            // Numbers, booleans and dates are no text, so nothing matches.
            _ => {
                sql.push("1 = 0");
            }
        }
        Ok(())
    }

    fn operand(&self, value: &Value) -> Result<Value> {
        let value = fit_operand(self.field, self.field_type, value.clone())?;
        let stored =
            self.scope.syntax.store(&format_args!("filter on \"{}\"", self.field), self.field_type, value);
        stored.map_err(|error| Error::new(ErrorKind::Filter, error.to_string()))
    }
}

/// A JSON column, or a place within it.
struct JsonPlace<'a> {
    scope: &'a Scope<'a>,
    column: &'a str,
    below: &'a [String],
    contains: bool,
}

impl JsonPlace<'_> {
    fn push(&self, sql: &mut Statement, condition: &Condition) -> Result<()> {
        match condition {
            Condition::Eq(Value::Null) | Condition::Exists(false) => {
                self.not(sql, |sql| self.test(sql, JsonTest::HasValue))
            }
            Condition::Ne(Value::Null) | Condition::Exists(true) => self.test(sql, JsonTest::HasValue),
            Condition::Eq(value) => self.equals(sql, value),
            Condition::Ne(value) => self.not(sql, |sql| self.equals(sql, value)),
            Condition::Gt(value) => self.test(sql, JsonTest::Compare(">", value.clone())),
            Condition::Gte(value) => self.test(sql, JsonTest::Compare(">=", value.clone())),
            Condition::Lt(value) => self.test(sql, JsonTest::Compare("<", value.clone())),
            Condition::Lte(value) => self.test(sql, JsonTest::Compare("<=", value.clone())),
            Condition::In(values) => self.one_of(sql, values),
            Condition::Nin(values) => self.not(sql, |sql| self.one_of(sql, values)),
            Condition::Regex { pattern, ignore_case } => {
                self.scope.syntax.check_pattern(pattern)?;
                self.test(sql, JsonTest::Matches { pattern: pattern.clone(), ignore_case: *ignore_case });
            }
        }
        Ok(())
    }

    fn equals(&self, sql: &mut Statement, value: &Value) {
        match value {
            Value::Null => self.not(sql, |sql| self.test(sql, JsonTest::HasValue)),
            Value::Array(_) => self.test(sql, JsonTest::Equals(value.clone())),
            item if self.contains => self.test(sql, JsonTest::Contains(item.clone())),
            value => self.test(sql, JsonTest::Equals(value.clone())),
        }
    }

    fn one_of(&self, sql: &mut Statement, values: &[Value]) {
        if values.is_empty() {
            sql.push("1 = 0");
            return;
        }
        let is_item = |value: &Value| self.contains && !matches!(value, Value::Null | Value::Array(_));
        let (items, others): (Vec<Value>, Vec<Value>) =
            values.iter().cloned().partition(|value| is_item(value));
        sql.push("(");
        let others = match items.len() > 1
            && self.scope.syntax.json_contains_any(sql, self.column, self.below, &items)
        {
            true if others.is_empty() => {
                sql.push(")");
                return;
            }
            true => {
                sql.push(" OR ");
                others.as_slice()
            }
            false => values,
        };
        // Nothing of it can fail.
        drop(push_tree(sql, others, " OR ", &|sql, value| {
            self.equals(sql, value);
            Ok(())
        }));
        sql.push(")");
    }

    fn not(&self, sql: &mut Statement, push: impl FnOnce(&mut Statement)) {
        sql.push("(");
        push(sql);
        sql.push(") IS NOT TRUE");
    }

    fn test(&self, sql: &mut Statement, test: JsonTest) {
        self.scope.syntax.json_test(sql, self.column, self.below, &test);
    }
}
