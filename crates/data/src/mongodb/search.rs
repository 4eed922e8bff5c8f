//! Searching text fields, and reading the ids that a many-to-many relation lists.

use mongodb::bson::{Bson, doc};

use super::MongoDialect;
use super::bson::value_of;
use super::cursor::{Failure, each_document, settle};
use super::error::malformed;
use super::fields::KEY;
use super::filter::identity_forms;
use super::record::shown_id;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Condition, FieldPath, Filter, FindOptions};
use crate::record::Record;
use crate::schema::{EntitySchema, FieldType, ID, RelationKind};
use crate::value::Value;

/// How many ids are looked up by one query.
const IDS_AT_ONCE: usize = 1000;

impl MongoDialect {
    /// The rows that hold a text in one of the fields, in either case of its letters.
    pub(super) async fn search_records(
        &self,
        schema: &EntitySchema,
        text: &str,
        fields: &[String],
        options: &FindOptions,
    ) -> Result<Vec<Record>> {
        let texts = schema
            .fields
            .iter()
            .filter(|(_, field)| matches!(field.field_type, FieldType::String | FieldType::Text))
            .map(|(name, _)| name.as_str());
        let names: Vec<&str> =
            if fields.is_empty() { texts.collect() } else { fields.iter().map(String::as_str).collect() };
        let pattern = literal_pattern(text);
        let tests = names.into_iter().map(|name| {
            let condition = Condition::Regex { pattern: pattern.clone(), ignore_case: true };
            Ok(Filter::Field(FieldPath::parse(name)?, condition))
        });
        let filter = Filter::Any(tests.collect::<Result<_>>()?);
        self.find_records(schema, &filter, options).await
    }

    /// For each of the rows with these ids the ids that a relation lists, as pairs of both.
    pub(super) async fn listed_ids(
        &self,
        schema: &EntitySchema,
        relation: &str,
        ids: &[Value],
    ) -> Result<Vec<(Value, Value)>> {
        let declared = schema.relations.get(relation);
        if declared.is_none_or(|declared| declared.kind != RelationKind::ManyToMany) {
            let message = format!("{}: \"{relation}\" is no many-to-many relation", schema.name);
            return Err(Error::new(ErrorKind::Filter, message));
        }
        let mut loan = self.lend().await?;
        let name = self.connection.collection_name(schema);
        let collection = self.connection.collection(&name);
        let mut links = Vec::new();
        for chunk in ids.chunks(IDS_AT_ONCE) {
            let mut forms: Vec<Bson> = Vec::with_capacity(chunk.len());
            for id in chunk.iter().filter(|id| !id.is_null()) {
                forms.extend(identity_forms(ID, id)?);
            }
            self.connection.trace("find", &name);
            let find = collection.find(doc! {KEY: {"$in": forms}}).projection(doc! {KEY: 1, relation: 1});
            let take = |document: &mongodb::bson::RawDocument| {
                let Some(id) = document.get(KEY).map_err(malformed)? else { return Ok(()) };
                let id = shown_id(value_of(id)?);
                let listed = document.get(relation).map_err(malformed)?;
                if let Some(Value::Array(listed)) = listed.map(value_of).transpose()? {
                    links.extend(listed.into_iter().map(|other| (id.clone(), shown_id(other))));
                }
                Ok(())
            };
            let outcome = match loan.session() {
                None => match find.batch().await {
                    Ok(cursor) => each_document(cursor, take).await,
                    Err(error) => Err(Failure::Driver(error)),
                },
                Some(session) => match find.session(&mut *session).batch().await {
                    Ok(mut cursor) => each_document(cursor.stream(session), take).await,
                    Err(error) => Err(Failure::Driver(error)),
                },
            };
            settle(&mut loan, outcome)?;
        }
        Ok(links)
    }
}

/// A regular expression that only the text itself matches. A NUL cannot stand in one as it is.
fn literal_pattern(text: &str) -> String {
    regex::escape(text).replace('\0', r"\x00")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_expression_would_interpret_stands_for_itself() {
        assert_eq!(literal_pattern("1.5% (a|b)$\0"), r"1\.5% \(a\|b\)\$\x00");
    }
}
