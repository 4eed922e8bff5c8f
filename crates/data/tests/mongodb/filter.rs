//! What filters mean on documents.

use std::sync::Arc;

use data::{Dialect, ErrorKind, FindOptions, SchemaStrategy};
use mongodb::bson::{Document, doc};
use serde_json::json;

use crate::support::Server;
use crate::{connect_to, filter, fresh, names, new_database, record, users};

async fn filled() -> (Arc<dyn Dialect>, mongodb::Database) {
    let (dialect, stored) = fresh().await;
    for user in [
        json!({"name": "ann", "age": 30, "email": "Ann@x", "tags": ["red", "blue"], "extra": {"city": {"zip": 7}}}),
        json!({"name": "bob", "age": 20, "tags": ["red"], "born": "2000-01-01T00:00:00Z", "extra": {"$gt": 1}}),
        json!({"name": "cid", "email": "cid@y", "active": false, "extra": [1, 2]}),
    ] {
        dialect.create(&users(), record(user)).await.unwrap();
    }
    // Another application writes null where ours leaves the field out; both mean the same.
    stored
        .collection::<Document>("users")
        .insert_one(doc! {"_id": "n", "name": "nul", "age": null})
        .await
        .unwrap();
    (dialect, stored)
}

#[tokio::test]
async fn conditions_mean_the_same_as_in_sql() {
    let (dialect, _) = filled().await;
    for (condition, expected) in [
        (json!({}), "ann bob cid nul"),
        (json!({"age": 30}), "ann"),
        (json!({"age": "30"}), "ann"),
        (json!({"age": null}), "cid nul"),
        (json!({"age": {"$ne": null}}), "ann bob"),
        (json!({"age": {"$ne": 30}}), "bob cid nul"),
        (json!({"age": {"$gt": 20}}), "ann"),
        (json!({"age": {"$gte": 20, "$lt": 30}}), "bob"),
        (json!({"age": {"$lte": 30}}), "ann bob"),
        (json!({"age": {"$in": [20, 30]}}), "ann bob"),
        (json!({"age": {"$in": [20, null]}}), "bob cid nul"),
        (json!({"age": {"$in": []}}), ""),
        (json!({"age": {"$nin": []}}), "ann bob cid nul"),
        (json!({"age": {"$nin": [20]}}), "ann cid nul"),
        (json!({"age": {"$nin": [20, null]}}), "ann"),
        (json!({"age": {"$exists": true}}), "ann bob"),
        (json!({"age": {"$exists": false}}), "cid nul"),
        (json!({"email": {"$regex": "^ann"}}), ""),
        (json!({"email": {"$regex": "^ann", "$regexFlags": "i"}}), "ann"),
        (json!({"tags": "red"}), "ann bob"),
        (json!({"tags": {"$ne": "blue"}}), "bob cid nul"),
        (json!({"tags": {"$in": ["blue"]}}), "ann"),
        (json!({"extra.city.zip": 7}), "ann"),
        (json!({"extra.city.zip": {"$exists": true}}), "ann"),
        (json!({"extra.city.zip": {"$exists": false}}), "bob cid nul"),
        (json!({"extra.city.zip": null}), "bob cid nul"),
        (json!({"extra.city.zip": {"$ne": null}}), "ann"),
        (json!({"extra": {"city": {"zip": 7}}}), "ann"),
        (json!({"extra": {"$eq": {"$gt": 1}}}), "bob"),
        (json!({"extra": {"$in": [{"$gt": 1}]}}), "bob"),
        (json!({"extra": {"$nin": [{"$gt": 1}, null]}}), "ann cid"),
        (json!({"extra": [1, 2]}), "cid"),
        (json!({"born": "2000-01-01"}), "bob"),
        (json!({"born": {"$lt": "2000-01-02T00:00:00+01:00"}}), "bob"),
        (json!({"active": false}), "cid"),
        (json!({"$or": [{"age": 30}, {"name": "cid"}]}), "ann cid"),
        (json!({"$or": []}), ""),
        (json!({"$and": [{"tags": "red"}, {"$or": [{"age": 20}, {"age": 1}]}]}), "bob"),
        (json!({"id": "n"}), "nul"),
        (json!({"id": {"$in": ["n", "other"]}}), "nul"),
    ] {
        assert_eq!(names(&dialect, condition.clone()).await.join(" "), expected, "{condition}");
    }
}

#[tokio::test]
async fn ids_of_either_kind_are_ordered_among_their_kind() {
    let (dialect, _) = filled().await;
    let ids: Vec<_> = dialect.find(&users(), &filter(json!({})), &FindOptions::default()).await.unwrap();
    let first =
        ids.iter().map(|user| crate::text(user, "id").to_owned()).filter(|id| id.len() == 24).min().unwrap();
    assert_eq!(names(&dialect, json!({"id": {"$gt": first}})).await, ["bob", "cid", "nul"]);
}

#[tokio::test]
async fn an_unknown_field_is_named_with_the_known_ones() {
    let (dialect, _) = filled().await;
    let error =
        dialect.find(&users(), &filter(json!({"nope": 1})), &FindOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
    let message = error.to_string();
    assert!(
        message.contains("\"nope\"") && message.contains("bossId") && message.contains("createdAt"),
        "{message}"
    );
}

#[tokio::test]
async fn a_field_beyond_the_schema_is_accepted_under_update_if_some_document_has_it() {
    let server = Server::replica_set();
    let database = new_database();
    let update = connect_to(server.uri(&database, ""), SchemaStrategy::Update).await;
    update.create(&users(), record(json!({"name": "ann", "shoe": 41}))).await.unwrap();
    assert_eq!(names(&update, json!({"shoe": 41})).await, ["ann"]);
    let validate = connect_to(server.uri(&database, ""), SchemaStrategy::Validate).await;
    let error = validate.count(&users(), &filter(json!({"shoe": 41})), false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
}

#[tokio::test]
async fn a_malformed_operand_or_expression_is_a_filter_error() {
    let (dialect, _) = filled().await;
    for condition in [
        json!({"email": {"$regex": "("}}),
        json!({"age": {"$gt": "old"}}),
        json!({"born": "yesterday"}),
        json!({"extra": {"$in": [{"$regularExpression": {"pattern": "a", "options": ""}}]}}),
    ] {
        let error =
            dialect.find(&users(), &filter(condition.clone()), &FindOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{condition}: {error}");
    }
}
