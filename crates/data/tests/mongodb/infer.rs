//! What is known of a collection without a schema.

use data::table::{ColumnType, Table};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document, doc, oid::ObjectId};

use crate::fresh;

fn columns(table: &Table) -> Vec<(&str, &ColumnType)> {
    table.columns.iter().map(|column| (column.name.as_str(), &column.column_type)).collect()
}

#[tokio::test]
async fn columns_come_from_all_documents_with_types_that_hold_every_value() {
    let (dialect, stored) = fresh().await;
    let bytes = |subtype| Bson::Binary(Binary { subtype, bytes: vec![7; 16] });
    stored.collection::<Document>("all").insert_many([
        doc! {
            "_id": ObjectId::new(), "z": true, "int": 1, "wide": 1, "ratio": 1, "mixed": 1, "text": "a", "at": DateTime::now(),
            "money": "1.5".parse::<Decimal128>().unwrap(), "ref": ObjectId::new(), "doc": {"a": 1}, "list": [1],
            "blob": bytes(BinarySubtype::Generic), "uuid": bytes(BinarySubtype::Uuid), "nothing": null, "a.b": 1,
        },
        doc! {"_id": ObjectId::new(), "int": null, "wide": 1_i64, "ratio": 0.5, "mixed": "1", "late": 1.5, "early": 1},
    ]).await.unwrap();
    let table = dialect.tables().unwrap().describe("all").await.unwrap().unwrap();
    let zoned = ColumnType::Timestamp { zoned: true };
    let expected = [
        ("id", &ColumnType::ObjectId),
        ("z", &ColumnType::Bool),
        ("int", &ColumnType::Int32),
        ("wide", &ColumnType::Int64),
        ("ratio", &ColumnType::Float64),
        ("mixed", &ColumnType::Any),
        ("text", &ColumnType::Text(None)),
        ("at", &zoned),
        ("money", &ColumnType::Decimal(None)),
        ("ref", &ColumnType::ObjectId),
        ("doc", &ColumnType::Json),
        ("list", &ColumnType::Json),
        ("blob", &ColumnType::Bytes),
        ("uuid", &ColumnType::Any),
        ("nothing", &ColumnType::Any),
        ("a.b", &ColumnType::Int32),
        ("early", &ColumnType::Int32),
        ("late", &ColumnType::Float64),
    ];
    assert_eq!(columns(&table), expected);
    assert_eq!(table.key, [0]);
}

#[tokio::test]
async fn a_field_named_id_leaves_the_key_its_own_name() {
    let (dialect, stored) = fresh().await;
    stored.collection::<Document>("ids").insert_one(doc! {"_id": 1, "id": "x"}).await.unwrap();
    let table = dialect.tables().unwrap().describe("ids").await.unwrap().unwrap();
    assert_eq!(columns(&table), [("_id", &ColumnType::Int32), ("id", &ColumnType::Text(None))]);
}

#[tokio::test]
async fn keys_that_are_text_or_object_ids_are_text() {
    let (dialect, stored) = fresh().await;
    stored
        .collection::<Document>("keys")
        .insert_many([doc! {"_id": "a"}, doc! {"_id": ObjectId::new()}])
        .await
        .unwrap();
    let table = dialect.tables().unwrap().describe("keys").await.unwrap().unwrap();
    assert_eq!(columns(&table), [("id", &ColumnType::Text(None))]);
}

#[tokio::test]
async fn only_collections_of_the_application_are_listed() {
    let (dialect, stored) = fresh().await;
    for name in ["b", "a", "replicaverse_checkpoint"] {
        stored.create_collection(name).await.unwrap();
    }
    stored.run_command(doc! {"create": "v", "viewOn": "a", "pipeline": []}).await.unwrap();
    let tables = dialect.tables().unwrap();
    assert_eq!(tables.list_tables().await.unwrap(), ["a", "b"]);
    assert_eq!(tables.describe("v").await.unwrap(), None);
    assert_eq!(tables.describe("missing").await.unwrap(), None);
    let empty = tables.describe("a").await.unwrap().unwrap();
    assert_eq!(columns(&empty), [("id", &ColumnType::Any)]);
    assert!(tables.is_empty(&empty, None).await.unwrap());
}
