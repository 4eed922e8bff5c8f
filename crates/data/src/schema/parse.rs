//! Reading and checking a schema that an application wrote as a JavaScript object.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{
    Discriminator, EntitySchema, Field, FieldType, Index, IndexDirection, OnDelete, Relation, RelationKind,
};
use crate::error::{Error, ErrorKind, Result};
use crate::value::value_from_json;

impl EntitySchema {
    /// Reads a schema from its JSON form.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`], naming the entity, the field and what is allowed there.
    pub fn from_json(json: &Json) -> Result<Self> {
        let raw: RawSchema = serde_json::from_value(json.clone()).map_err(|error| {
            let name = json.get("name").and_then(Json::as_str).unwrap_or("without a name");
            schema_error(format!("schema {name}: {error}"))
        })?;
        if raw.name.is_empty() {
            return Err(schema_error("schema: \"name\" must not be empty"));
        }
        let context = |place: &str| format!("schema {}.{place}", raw.name);
        let collection = raw.collection.clone().unwrap_or_else(|| raw.name.to_lowercase());
        if collection.is_empty() {
            return Err(schema_error(format!("{}: must not be empty", context("collection"))));
        }
        let mut fields = IndexMap::with_capacity(raw.fields.len());
        for (name, field) in &raw.fields {
            check_name(&context("fields"), name)?;
            fields.insert(name.clone(), field.check(&context(&format!("fields.{name}")))?);
        }
        let mut relations = IndexMap::with_capacity(raw.relations.len());
        for (name, relation) in &raw.relations {
            check_name(&context("relations"), name)?;
            relations.insert(name.clone(), relation.check(&context(&format!("relations.{name}")))?);
        }
        let indexes = raw
            .indexes
            .iter()
            .enumerate()
            .map(|(i, index)| index.check(&context(&format!("indexes[{i}]"))))
            .collect::<Result<_>>()?;
        let discriminator = raw.discriminator.map(|column| Discriminator {
            column,
            value: raw.discriminator_value.unwrap_or_else(|| raw.name.clone()),
        });
        Ok(Self {
            name: raw.name,
            collection,
            fields,
            relations,
            indexes,
            timestamps: raw.timestamps,
            discriminator,
            soft_delete: raw.soft_delete,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "an entity schema")]
struct RawSchema {
    name: String,
    collection: Option<String>,
    #[serde(default)]
    fields: IndexMap<String, RawField>,
    #[serde(default)]
    relations: IndexMap<String, RawRelation>,
    #[serde(default)]
    indexes: Vec<RawIndex>,
    #[serde(default)]
    timestamps: bool,
    discriminator: Option<String>,
    discriminator_value: Option<String>,
    #[serde(default)]
    soft_delete: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "a field such as {type: ...}")]
struct RawField {
    #[serde(rename = "type")]
    field_type: String,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    unique: bool,
    #[serde(default)]
    sparse: bool,
    default: Option<Json>,
    #[serde(rename = "enum")]
    allowed: Option<Vec<Json>>,
    #[serde(default)]
    lowercase: bool,
    #[serde(default)]
    trim: bool,
}

impl RawField {
    fn check(&self, place: &str) -> Result<Field> {
        Ok(Field {
            field_type: named(&format!("{place}.type"), &self.field_type, &FieldType::NAMES)?,
            required: self.required,
            unique: self.unique,
            sparse: self.sparse,
            default: self.default.clone().map(value_from_json),
            allowed: self.allowed.iter().flatten().cloned().map(value_from_json).collect(),
            lowercase: self.lowercase,
            trim: self.trim,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "a relation such as {type, target}")]
struct RawRelation {
    #[serde(rename = "type")]
    kind: String,
    target: String,
    #[serde(default)]
    required: bool,
    nullable: Option<bool>,
    #[serde(default)]
    select: Vec<String>,
    through: Option<String>,
    join_column: Option<String>,
    inverse_join_column: Option<String>,
    mapped_by: Option<String>,
    #[serde(default)]
    cascade: Json,
    #[serde(default)]
    orphan_removal: bool,
    fetch: Option<String>,
    on_delete: Option<String>,
}

impl RawRelation {
    fn check(&self, place: &str) -> Result<Relation> {
        let eager = match self.fetch.as_deref() {
            None | Some("lazy") => false,
            Some("eager") => true,
            Some(other) => return Err(unknown_name(&format!("{place}.fetch"), other, ["lazy", "eager"])),
        };
        Ok(Relation {
            kind: named(&format!("{place}.type"), &self.kind, &RelationKind::NAMES)?,
            target: self.target.clone(),
            required: self.required,
            nullable: self.nullable,
            select: self.select.clone(),
            through: self.through.clone(),
            join_column: self.join_column.clone(),
            inverse_join_column: self.inverse_join_column.clone(),
            mapped_by: self.mapped_by.clone(),
            cascade: cascade_list(place, &self.cascade)?,
            orphan_removal: self.orphan_removal,
            eager,
            on_delete: match self.on_delete.as_deref() {
                None => None,
                Some(rule) => Some(named(
                    &format!("{place}.onDelete"),
                    &rule.to_lowercase().replace([' ', '_'], "-"),
                    &OnDelete::NAMES,
                )?),
            },
        })
    }
}

/// `cascade` is a list of operations, one operation, or `true` for all.
fn cascade_list(place: &str, cascade: &Json) -> Result<Vec<String>> {
    match cascade {
        Json::Null | Json::Bool(false) => Ok(Vec::new()),
        Json::Bool(true) => Ok(vec!["all".to_owned()]),
        Json::String(one) => Ok(vec![one.clone()]),
        Json::Array(items) if items.iter().all(Json::is_string) => {
            Ok(items.iter().filter_map(Json::as_str).map(str::to_owned).collect())
        }
        _ => Err(schema_error(format!("{place}.cascade: expected a list of operation names"))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[serde(expecting = "an index such as {fields}")]
struct RawIndex {
    fields: Json,
    #[serde(default)]
    unique: bool,
    #[serde(default)]
    sparse: bool,
}

impl RawIndex {
    fn check(&self, place: &str) -> Result<Index> {
        let fields = match &self.fields {
            Json::Array(names) => names
                .iter()
                .map(|name| match name.as_str() {
                    Some(name) => Ok((name.to_owned(), IndexDirection::Ascending)),
                    None => Err(schema_error(format!("{place}.fields: expected field names, found {name}"))),
                })
                .collect::<Result<Vec<_>>>()?,
            Json::Object(map) => map
                .iter()
                .map(|(name, direction)| Ok((name.clone(), index_direction(place, name, direction)?)))
                .collect::<Result<Vec<_>>>()?,
            other => {
                return Err(schema_error(format!(
                    "{place}.fields: expected {{field: 'asc' | 'desc' | 'text'}} or [field], found {other}"
                )));
            }
        };
        if fields.is_empty() {
            return Err(schema_error(format!("{place}.fields: must name at least one field")));
        }
        Ok(Index { fields, unique: self.unique, sparse: self.sparse })
    }
}

fn index_direction(place: &str, name: &str, direction: &Json) -> Result<IndexDirection> {
    match direction {
        Json::Number(number) if number.as_i64() == Some(1) => Ok(IndexDirection::Ascending),
        Json::Number(number) if number.as_i64() == Some(-1) => Ok(IndexDirection::Descending),
        Json::String(word) => named(
            &format!("{place}.fields.{name}"),
            word,
            &[
                ("asc", IndexDirection::Ascending),
                ("desc", IndexDirection::Descending),
                ("text", IndexDirection::Text),
            ],
        ),
        other => Err(schema_error(format!(
            "{place}.fields.{name}: expected 'asc', 'desc' or 'text', found {other}"
        ))),
    }
}

/// A NUL cannot stand in an identifier of any dialect, and `$` or `.` would be read as an operator or path.
fn check_name(place: &str, name: &str) -> Result<()> {
    let valid = !name.is_empty() && !name.starts_with('$') && !name.contains(['.', '\0']);
    if valid { Ok(()) } else { Err(schema_error(format!("{place}: {name:?} cannot be a field name"))) }
}

fn named<T: Copy>(place: &str, name: &str, names: &[(&'static str, T)]) -> Result<T> {
    match names.iter().find(|(known, _)| *known == name) {
        Some((_, value)) => Ok(*value),
        None => Err(unknown_name(place, name, names.iter().map(|(known, _)| *known))),
    }
}

fn unknown_name<'a>(place: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Error {
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    schema_error(format!("{place}: unknown value \"{name}\"; known are {known}"))
}

fn schema_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Schema, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Column;
    use super::*;

    #[test]
    fn missing_parts_mean_empty() {
        let schema = EntitySchema::from_json(&json!({"name": "User", "collection": "users"})).unwrap();
        assert!(schema.fields.is_empty() && schema.relations.is_empty() && schema.indexes.is_empty());
        assert!(!schema.timestamps && !schema.soft_delete);
    }

    #[test]
    fn columns_stand_in_the_order_of_the_table() {
        let schema = EntitySchema::from_json(&json!({
            "name": "Post", "collection": "posts", "timestamps": true, "softDelete": true,
            "fields": {"title": {"type": "string", "required": true}, "body": {"type": "text"}},
            "relations": {
                "author": {"type": "many-to-one", "target": "User", "joinColumn": "authorId"},
                "tags": {"type": "many-to-many", "target": "Tag", "through": "post_tags"}
            },
            "discriminator": "kind", "discriminatorValue": "post"
        }))
        .unwrap();
        let names: Vec<_> = schema.columns().iter().map(Column::name).collect();
        assert_eq!(names, ["id", "title", "body", "authorId", "kind", "createdAt", "updatedAt", "deletedAt"]);
    }

    #[test]
    fn an_unknown_type_names_the_field_and_what_is_known() {
        let error = EntitySchema::from_json(&json!({"name": "User", "fields": {"age": {"type": "int"}}}))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Schema);
        let message = error.to_string();
        assert!(
            message.contains("User.fields.age.type")
                && message.contains("\"int\"")
                && message.contains("number")
        );
    }

    #[test]
    fn indexes_are_given_as_map_or_list() {
        let schema = EntitySchema::from_json(&json!({"name": "U", "indexes": [
            {"fields": {"a": "asc", "b": "desc"}, "unique": true}, {"fields": ["c"]}, {"fields": {"d": "text"}}
        ]}))
        .unwrap();
        assert_eq!(schema.indexes[0].fields[1], ("b".to_owned(), IndexDirection::Descending));
        assert!(schema.indexes[0].unique && schema.indexes[2].is_text());
    }
}
