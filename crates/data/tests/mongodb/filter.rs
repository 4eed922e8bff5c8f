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

#[tokio::test]
async fn paths_and_lists_mean_the_same_as_in_sql() {
    let (dialect, _) = fresh().await;
    for user in [
        json!({"name": "a", "tags": ["red", null, {"p": 1, "q": 2}], "extra": {"list": [{"k": 1}, {"k": 2}], "n": 5}}),
        json!({"name": "b", "tags": [[1, 2], 7], "extra": [1, 2]}),
        json!({"name": "c", "tags": [1, 2], "extra": {"q": {"y": 1, "x": null}, "n": "5", "a": true}}),
        json!({"name": "d", "extra": 1}),
        json!({"name": "e", "extra": {"n": null}, "tags": []}),
    ] {
        dialect.create(&users(), record(user)).await.unwrap();
    }
    for (condition, expected) in [
        // No path leads into every item of a list.
        (json!({"extra.list.k": 1}), ""),
        (json!({"extra.list.1.k": 2}), "a"),
        (json!({"extra.list.k": {"$exists": false}}), "a b c d e"),
        (json!({"extra.list.k": {"$ne": 1}}), "a b c d e"),
        // A list is compared as a whole, but a list field contains its items.
        (json!({"extra": 1}), "d"),
        (json!({"extra": {"$in": [1, [1, 2]]}}), "b d"),
        (json!({"extra": {"$gte": 1}}), "d"),
        (json!({"extra": {"$ne": 1}}), "a b c e"),
        (json!({"tags": [1, 2]}), "c"),
        (json!({"tags": {"$ne": [1, 2]}}), "a b d e"),
        (json!({"tags": {"$gt": 1}}), ""),
        (json!({"tags": null}), "d"),
        (json!({"tags": {"$ne": null}}), "a b c e"),
        (json!({"tags": {"$in": [null, 7]}}), "b d"),
        (json!({"tags": {"$nin": [null, 7]}}), "a c e"),
        // The keys of objects stand in any order.
        (json!({"tags": {"q": 2, "p": 1}}), "a"),
        (json!({"tags": {"q": 2}}), ""),
        (json!({"extra.q": {"x": null, "y": 1}}), "c"),
        (json!({"extra.q": {"y": 1, "z": null}}), ""),
        (json!({"extra": {"a": true, "n": "5", "q": {"x": null, "y": 1}}}), "c"),
        (json!({"extra": {"$nin": [{"n": null}, 1]}}), "a b c"),
        // Values are ordered within their type.
        (json!({"extra.n": {"$gt": 4}}), "a"),
        (json!({"extra.n": {"$gt": "4"}}), "c"),
        (json!({"extra.a": {"$gt": false}}), "c"),
        (json!({"extra.n": null}), "b d e"),
        (json!({"extra.n": {"$regex": "^5"}}), "c"),
        (json!({"tags.0": {"$regex": "R", "$regexFlags": "i"}}), "a"),
        (json!({"tags": {"$regex": "^red$"}}), "a"),
        // What looks like an operator or a field is a value.
        (json!({"extra.n": "$name"}), ""),
        (json!({"extra.n": {"$eq": {"$gt": 1}}}), ""),
        (json!({"extra.n": {"$in": [{"$where": "true"}, "$name"]}}), ""),
        (json!({"extra.n": {"$regex": "$name"}}), ""),
    ] {
        assert_eq!(names(&dialect, condition.clone()).await.join(" "), expected, "{condition}");
    }
    let error = dialect.count(&users(), &filter(json!({"name.x": 1})), false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter);
}

#[tokio::test]
async fn an_upsert_by_a_path_changes_the_document_or_inserts_one() {
    let (dialect, _) = fresh().await;
    for (created, age) in [(true, 1), (false, 2)] {
        let given = record(json!({"name": "ann", "age": age, "extra": {"a": {"b": 1}}}));
        let upserted = dialect.upsert(&users(), &filter(json!({"extra.a.b": 1})), given).await.unwrap();
        assert_eq!(
            (upserted.created, &upserted.record["age"]),
            (created, &data::Value::Float(f64::from(age)))
        );
    }
    assert_eq!(names(&dialect, json!({})).await, ["ann"]);
}
