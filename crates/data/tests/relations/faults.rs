//! Relations that lead nowhere, and servers that lack what others have.

use data::ErrorKind;
use serde_json::{Value as Json, json};

use crate::bookshop::{Shop, schemas};
use crate::databases::{Fresh, Table, object, schema};

crate::behaviours!(
    an_entity_that_is_not_registered_is_named,
    a_relation_that_is_mapped_by_nothing_is_named,
    a_path_without_end_is_refused,
);

async fn an_entity_that_is_not_registered_is_named(db: &Fresh) {
    let entities = [schema(json!({
        "name": "Post", "collection": "posts", "fields": {"title": {"type": "string"}},
        "relations": {
            "author": {"type": "many-to-one", "target": "User", "cascade": "all"},
            "tags": {"type": "many-to-many", "target": "Tag"},
            "notes": {"type": "one-to-many", "target": "Note", "mappedBy": "post", "cascade": "persist"}
        }
    }))];
    let dialect = db.with(&entities).await;
    let posts = Table::new(&*dialect, "Post", &entities);
    // Without need of the other side everything works.
    posts.create(json!({"id": "1", "author": "u", "tags": ["t"]})).await;
    posts.update("1", json!({"title": "x", "tags": []})).await.unwrap();
    for (relation, target) in [("author", "User"), ("tags", "Tag"), ("notes", "Note")] {
        let error = posts.read(json!({}), &[relation], json!({})).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownEntity);
        let message = format!("Post.{relation}: the target entity \"{target}\" is not registered");
        assert!(error.to_string().contains(&message), "{error}");
    }
    let nested = object(json!({"id": "2", "author": {"name": "x"}}));
    let error = posts.entity.create(posts.dialect, nested).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownEntity);
    assert_eq!(posts.count().await, 1);
}

async fn a_relation_that_is_mapped_by_nothing_is_named(db: &Fresh) {
    let entities = [
        schema(json!({"name": "A", "collection": "as",
            "relations": {"bs": {"type": "many-to-many", "target": "B", "mappedBy": "nothing"},
                "children": {"type": "one-to-many", "target": "B", "mappedBy": "nothing"}}})),
        schema(json!({"name": "B", "collection": "bs"})),
    ];
    let dialect = db.with(&entities).await;
    let table = Table::new(&*dialect, "A", &entities);
    table.create(json!({"id": "1"})).await;
    for (relation, kind) in [("bs", ErrorKind::Schema), ("children", ErrorKind::Filter)] {
        let error = table.read(json!({}), &[relation], json!({})).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains("nothing"), "{error}");
    }
}

async fn a_path_without_end_is_refused(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let path = vec!["author.books"; 50_000].join(".");
    let error = shop.books.read(json!({}), &[&path], json!({})).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Filter, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_mongodb_server_cascades_without_transactions() {
    let dialect = Fresh::standalone_mongodb().with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    shop.authors.create(json!({"id": "a4", "name": "Dan", "books": [{"id": "b4"}]})).await;
    assert_eq!(shop.books.row("b4", &["author"]).await["author"]["name"], "Dan");
    assert!(shop.books.delete("b1").await);
    assert_eq!(shop.reviews.count().await, 0);
    assert!(shop.publishers.delete("p1").await);
    assert_eq!(shop.authors.row("a1", &[]).await["publisherId"], Json::Null);
}
