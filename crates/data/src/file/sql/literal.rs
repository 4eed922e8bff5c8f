//! The values of a row of an INSERT.

use std::path::Path;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, UnaryOperator, Value as Literal,
};
use sqlparser::parser::Parser;

use super::super::cell::{Raw, hexadecimal, number};
use super::super::error::format_error;
use super::super::spec::SqlFlavor;
use crate::error::Result;
use crate::value::Value;

/// The values of `(…, …)`.
///
/// # Errors
/// The row is no list of values; the file and the line are named.
pub(super) fn read_row(text: &str, flavor: SqlFlavor, path: &Path, line: u64) -> Result<Vec<Raw>> {
    let parsed = Parser::new(flavor.syntax()).try_with_sql(text).and_then(|mut parser| parser.parse_expr());
    let values = match parsed {
        Ok(Expr::Tuple(values)) => values,
        Ok(Expr::Nested(value)) => vec![*value],
        Ok(_) => return Err(format_error(path, line, "expected a row of values in parentheses")),
        Err(error) => return Err(format_error(path, line, format!("the row cannot be read: {error}"))),
    };
    let mut row = Vec::with_capacity(values.len());
    for (position, value) in values.into_iter().enumerate() {
        row.push(constant(value).ok_or_else(|| {
            format_error(
                path,
                line,
                format!("value {} is an expression that only its database can evaluate", position + 1),
            )
        })?);
    }
    Ok(row)
}

fn constant(expression: Expr) -> Option<Raw> {
    match expression {
        Expr::Value(literal) => literal_value(literal.value),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => constant(*inner),
        Expr::TypedString(typed) => literal_value(typed.value.value),
        Expr::Prefixed { prefix, value } => prefixed(&prefix.value, constant(*value)?),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match *expr {
            Expr::Value(literal) => match literal.value {
                Literal::Number(digits, _) => exact_number(&format!("-{digits}")),
                _ => None,
            },
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Plus, expr } => constant(*expr),
        Expr::Identifier(name) if name.quote_style == Some('"') => Some(Raw::Cell(name.value)),
        // The target's own default cannot be known; generated columns are dumped so.
        Expr::Identifier(name) if name.value.eq_ignore_ascii_case("DEFAULT") => Some(Raw::Null),
        Expr::Function(call) => called(&call),
        _ => None,
    }
}

fn literal_value(literal: Literal) -> Option<Raw> {
    Some(match literal {
        Literal::Null => Raw::Null,
        Literal::Boolean(flag) => Raw::Plain(Value::Bool(flag)),
        Literal::Number(digits, _) => exact_number(&digits)?,
        Literal::HexStringLiteral(digits) => Raw::Plain(Value::Bytes(hexadecimal(&digits)?.into())),
        // Bits of MySQL.
        Literal::SingleQuotedByteStringLiteral(bits) => {
            Raw::Plain(Value::Int64(i64::from_str_radix(&bits, 2).ok()?))
        }
        Literal::DollarQuotedString(quoted) => Raw::Cell(quoted.value),
        Literal::EscapedStringLiteral(text)
        | Literal::UnicodeStringLiteral(text)
        | Literal::SingleQuotedString(text)
        | Literal::DoubleQuotedString(text)
        | Literal::NationalStringLiteral(text) => Raw::Cell(text),
        _ => return None,
    })
}

/// SQLite writes infinity as a number that no double holds.
fn exact_number(digits: &str) -> Option<Raw> {
    if let Ok(integer) = digits.parse::<i64>() {
        return Some(Raw::Plain(Value::Int64(integer)));
    }
    Some(Raw::Plain(match digits {
        "9e999" | "9.0e+999" | "1e999" | "1e+999" => Value::Float(f64::INFINITY),
        "-9e999" | "-9.0e+999" | "-1e999" | "-1e+999" => Value::Float(f64::NEG_INFINITY),
        digits => number(digits)?,
    }))
}

/// A literal behind a word of MySQL, such as the name of its character set.
fn prefixed(prefix: &str, value: Raw) -> Option<Raw> {
    match value {
        Raw::Cell(text) if prefix.eq_ignore_ascii_case("_binary") => {
            Some(Raw::Plain(Value::Bytes(text.into_bytes().into())))
        }
        value if prefix.starts_with('_') => Some(value),
        _ => None,
    }
}

/// The functions by which SQLite's shell writes line breaks in text.
fn called(call: &Function) -> Option<Raw> {
    let arguments = arguments(call)?;
    let text = |position: usize| match arguments.get(position) {
        Some(Raw::Cell(text)) => Some(text.clone()),
        _ => None,
    };
    match call.name.to_string().to_ascii_lowercase().as_str() {
        "replace" => Some(Raw::Cell(text(0)?.replace(&text(1)?, &text(2)?))),
        "char" => match arguments.first()? {
            Raw::Plain(Value::Int64(code)) => {
                Some(Raw::Cell(char::from_u32(u32::try_from(*code).ok()?)?.to_string()))
            }
            _ => None,
        },
        "unistr" => unistr(&text(0)?).map(Raw::Cell),
        _ => None,
    }
}

fn arguments(call: &Function) -> Option<Vec<Raw>> {
    let FunctionArguments::List(list) = &call.args else { return None };
    let values = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => constant(expression.clone()),
        _ => None,
    });
    values.collect()
}

/// Text in which `\XXXX`, `\uXXXX`, `\+XXXXXX` and `\UXXXXXXXX` are characters, and `\\` is a backslash.
fn unistr(text: &str) -> Option<String> {
    let mut read = String::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        read.push_str(before);
        let (skipped, digits) = match escape.chars().next()? {
            '\\' => {
                read.push('\\');
                rest = escape.get(1..)?;
                continue;
            }
            'u' => (1, 4),
            '+' => (1, 6),
            'U' => (1, 8),
            _ => (0, 4),
        };
        let code = u32::from_str_radix(escape.get(skipped..skipped + digits)?, 16).ok()?;
        read.push(char::from_u32(code)?);
        rest = escape.get(skipped + digits..)?;
    }
    read.push_str(rest);
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str, flavor: SqlFlavor) -> Vec<Raw> {
        read_row(text, flavor, Path::new("d.sql"), 7).unwrap()
    }

    fn cell(text: &str) -> Raw {
        Raw::Cell(text.to_owned())
    }

    fn plain(value: impl Into<Value>) -> Raw {
        Raw::Plain(value.into())
    }

    #[test]
    fn the_literals_of_postgres_are_read() {
        assert_eq!(
            row(
                r"(1, -2.50, NULL, 'it''s \n', E'a\tb', true, '\x00ff', DATE '2024-01-01', '5'::int8, DEFAULT)",
                SqlFlavor::Postgres
            ),
            [
                plain(1i64),
                plain(-2.5),
                Raw::Null,
                cell("it's \\n"),
                cell("a\tb"),
                plain(true),
                cell("\\x00ff"),
                cell("2024-01-01"),
                cell("5"),
                Raw::Null
            ]
        );
    }

    #[test]
    fn the_literals_of_mysql_are_read() {
        assert_eq!(
            row(r#"('it\'s\n\\', "x", 0x00FF, _binary 'ab', b'1', 12345678901234567890)"#, SqlFlavor::Mysql),
            [
                cell("it's\n\\"),
                cell("x"),
                plain(Value::Bytes(vec![0, 255].into())),
                plain(Value::Bytes(b"ab".to_vec().into())),
                plain(1i64),
                plain(Value::Decimal("12345678901234567890".into()))
            ]
        );
    }

    #[test]
    fn the_literals_of_sqlite_are_read() {
        assert_eq!(
            row(
                r"(X'00ff', 9e999, replace('a\nb','\n',char(10)), unistr('a\u000ab'), 1.5e+20)",
                SqlFlavor::Sqlite
            ),
            [
                plain(Value::Bytes(vec![0, 255].into())),
                plain(f64::INFINITY),
                cell("a\nb"),
                cell("a\nb"),
                plain(1.5e20)
            ]
        );
        assert_eq!(row("('alone')", SqlFlavor::Sqlite), [cell("alone")]);
    }

    #[test]
    fn an_expression_is_refused_by_file_line_and_position() {
        let error = read_row("(1, now())", SqlFlavor::Postgres, Path::new("d.sql"), 7).unwrap_err();
        assert!(error.to_string().starts_with("d.sql:7: value 2 is an expression"), "{error}");
        let error = read_row("(1, ,)", SqlFlavor::Postgres, Path::new("d.sql"), 7).unwrap_err();
        assert!(error.to_string().starts_with("d.sql:7: the row cannot be read"), "{error}");
    }
}
