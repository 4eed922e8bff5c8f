//! What each schema strategy does to the tables.

use std::sync::Arc;

use data::{Dialect, ErrorKind, Filter, FindOptions, SchemaStrategy, Timestamp, Value};
use serde_json::json;

use crate::database::{Database, record, schema};

crate::behaviours!(
    none_touches_nothing,
    validate_names_the_missing_table,
    update_adds_missing_columns_and_keeps_rows,
    update_adds_a_column_for_a_written_key_by_its_value,
    other_strategies_refuse_a_key_without_column,
    create_starts_from_empty_tables,
    create_drop_leaves_nothing_behind,
    tables_that_refer_to_each_other_are_created_in_any_order,
    indexes_are_made_and_text_indexes_left_out,
    two_processes_may_create_the_same_schema_at_once,
    two_processes_may_add_the_same_column_at_once,
);

fn item() -> Arc<data::EntitySchema> {
    schema(json!({"name": "Item", "collection": "items", "fields": {"a": {"type": "string"}}}))
}

fn wider_item() -> Arc<data::EntitySchema> {
    schema(json!({
        "name": "Item", "collection": "items", "timestamps": true, "softDelete": true,
        "fields": {"a": {"type": "string"}, "b": {"type": "number", "required": true}, "c": {"type": "string", "unique": true}},
        "relations": {"parent": {"type": "one-to-one", "target": "Item", "joinColumn": "parentId"}}
    }))
}

async fn table_exists(dialect: &dyn Dialect, name: &str) -> bool {
    dialect.tables().unwrap().describe(name).await.unwrap().is_some()
}

async fn none_touches_nothing(db: &Database) {
    let dialect = db.strategy(SchemaStrategy::None).await;
    dialect.init_schema(&[item()]).await.unwrap();
    assert!(!table_exists(&*dialect, "items").await);
    let error = dialect.find(&item(), &Filter::everything(), &FindOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTable);
}

async fn validate_names_the_missing_table(db: &Database) {
    let dialect = db.strategy(SchemaStrategy::Validate).await;
    let error = dialect.init_schema(&[item()]).await.unwrap_err();
    assert_eq!(error.to_string(), "Schema validation failed: table \"items\" does not exist");
    db.with(&[&item()]).await;
    dialect.init_schema(&[item()]).await.unwrap();
}

async fn update_adds_missing_columns_and_keeps_rows(db: &Database) {
    let dialect = db.with(&[&item()]).await;
    dialect.create(&item(), record(json!({"id": "1", "a": "x"}))).await.unwrap();
    let wider = wider_item();
    db.with(&[&wider]).await;
    let again = db.with(&[&wider]).await;
    let row = again.find(&wider, &Filter::everything(), &FindOptions::default()).await.unwrap().remove(0);
    assert_eq!((row["a"].as_text(), &row["b"], &row["deletedAt"]), (Some("x"), &Value::Null, &Value::Null));
    again.create(&wider, record(json!({"id": "2", "b": 1, "c": "u", "parent": "1"}))).await.unwrap();
    let error = again.create(&wider, record(json!({"id": "3", "b": 1, "c": "u"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
}

async fn update_adds_a_column_for_a_written_key_by_its_value(db: &Database) {
    let dialect = db.with(&[&item()]).await;
    let moment = Value::Timestamp(Timestamp::from_millis(1_700_000_000_123));
    let mut row = record(json!({
        "id": "1", "flag": true, "number": 1.5, "list": [1], "doc": {"k": "v"}, "word": "w", "nothing": null
    }));
    row.insert("moment".to_owned(), moment.clone());
    let stored = dialect.create(&item(), row.clone()).await.unwrap();
    let read = dialect.find(&item(), &Filter::everything(), &FindOptions::default()).await.unwrap().remove(0);
    for row in [&stored, &read] {
        assert_eq!((&row["flag"], &row["number"], &row["word"]), (&true.into(), &1.5.into(), &"w".into()));
        assert_eq!((&row["list"], &row["moment"]), (&Value::Array(vec![1.into()]), &moment));
        assert!(row["doc"].same_as(&Value::object([("k", Value::from("v"))])));
        assert!(!row.contains_key("nothing"), "a key without a value says nothing of its type");
    }
    let changed =
        dialect.update(&item(), &"1".into(), record(json!({"wor\"d; --": "q"}))).await.unwrap().unwrap();
    assert_eq!(changed["wor\"d; --"].as_text(), Some("q"));
}

async fn other_strategies_refuse_a_key_without_column(db: &Database) {
    db.with(&[&item()]).await;
    let dialect = db.strategy(SchemaStrategy::None).await;
    let error = dialect.create(&item(), record(json!({"id": "1", "more": 1}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert!(error.to_string().contains("\"more\""), "{error}");
}

async fn create_starts_from_empty_tables(db: &Database) {
    let dialect = db.with(&[&item()]).await;
    dialect.create(&item(), record(json!({"id": "1"}))).await.unwrap();
    let anew = db.strategy(SchemaStrategy::Create).await;
    anew.init_schema(&[wider_item()]).await.unwrap();
    assert_eq!(anew.count(&wider_item(), &Filter::everything(), true).await.unwrap(), 0);
    anew.disconnect().await.unwrap();
    assert!(table_exists(&*dialect, "items").await);
}

async fn create_drop_leaves_nothing_behind(db: &Database) {
    let linked = schema(json!({
        "name": "Linked", "collection": "linked",
        "relations": {"item": {"type": "many-to-one", "target": "Item", "required": true},
                      "items": {"type": "many-to-many", "target": "Item", "through": "linked_items"}}
    }));
    let dialect = db.strategy(SchemaStrategy::CreateDrop).await;
    dialect.init_schema(&[item(), linked.clone()]).await.unwrap();
    dialect.create(&item(), record(json!({"id": "1"}))).await.unwrap();
    dialect.create(&linked, record(json!({"id": "1", "item": "1", "items": ["1"]}))).await.unwrap();
    dialect.disconnect().await.unwrap();
    assert!(db.open().await.tables().unwrap().list_tables().await.unwrap().is_empty());
}

async fn tables_that_refer_to_each_other_are_created_in_any_order(db: &Database) {
    let a = schema(json!({"name": "A", "relations": {"b": {"type": "many-to-one", "target": "B"}}}));
    let b = schema(json!({"name": "B", "relations": {
        "a": {"type": "many-to-one", "target": "A", "onDelete": "cascade"},
        "unknown": {"type": "many-to-one", "target": "Unregistered"}
    }}));
    let dialect = db.with(&[&a, &b]).await;
    dialect.create(&a, record(json!({"id": "a1"}))).await.unwrap();
    dialect.create(&b, record(json!({"id": "b1", "a": "a1", "unknown": "anything"}))).await.unwrap();
    dialect.update(&a, &"a1".into(), record(json!({"b": "b1"}))).await.unwrap().unwrap();
    let error = dialect.create(&a, record(json!({"b": "none"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignKeyViolation);
    let later = schema(json!({"name": "Later", "relations": {"a": {"type": "many-to-one", "target": "A"}}}));
    db.with(&[&later]).await;
    let error = dialect.create(&later, record(json!({"a": "none"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignKeyViolation, "a table that exists can be referred to");
    dialect.delete(&a, &"a1".into()).await.unwrap();
    assert_eq!(dialect.count(&b, &Filter::everything(), false).await.unwrap(), 0);
}

async fn indexes_are_made_and_text_indexes_left_out(db: &Database) {
    let indexed = schema(json!({
        "name": "Indexed", "fields": {"a": {"type": "string"}, "b": {"type": "number"}, "c": {"type": "text"}},
        "indexes": [{"fields": {"a": "asc", "b": "desc"}, "unique": true}, {"fields": {"c": "text"}}, {"fields": ["b"], "sparse": true}]
    }));
    let dialect = db.with(&[&indexed]).await;
    db.with(&[&indexed]).await;
    let sql = match db.kind {
        data::DialectKind::Sqlite => {
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1"
        }
        data::DialectKind::Mariadb => {
            "SELECT DISTINCT INDEX_NAME AS name FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME <> 'PRIMARY' ORDER BY 1"
        }
        _ => {
            "SELECT indexname AS name FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%pkey' ORDER BY 1"
        }
    };
    let rows = dialect.execute_query(sql, Vec::new()).await.unwrap();
    assert_eq!(crate::database::texts(&rows, "name"), ["idx_indexed_0", "idx_indexed_2"]);
    dialect.create(&indexed, record(json!({"a": "x", "b": 1}))).await.unwrap();
    let error = dialect.create(&indexed, record(json!({"a": "x", "b": 1}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UniqueViolation);
}

async fn two_processes_may_create_the_same_schema_at_once(db: &Database) {
    let dialects = [db.open().await, db.open().await, db.open().await, db.open().await];
    let tasks: Vec<_> = dialects
        .into_iter()
        .map(|dialect| tokio::spawn(async move { dialect.init_schema(&[item(), wider_item()]).await }))
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

async fn two_processes_may_add_the_same_column_at_once(db: &Database) {
    db.with(&[&item()]).await;
    let dialects = [db.open().await, db.open().await, db.open().await, db.open().await];
    let tasks: Vec<_> = dialects
        .into_iter()
        .map(|dialect| {
            tokio::spawn(async move { dialect.create(&item(), record(json!({"extra": "x"}))).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap()["extra"].as_text(), Some("x"));
    }
}
