//! The indexes of an entity, as MongoDB is told of them.
//!
//! A unique index here means what a unique constraint means in SQL: rows without a value do not collide. As fields
//! without a value are left out of documents, a sparse index does that for one field; for several, and together with
//! a soft delete, it takes a partial one.

use mongodb::bson::{Bson, Document, doc};

use crate::schema::{Column, DELETED_AT, EntitySchema, Index, IndexDirection, RelationKind};

/// A field of this name would choose the language of a document's text; no application's field is meant to.
const NO_LANGUAGE_FIELD: &str = "__text_index_language";

/// Every index of an entity in the form of the command `createIndexes`.
pub(super) fn index_models(schema: &EntitySchema, collection: &str) -> Vec<Document> {
    let mut models: Vec<_> = unique_fields(schema)
        .into_iter()
        .map(|field| unique_field_index(schema, collection, field))
        .collect();
    models.extend(
        schema
            .indexes
            .iter()
            .enumerate()
            .map(|(position, index)| declared_index(schema, index, collection, position)),
    );
    models
}

fn unique_fields(schema: &EntitySchema) -> Vec<&str> {
    let is_unique = |column: &Column<'_>| match column {
        Column::Field(_, field) => field.unique,
        Column::Reference(_, relation) => relation.kind == RelationKind::OneToOne,
        _ => false,
    };
    schema.columns().into_iter().filter(is_unique).map(|column| column.name()).collect()
}

fn unique_field_index(schema: &EntitySchema, collection: &str, field: &str) -> Document {
    if schema.soft_delete {
        return doc! {
            "key": {field: 1}, "name": format!("uidx_{collection}_{field}_softdelete"), "unique": true,
            "partialFilterExpression": {DELETED_AT: null, field: {"$exists": true}},
        };
    }
    doc! {"key": {field: 1}, "name": format!("{field}_1"), "unique": true, "sparse": true}
}

fn declared_index(schema: &EntitySchema, index: &Index, collection: &str, position: usize) -> Document {
    let key: Document = index
        .fields
        .iter()
        .map(|(field, direction)| {
            let direction = match direction {
                IndexDirection::Ascending => Bson::Int32(1),
                IndexDirection::Descending => Bson::Int32(-1),
                IndexDirection::Text => Bson::String("text".to_owned()),
            };
            (stored_name(field).to_owned(), direction)
        })
        .collect();
    let mut model = doc! {"key": key, "name": format!("idx_{collection}_{position}")};
    if index.is_text() {
        model.insert("language_override", NO_LANGUAGE_FIELD);
        return model;
    }
    if index.unique {
        model.insert("unique", true);
    }
    // Values of deleted rows may be used again, as in SQL.
    let only_living = index.unique && index.sparse && schema.soft_delete;
    if only_living || (index.unique && index.fields.len() > 1) {
        let mut covered: Document = index
            .fields
            .iter()
            .map(|(field, _)| (stored_name(field).to_owned(), Bson::Document(doc! {"$exists": true})))
            .collect();
        if only_living {
            covered.insert(DELETED_AT, Bson::Null);
        }
        model.insert("partialFilterExpression", covered);
    } else if index.unique || index.sparse {
        model.insert("sparse", true);
    }
    model
}

fn stored_name(field: &str) -> &str {
    if field == crate::schema::ID { super::fields::KEY } else { field }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn models(schema: serde_json::Value) -> Vec<Document> {
        index_models(&EntitySchema::from_json(&schema).unwrap(), "users")
    }

    #[test]
    fn a_soft_deleting_entity_is_unique_among_its_living_rows() {
        let models = models(
            json!({"name": "User", "softDelete": true, "fields": {"email": {"type": "string", "unique": true}}}),
        );
        assert_eq!(models[0].get_str("name").unwrap(), "uidx_users_email_softdelete");
        assert!(models[0].get_document("partialFilterExpression").unwrap().contains_key(DELETED_AT));
    }

    #[test]
    fn a_sparse_unique_index_of_a_soft_deleting_entity_covers_its_living_rows() {
        let models = models(json!({"name": "User", "softDelete": true, "indexes": [
            {"fields": {"email": "asc"}, "unique": true, "sparse": true}
        ]}));
        let covered = models[0].get_document("partialFilterExpression").unwrap();
        assert_eq!(covered, &doc! {"email": {"$exists": true}, DELETED_AT: null});
    }

    #[test]
    fn declared_indexes_are_numbered_and_text_is_among_them() {
        let models = models(json!({"name": "User", "indexes": [
            {"fields": {"a": "asc", "b": "desc"}, "unique": true}, {"fields": {"bio": "text"}}
        ]}));
        assert_eq!(models[0].get_str("name").unwrap(), "idx_users_0");
        assert_eq!(models[0].get_document("key").unwrap(), &doc! {"a": 1, "b": -1});
        assert_eq!(models[1].get_document("key").unwrap(), &doc! {"bio": "text"});
    }
}
