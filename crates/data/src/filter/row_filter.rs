//! A filter asked of rows in memory. It means there what it means to the database that the rows come from; what cannot be
//! made to mean the same is refused beforehand.

use super::row_test::{Test, has_value};
use super::{Condition, FieldPath, Filter};
use crate::dialect::DialectKind;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::ID;
use crate::table::{ColumnType, Table};
use crate::value::Value;

/// The key of documents, as MongoDB calls it.
const DOCUMENT_KEY: &str = "_id";

/// A filter made ready for the rows of one table.
#[derive(Debug, Clone)]
pub struct RowFilter(Node);

#[derive(Debug, Clone)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Test(Place, Test),
}

/// Where a row has the value of a field.
#[derive(Debug, Clone)]
struct Place {
    /// The column; none where no row has the field.
    column: Option<usize>,
    /// The keys below it in a document.
    below: Vec<String>,
}

impl RowFilter {
    /// Refuses what can be asked of no row in memory, whatever its table.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`] naming the field.
    pub fn check(filter: &Filter) -> Result<()> {
        match filter {
            Filter::All(parts) | Filter::Any(parts) => parts.iter().try_for_each(Self::check),
            Filter::Field(path, condition) => {
                Test::check(condition).map_err(|problem| refused(path, &problem))
            }
        }
    }

    /// The filter for rows of this table of a database.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`] naming a field that the table does not have, or whose values can only be compared by the
    /// database itself.
    pub fn of(filter: &Filter, table: &Table, kind: DialectKind) -> Result<Self> {
        Ok(Self(node(filter, table, kind)?))
    }

    /// Whether the filter holds for a row, given of which columns its values are known; `None` where it depends on
    /// others.
    pub fn holds(&self, row: &[Value], is_known: &dyn Fn(usize) -> bool) -> Option<bool> {
        self.0.holds(row, is_known)
    }

    /// Whether the filter asks for a column of which this is said.
    pub fn asks_for(&self, column: &dyn Fn(usize) -> bool) -> bool {
        self.0.asks_for(column)
    }
}

impl Node {
    fn holds(&self, row: &[Value], is_known: &dyn Fn(usize) -> bool) -> Option<bool> {
        let of_parts = |parts: &[Self], decides: bool| {
            let mut outcome = Some(!decides);
            for part in parts {
                match part.holds(row, is_known) {
                    Some(holds) if holds == decides => return Some(decides),
                    Some(_) => {}
                    None => outcome = None,
                }
            }
            outcome
        };
        match self {
            Self::All(parts) => of_parts(parts, false),
            Self::Any(parts) => of_parts(parts, true),
            Self::Test(place, test) => {
                let Some(column) = place.column else { return Some(test.holds(&[])) };
                if !is_known(column) {
                    return None;
                }
                let mut values = Vec::new();
                if let Some(value) = row.get(column) {
                    collect(value, &place.below, test.looks_into_lists(), &mut values);
                }
                Some(test.holds(&values))
            }
        }
    }

    fn asks_for(&self, column: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(|part| part.asks_for(column)),
            Self::Test(place, _) => place.column.is_some_and(column),
        }
    }
}

fn node(filter: &Filter, table: &Table, kind: DialectKind) -> Result<Node> {
    let parts = |parts: &[Filter]| parts.iter().map(|part| node(part, table, kind)).collect::<Result<_>>();
    Ok(match filter {
        Filter::All(inner) => Node::All(parts(inner)?),
        Filter::Any(inner) => Node::Any(parts(inner)?),
        Filter::Field(path, condition) => {
            let (place, column_type) = place(path, table, kind)?;
            let test = Test::of(condition, &column_type, kind).map_err(|problem| refused(path, &problem))?;
            Node::Test(place, test)
        }
    })
}

/// Where rows of a table have a field, and of what type.
fn place(path: &FieldPath, table: &Table, kind: DialectKind) -> Result<(Place, ColumnType)> {
    let named = |name: &str| table.position(name);
    let other_key = match path.field.as_str() {
        ID => DOCUMENT_KEY,
        DOCUMENT_KEY => ID,
        field => field,
    };
    let found = named(&path.field)
        .or_else(|| named(other_key).filter(|at| kind.is_schemaless() && table.key.contains(at)));
    if let Some(column) = found {
        let column_type =
            table.columns.get(column).map_or(ColumnType::Any, |column| column.column_type.clone());
        if !path.below.is_empty() && !kind.is_schemaless() {
            return Err(refused(
                path,
                "a filter of rows asks for whole columns, and not for places within their JSON",
            ));
        }
        let column_type = if path.below.is_empty() { column_type } else { ColumnType::Any };
        return Ok((Place { column: Some(column), below: path.below.clone() }, column_type));
    }
    if !kind.is_schemaless() {
        return Err(refused(path, &format!("table \"{}\" has no such column", table.name)));
    }
    // Documents may have any field; what has no column stands among the rest.
    let below = std::iter::once(path.field.clone()).chain(path.below.iter().cloned()).collect();
    Ok((Place { column: table.rest(), below }, ColumnType::Any))
}

/// The values at a place within a document: a path leads into every document of a list on its way.
fn collect<'v>(value: &'v Value, below: &[String], into_lists: bool, values: &mut Vec<&'v Value>) {
    match (below.split_first(), value) {
        (None, Value::Array(items)) if into_lists => {
            values.push(value);
            values.extend(items);
        }
        (None, value) => values.extend(Some(value).filter(|value| has_value(value))),
        (Some((key, rest)), Value::Object(object)) => {
            if let Some(inner) = object.get(key) {
                collect(inner, rest, into_lists, values);
            }
        }
        (Some((key, rest)), Value::Array(items)) => {
            for item in items.iter().filter(|item| matches!(item, Value::Object(_))) {
                collect(item, below, into_lists, values);
            }
            if let Some(item) = key.parse::<usize>().ok().and_then(|at| items.get(at)) {
                collect(item, rest, into_lists, values);
            }
        }
        _ => {}
    }
}

fn refused(path: &FieldPath, problem: &str) -> Error {
    Error::new(ErrorKind::Filter, format!("where: field \"{path}\": {problem}"))
}

impl Condition {
    /// Whether the condition orders values, rather than only telling equal ones from others.
    pub(super) fn orders(&self) -> bool {
        matches!(self, Self::Gt(_) | Self::Gte(_) | Self::Lt(_) | Self::Lte(_))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::table::TableColumn;
    use crate::value::{Timestamp, value_from_json};

    fn table() -> Table {
        let column = |(name, column_type): (&str, ColumnType)| TableColumn {
            name: name.to_owned(),
            column_type,
            nullable: true,
            generated: false,
        };
        let columns = [
            ("id", ColumnType::Int64),
            ("name", ColumnType::Text(None)),
            ("price", ColumnType::Decimal(None)),
            ("at", ColumnType::Timestamp { zoned: true }),
            ("day", ColumnType::Date),
            ("data", ColumnType::Json),
            ("ok", ColumnType::Bool),
        ];
        Table {
            name: "t".to_owned(),
            columns: columns.map(column).into(),
            key: vec![0],
            references: Vec::new(),
        }
    }

    fn filter(json: Json) -> Filter {
        let Value::Object(object) = value_from_json(json) else { panic!("tests pass objects") };
        Filter::parse(&object).unwrap()
    }

    fn row() -> Vec<Value> {
        vec![
            Value::Int64(7),
            Value::from("Anna"),
            Value::Decimal("12345678901234567890.5".into()),
            Value::Timestamp(Timestamp::parse_iso("2026-01-02T03:04:05Z").unwrap()),
            Value::from("2026-01-02"),
            Value::Null,
            Value::Int32(1),
        ]
    }

    fn holds(json: Json, kind: DialectKind) -> Option<bool> {
        let filter = filter(json);
        RowFilter::check(&filter).unwrap();
        RowFilter::of(&filter, &table(), kind).unwrap().holds(&row(), &|_| true)
    }

    #[test]
    fn rows_are_judged_as_their_database_would() {
        for (json, expected) in [
            (json!({}), true),
            (json!({"id": 7, "name": "Anna"}), true),
            (json!({"id": "7"}), true),
            (json!({"name": "anna"}), false),
            (json!({"name": {"$ne": "Bert"}}), true),
            (json!({"name": {"$in": ["Bert", "Anna"]}}), true),
            (json!({"name": {"$nin": ["Bert", "Anna"]}}), false),
            (json!({"name": {"$in": []}}), false),
            (json!({"name": {"$nin": []}}), true),
            (json!({"name": {"$regex": "^An"}}), true),
            (json!({"name": {"$regex": "nn"}}), true),
            (json!({"name": {"$regex": "^nn"}}), false),
            (json!({"id": {"$gt": 6.5, "$lt": 7.5}}), true),
            (json!({"price": {"$gt": "12345678901234567890.4"}}), true),
            (json!({"price": {"$gt": "12345678901234567890.5"}}), false),
            (json!({"at": {"$gte": "2026-01-02T03:04:05.000Z"}}), true),
            (json!({"at": {"$lt": "2026-01-02T03:04:05.000Z"}}), false),
            (json!({"day": {"$gt": "2025-12-31"}}), true),
            (json!({"data": null}), true),
            (json!({"data": {"$exists": true}}), false),
            (json!({"ok": true}), true),
            (json!({"$or": [{"id": 1}, {"ok": true}]}), true),
        ] {
            assert_eq!(holds(json.clone(), DialectKind::Postgres), Some(expected), "{json}");
        }
    }

    #[test]
    fn null_is_unlike_every_value_and_no_smaller() {
        let nothing = vec![Value::Null; 7];
        for (json, expected) in [
            (json!({"name": {"$ne": "a"}}), true),
            (json!({"name": {"$nin": ["a"]}}), true),
            (json!({"name": {"$nin": ["a", null]}}), false),
            (json!({"name": {"$in": ["a", null]}}), true),
            (json!({"id": {"$lt": 5}}), false),
            (json!({"name": {"$regex": "a"}}), false),
        ] {
            let filter = RowFilter::of(&filter(json.clone()), &table(), DialectKind::Postgres).unwrap();
            assert_eq!(filter.holds(&nothing, &|_| true), Some(expected), "{json}");
        }
    }

    #[test]
    fn what_only_the_database_can_judge_is_refused() {
        let refused = |json: Json, kind| match RowFilter::of(&filter(json), &table(), kind) {
            Err(error) => error.to_string(),
            Ok(filter) => panic!("{filter:?}"),
        };
        assert!(
            refused(json!({"nmae": 1}), DialectKind::Postgres).contains("\"nmae\": table \"t\" has no such")
        );
        assert!(refused(json!({"name": {"$gt": "a"}}), DialectKind::Postgres).contains("order"));
        assert!(refused(json!({"data": 5}), DialectKind::Mysql).contains("\"data\""));
        assert!(refused(json!({"name": 5}), DialectKind::Postgres).contains("text"));
        assert!(refused(json!({"data.a": 5}), DialectKind::Postgres).contains("whole columns"));
        assert_eq!(holds(json!({"name": {"$gt": "An"}}), DialectKind::Sqlite), Some(true));
        for json in [
            json!({"name": {"$regex": "a.*b"}}),
            json!({"name": {"$regex": "a", "$regexFlags": "i"}}),
            json!({"data": {"a": 1}}),
        ] {
            assert!(RowFilter::check(&filter(json)).is_err());
        }
    }

    #[test]
    fn what_is_not_known_only_matters_where_it_decides() {
        let judge = |json| {
            let filter = RowFilter::of(&filter(json), &table(), DialectKind::Postgres).unwrap();
            filter.holds(&row(), &|column| column != 1)
        };
        assert_eq!(judge(json!({"id": 7, "name": "Anna"})), None);
        assert_eq!(judge(json!({"id": 8, "name": "Anna"})), Some(false));
        assert_eq!(judge(json!({"$or": [{"id": 7}, {"name": "x"}]})), Some(true));
    }

    #[test]
    fn lists_and_fields_without_columns_are_found_in_documents() {
        let mut table = table().with_rest("rest");
        table.columns[5].column_type = ColumnType::Any;
        let mut row = row();
        row[5] = value_from_json(json!([{"sku": "a"}, {"sku": "b", "n": 3}]));
        row.push(value_from_json(json!({"tags": ["x", "y"], "deep": {"er": 1}})));
        for (json, expected) in [
            (json!({"data.sku": "b"}), true),
            (json!({"data.n": {"$gt": 3}}), false),
            (json!({"data.1.n": 3}), true),
            (json!({"tags": "y"}), true),
            (json!({"tags": {"$ne": "y"}}), false),
            (json!({"deep.er": {"$gte": 1}}), true),
            (json!({"deep.est": null}), true),
            (json!({"_id": 7}), true),
        ] {
            let filter = RowFilter::of(&filter(json.clone()), &table, DialectKind::Mongodb).unwrap();
            assert_eq!(filter.holds(&row, &|_| true), Some(expected), "{json}");
        }
    }
}
