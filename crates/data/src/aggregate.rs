//! Aggregation: a list of stages that filter, group, order and cut the rows of an entity.

use indexmap::IndexMap;

use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Direction, FieldPath, Filter, FindOptions, parse_count};
use crate::record::including_deleted;
use crate::schema::EntitySchema;
use crate::value::{Object, Value};

/// The key of a `$group` that names the field to group by.
const BY: &str = "_by";

/// The same as MongoDB calls it; the result then holds the value under this name.
const MONGODB_BY: &str = "_id";

/// The stages of an aggregation, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pipeline {
    /// The stages.
    pub stages: Vec<Stage>,
}

/// One stage of an aggregation; it works on what the one before it left.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Keeps the rows that pass.
    Match(Filter),
    /// Makes one row of each group.
    Group(Group),
    /// Orders the rows.
    Sort(IndexMap<String, Direction>),
    /// Keeps so many rows.
    Limit(u64),
}

/// How rows are grouped.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The fields whose values make a group; none for one group of all rows.
    pub by: GroupKey,
    /// What is computed of each group, by the name of the result.
    pub fields: IndexMap<String, Accumulator>,
}

/// What the rows of a group have in common. Rows without a value are a group of their own, whose value is null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupKey {
    /// Nothing: all rows are one group, which is there even if there are no rows. It has no key.
    Nothing,
    /// The value of one field, which the result holds under the name of the field.
    Field(FieldPath),
    /// The values of several fields, each under its name.
    Fields(IndexMap<String, FieldPath>),
}

impl GroupKey {
    /// The fields to group by, with their names in the result.
    pub fn named(&self) -> Vec<(String, &FieldPath)> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Field(path) => vec![(path.to_string(), path)],
            Self::Fields(fields) => fields.iter().map(|(name, path)| (name.clone(), path)).collect(),
        }
    }
}

/// A value computed of a group. Rows whose field has no value are passed over, as SQL does.
#[derive(Debug, Clone, PartialEq)]
pub enum Accumulator {
    /// How many rows there are.
    Count,
    /// How many rows have a value in the field.
    CountOf(FieldPath),
    /// The sum of a field; 0 without a value.
    Sum(FieldPath),
    /// A number for each row, added up.
    SumOf(f64),
    /// The mean of a field.
    Average(FieldPath),
    /// The smallest value of a field.
    Min(FieldPath),
    /// The largest value of a field.
    Max(FieldPath),
}

impl Pipeline {
    /// Reads stages such as `[{$match: {active: true}}, {$group: {_by: 'city', people: {$count: true}}}]`.
    ///
    /// # Errors
    /// [`ErrorKind::Filter`] naming the stage and what is wrong with it.
    pub fn parse(stages: &[Value]) -> Result<Self> {
        let stages = stages.iter().map(parse_stage).collect::<Result<_>>()?;
        Ok(Self { stages })
    }

    /// The aggregation with softly deleted rows among those it starts from, where the entity has such.
    #[must_use]
    pub fn including_deleted(mut self, schema: &EntitySchema) -> Self {
        let everything = including_deleted(schema, Filter::everything());
        self.stages.insert(0, Stage::Match(everything));
        self
    }
}

fn parse_stage(stage: &Value) -> Result<Stage> {
    let single = match stage {
        Value::Object(object) if object.len() == 1 => object.iter().next(),
        _ => None,
    };
    let Some((name, content)) = single else {
        return Err(stage_error("a stage", "one of {$match}, {$group}, {$sort}, {$limit}", stage));
    };
    match (name.as_str(), content) {
        ("$match", Value::Object(filter)) => Ok(Stage::Match(Filter::parse(filter)?)),
        ("$group", Value::Object(group)) => Ok(Stage::Group(parse_group(group)?)),
        ("$sort", Value::Object(_)) => Ok(Stage::Sort(read_options("sort", content)?.sort)),
        ("$limit", _) => Ok(Stage::Limit(parse_count("limit", content)?)),
        ("$match" | "$group" | "$sort", other) => Err(stage_error(name, "an object", other)),
        _ => Err(Error::new(
            ErrorKind::Filter,
            format!("aggregation: unknown stage {name}; known are $match, $group, $sort, $limit"),
        )),
    }
}

fn read_options(name: &str, content: &Value) -> Result<FindOptions> {
    FindOptions::parse(&Object::from_iter([(name.to_owned(), content.clone())]))
}

fn parse_group(group: &Object) -> Result<Group> {
    let key = if group.get(BY).is_none() && group.get(MONGODB_BY).is_some() { MONGODB_BY } else { BY };
    let by = parse_key(key, group.get(key))?;
    let mut fields = IndexMap::new();
    for (name, value) in group.iter().filter(|(name, _)| *name != key) {
        if is_own_name(&by, name, value) {
            continue;
        }
        fields.insert(name.clone(), parse_accumulator(name, value)?);
    }
    match by.named().into_iter().find(|(name, _)| fields.contains_key(name)) {
        None => Ok(Group { by, fields }),
        Some((name, _)) => Err(Error::new(
            ErrorKind::Filter,
            format!(
                "aggregation: $group.{name}: the result holds the value grouped by under this name already"
            ),
        )),
    }
}

fn parse_key(key: &str, by: Option<&Value>) -> Result<GroupKey> {
    let place = format!("$group.{key}");
    match by {
        None | Some(Value::Null) => Ok(GroupKey::Nothing),
        Some(Value::Text(nothing)) if nothing.is_empty() => Ok(GroupKey::Nothing),
        Some(Value::Text(field)) if key == MONGODB_BY => {
            Ok(GroupKey::Fields(IndexMap::from([(key.to_owned(), parse_field(field)?)])))
        }
        Some(Value::Text(field)) => Ok(GroupKey::Field(parse_field(field)?)),
        Some(Value::Array(fields)) => {
            let fields = fields.iter().map(|field| match field {
                Value::Text(name) => parse_field(name).map(|path| (path.to_string(), path)),
                other => Err(stage_error(&place, "field names", other)),
            });
            Ok(GroupKey::Fields(fields.collect::<Result<_>>()?))
        }
        Some(other) => Err(stage_error(&place, "a field name, a list of them, or null", other)),
    }
}

/// Whether an entry only asks for the value grouped by under its own name, where it stands anyway.
fn is_own_name(by: &GroupKey, name: &str, value: &Value) -> bool {
    matches!(value, Value::Text(field) if field.strip_prefix('$').unwrap_or(field) == name)
        && by.named().iter().any(|(key, _)| key == name)
}

fn parse_accumulator(name: &str, value: &Value) -> Result<Accumulator> {
    let single = match value {
        Value::Object(object) if object.len() == 1 => object.iter().next(),
        _ => None,
    };
    let place = format!("$group.{name}");
    let Some((operator, operand)) = single else {
        return Err(stage_error(&place, "one of {$sum}, {$count}, {$avg}, {$min}, {$max}", value));
    };
    match (operator.as_str(), operand) {
        ("$count", Value::Text(field)) if &**field != "*" => Ok(Accumulator::CountOf(parse_field(field)?)),
        ("$count", _) => Ok(Accumulator::Count),
        ("$sum", Value::Text(field)) => Ok(Accumulator::Sum(parse_field(field)?)),
        ("$sum", number) => match number.as_f64() {
            Some(number) => Ok(Accumulator::SumOf(number)),
            None => Err(stage_error(&place, "the name of a field or a number", number)),
        },
        ("$avg", Value::Text(field)) => Ok(Accumulator::Average(parse_field(field)?)),
        ("$min", Value::Text(field)) => Ok(Accumulator::Min(parse_field(field)?)),
        ("$max", Value::Text(field)) => Ok(Accumulator::Max(parse_field(field)?)),
        ("$avg" | "$min" | "$max", other) => Err(stage_error(&place, "the name of a field", other)),
        (unknown, _) => Err(Error::new(
            ErrorKind::Filter,
            format!("{place}: unknown operator {unknown}; known are $sum, $count, $avg, $min, $max"),
        )),
    }
}

/// A field may also be written with a dollar sign, as MongoDB does.
fn parse_field(field: &str) -> Result<FieldPath> {
    FieldPath::parse(field.strip_prefix('$').unwrap_or(field))
}

fn stage_error(place: &str, expected: &str, found: &Value) -> Error {
    Error::new(
        ErrorKind::Filter,
        format!("aggregation: {place}: expected {expected}, found {}", found.type_name()),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(json: serde_json::Value) -> Result<Pipeline> {
        match crate::value::value_from_json(json) {
            Value::Array(stages) => Pipeline::parse(&stages),
            other => panic!("{other:?} is no list"),
        }
    }

    #[test]
    fn stages_keep_their_order() {
        let pipeline = parse(json!([
            {"$match": {"active": true}},
            {"$group": {"_by": "city", "people": {"$count": true}, "oldest": {"$max": "$age"}}},
            {"$sort": {"people": -1}},
            {"$limit": 3}
        ]))
        .unwrap();
        let age = FieldPath { field: "age".to_owned(), below: Vec::new() };
        assert!(matches!(pipeline.stages[0], Stage::Match(_)));
        assert!(matches!(&pipeline.stages[1], Stage::Group(group)
            if group.fields["people"] == Accumulator::Count && group.fields["oldest"] == Accumulator::Max(age)));
        assert!(matches!(pipeline.stages[3], Stage::Limit(3)));
    }

    #[test]
    fn groups_are_named_after_their_fields() {
        for (by, expected) in [
            (json!(null), vec![]),
            (json!(""), vec![]),
            (json!("$city"), vec!["city"]),
            (json!("address.city"), vec!["address.city"]),
            (json!(["city", "$age"]), vec!["city", "age"]),
        ] {
            assert_eq!(names(&json!({"_by": by})), expected);
        }
    }

    fn names(group: &serde_json::Value) -> Vec<String> {
        let pipeline = parse(json!([{"$group": group}])).unwrap();
        let Stage::Group(group) = &pipeline.stages[0] else { panic!("{pipeline:?}") };
        group.by.named().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn a_group_written_as_mongodb_does_is_named_as_there() {
        assert_eq!(names(&json!({"_id": "$city", "people": {"$sum": 1}})), ["_id"]);
        assert_eq!(names(&json!({"_id": null, "people": {"$sum": 1}})), Vec::<String>::new());
    }

    #[test]
    fn the_value_grouped_by_may_be_asked_for_by_its_own_name() {
        let group = json!({"_by": "city", "city": "city", "people": {"$count": true}});
        assert_eq!(names(&group), ["city"]);
        let Stage::Group(group) = &parse(json!([{"$group": group}])).unwrap().stages[0] else { panic!() };
        assert_eq!(group.fields.keys().collect::<Vec<_>>(), ["people"]);
        assert!(parse(json!([{"$group": {"_by": "city", "town": "city"}}])).is_err());
    }

    #[test]
    fn what_is_no_stage_is_named() {
        for (stages, message) in [
            (json!([{"$lookup": {}}]), "unknown stage $lookup"),
            (json!([{"$group": {"_by": 1}}]), "$group._by"),
            (json!([{"$group": {"_by": "$city", "city": {"$count": true}}}]), "$group.city"),
            (json!([{"$group": {"x": {"$median": "a"}}}]), "unknown operator $median"),
            (json!([{"$limit": -1}]), "limit"),
            (json!(["$match"]), "a stage"),
        ] {
            let error = parse(stages).unwrap_err();
            assert!(error.to_string().contains(message), "{error}");
        }
    }
}
