//! Taking ids out of many-to-many lists, in every document at once.

use mongodb::bson::doc;

use super::MongoDialect;
use super::filter::identity_forms;
use crate::error::Result;
use crate::filter::{Condition, FieldPath, Filter};
use crate::record::implied_filter;
use crate::schema::EntitySchema;
use crate::value::Value;

impl MongoDialect {
    /// Removes ids from the lists of a many-to-many relation.
    pub(super) async fn unlink_ids(
        &self,
        schema: &EntitySchema,
        relation: &str,
        ids: &[Value],
    ) -> Result<()> {
        let path = FieldPath { field: relation.to_owned(), below: Vec::new() };
        let listed = Filter::Field(path, Condition::In(ids.to_vec()));
        let mut loan = self.lend().await?;
        let query = self.query(&mut loan, schema, &implied_filter(schema, listed, false)).await?;
        let mut forms = Vec::new();
        for id in ids {
            forms.extend(identity_forms(relation, id)?);
        }
        let pull = doc! {"$pull": {relation: {"$in": forms}}};
        self.update_each(&mut loan, &self.connection.collection_name(schema), query, pull).await?;
        Ok(())
    }
}
