//! Running an aggregation pipeline on a collection.

use mongodb::bson::{Document, RawDocument};

use super::MongoDialect;
use super::cursor::{Failure, each_document, settle};
use super::transaction::Loan;
use crate::error::Result;

impl MongoDialect {
    /// Hands every document on that a pipeline makes of a collection.
    pub(super) async fn run_pipeline(
        &self,
        loan: &mut Loan<'_>,
        collection: &str,
        pipeline: Vec<Document>,
        take: impl FnMut(&RawDocument) -> Result<()>,
    ) -> Result<()> {
        self.connection.trace("aggregate", collection);
        let collection = self.connection.collection(collection);
        let aggregate = collection.aggregate(pipeline).allow_disk_use(true);
        let outcome = match loan.session() {
            None => match aggregate.batch().await {
                Ok(cursor) => each_document(cursor, take).await,
                Err(error) => Err(Failure::Driver(error)),
            },
            Some(session) => match aggregate.session(&mut *session).batch().await {
                Ok(mut cursor) => each_document(cursor.stream(session), take).await,
                Err(error) => Err(Failure::Driver(error)),
            },
        };
        settle(loan, outcome)
    }
}
