//! Writes that relations pass on to their other side.

use data::ErrorKind;
use serde_json::{Value as Json, json};

use crate::bookshop::{Shop, schemas};
use crate::databases::{Fresh, Table, object, schema};

crate::behaviours!(
    a_row_is_created_with_everything_that_cascades,
    an_existing_row_is_changed_by_merge_and_left_alone_by_persist,
    children_are_created_changed_and_taken_over_by_an_update,
    children_that_are_no_longer_listed_are_deleted_as_orphans,
    a_child_of_a_one_to_one_relation_is_replaced,
    an_upsert_cascades_too,
    a_row_with_an_id_is_taken_as_its_id_without_cascade,
    a_row_without_an_id_is_refused_without_cascade,
    an_error_in_a_nested_row_leaves_nothing,
    a_row_that_does_not_exist_is_not_changed_and_nothing_is_created,
    the_list_of_the_other_side_is_written_there,
    the_former_row_of_a_one_to_one_reference_is_removed_as_an_orphan,
    many_rows_at_once_do_not_cascade,
    within_a_transaction_everything_is_undone_with_it,
);

fn text(row: &data::Record, name: &str) -> String {
    row[name].as_text().unwrap().to_owned()
}

async fn a_row_is_created_with_everything_that_cascades(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::new(&*dialect);
    let author = shop
        .authors
        .create(json!({
            "name": "Ann",
            "publisher": {"name": "Faber"},
            "profile": {"bio": "writes"},
            "books": [
                {"title": "One", "tags": [{"name": "new"}, {"name": "newer"}]},
                {"id": "b2", "title": "Two"}
            ]
        }))
        .await;
    let id = text(&author, "id");
    let stored = shop.authors.row(&id, &["publisher", "profile", "books.tags"]).await;
    assert_eq!(stored["publisher"]["name"], "Faber");
    assert_eq!(author["publisherId"].as_text(), stored["publisher"]["id"].as_str());
    assert_eq!(stored["profile"]["bio"], "writes");
    let books = stored["books"].as_array().unwrap();
    assert_eq!(books.len(), 2);
    let one = books.iter().find(|book| book["title"] == "One").unwrap();
    let mut tags: Vec<_> =
        one["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    tags.sort_unstable();
    assert_eq!(tags, ["new", "newer"]);
}

async fn an_existing_row_is_changed_by_merge_and_left_alone_by_persist(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let author = json!({"id": "a4", "name": "Dan", "publisher": {"id": "p1", "name": "renamed"}});
    shop.authors.create(author).await;
    assert_eq!(shop.publishers.row("p1", &[]).await["name"], "renamed");
    let tags = json!([{"id": "t1", "name": "other"}, {"id": "t9", "name": "made"}, "t2"]);
    shop.books.create(json!({"id": "b4", "title": "Four", "tags": tags})).await;
    let stored = shop.books.row("b4", &["tags"]).await;
    let names: Vec<_> = stored["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    assert_eq!(names, ["T1", "T2", "made"]);
}

async fn children_are_created_changed_and_taken_over_by_an_update(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let books = json!([{"id": "b1", "title": "1"}, {"title": "new", "author": "a2"}, "b2", {"id": "b3"}]);
    shop.authors.update("a1", json!({"books": books})).await.unwrap();
    let stored = shop.authors.row("a1", &["books"]).await;
    let mut titles: Vec<_> =
        stored["books"].as_array().unwrap().iter().map(|book| book["title"].as_str().unwrap()).collect();
    titles.sort_unstable();
    assert_eq!(titles, ["1", "Three", "Two", "new"]);
    // What was not said of a child stays.
    assert_eq!(shop.books.row("b1", &["tags"]).await["tags"].as_array().unwrap().len(), 2);
}

async fn children_that_are_no_longer_listed_are_deleted_as_orphans(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    shop.authors.update("a1", json!({"name": "unchanged books"})).await.unwrap();
    assert_eq!(shop.books.count().await, 3);
    shop.authors.update("a1", json!({"books": ["b2"]})).await.unwrap();
    assert_eq!(shop.books.ids(json!({})).await, ["b2", "b3"]);
    // Its reviews went with it, and its tags do not refer to it any more.
    assert_eq!(shop.reviews.count().await, 0);
    assert_eq!(shop.tags.row("t1", &["books"]).await["books"], json!([]));
    shop.authors.update("a1", json!({"books": []})).await.unwrap();
    assert_eq!(shop.books.ids(json!({})).await, ["b3"]);
}

async fn a_child_of_a_one_to_one_relation_is_replaced(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    shop.authors.update("a1", json!({"profile": {"id": "f2", "bio": "second"}})).await.unwrap();
    assert_eq!(shop.authors.row("a1", &["profile"]).await["profile"]["id"], "f2");
    assert_eq!(shop.profiles.row("f1", &[]).await["authorId"], Json::Null);
    shop.authors.update("a1", json!({"profile": null, "name": "same profile"})).await.unwrap();
    assert_eq!(shop.authors.row("a1", &["profile"]).await["profile"]["id"], "f2");
}

async fn an_upsert_cascades_too(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let upsert = async |name: &str, books: Json| {
        let record = object(json!({"name": name, "books": books}));
        let filter = crate::databases::filter(json!({"name": name}));
        shop.authors.entity.upsert(shop.authors.dialect, &filter, record).await.unwrap()
    };
    let created = upsert("Eve", json!([{"id": "e1"}, {"id": "e2"}])).await;
    assert!(created.created);
    let changed = upsert("Eve", json!([{"id": "e2"}])).await;
    assert!(!changed.created);
    assert_eq!(shop.books.ids(json!({"author": text(&changed.record, "id")})).await, ["e2"]);
}

async fn a_row_with_an_id_is_taken_as_its_id_without_cascade(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let author = shop.authors.row("a2", &[]).await;
    shop.books.create(json!({"id": "b4", "author": author, "reviews": [{"id": "r1"}]})).await;
    assert_eq!(shop.books.row("b4", &[]).await["author"], "a2");
    // A list that does not cascade belongs to its other side.
    assert_eq!(shop.reviews.row("r1", &[]).await["bookId"], "b1");
    // What was read with its relations can be written as it is.
    let whole = shop.books.row("b1", &["author", "tags", "reviews"]).await;
    shop.books.update("b1", whole.clone()).await.unwrap();
    assert_eq!(shop.books.row("b1", &["author", "tags", "reviews"]).await, whole);
}

async fn a_row_without_an_id_is_refused_without_cascade(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    for (field, value) in [("author", json!({"name": "x"})), ("reviews", json!([{"text": "x"}]))] {
        let record = object(json!({"id": "b4", field: value}));
        for outcome in [
            shop.books.entity.create(shop.books.dialect, record.clone()).await.map(drop),
            shop.books.entity.update(shop.books.dialect, &"b1".into(), record).await.map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Value);
            assert!(error.to_string().contains(&format!("Book.{field}")), "{error}");
        }
    }
    assert_eq!(shop.books.count().await, 3);
}

async fn an_error_in_a_nested_row_leaves_nothing(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let author = json!({
        "id": "a4", "name": "Dan", "publisher": {"id": "p2"}, "books": [{"id": "b4"}, {"id": "b5", "author": "a4",
            "reviews": [{"text": "no cascade"}]}]
    });
    let error = shop.authors.entity.create(shop.authors.dialect, object(author)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Value);
    assert_eq!(shop.authors.count().await, 3);
    assert_eq!(shop.publishers.count().await, 1);
    assert_eq!(shop.books.count().await, 3);
    let changes = json!({"name": "x", "books": [{"id": "b1", "title": "x"}, "none"]});
    let error =
        shop.authors.entity.update(shop.authors.dialect, &"a1".into(), object(changes)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignKeyViolation, "{error}");
    assert_eq!(shop.authors.row("a1", &[]).await["name"], "Ann");
    assert_eq!(shop.books.ids(json!({"title": "Two"})).await, ["b2"]);
}

async fn a_row_that_does_not_exist_is_not_changed_and_nothing_is_created(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    assert!(
        shop.authors
            .update("none", json!({"publisher": {"name": "x"}, "books": [{"id": "x"}]}))
            .await
            .is_none()
    );
    assert_eq!(shop.publishers.count().await, 1);
    assert_eq!(shop.books.count().await, 3);
}

async fn the_list_of_the_other_side_is_written_there(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    shop.tags.update("t1", json!({"books": ["b2", "b3"]})).await.unwrap();
    let ids = |row: &Json, name: &str| -> Vec<String> {
        row[name].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&shop.tags.row("t1", &["books"]).await, "books"), ["b2", "b3"]);
    assert_eq!(ids(&shop.books.row("b1", &["tags"]).await, "tags"), ["t3"]);
    let tags = &shop.tags;
    tags.entity.add_to_set(tags.dialect, &"t1".into(), "books", "b1".into()).await.unwrap().unwrap();
    tags.entity.pull(tags.dialect, &"t1".into(), "books", &"b3".into()).await.unwrap().unwrap();
    assert_eq!(ids(&tags.row("t1", &["books"]).await, "books"), ["b1", "b2"]);
    assert_eq!(ids(&shop.books.row("b1", &["tags"]).await, "tags"), ["t1", "t3"]);
}

async fn the_former_row_of_a_one_to_one_reference_is_removed_as_an_orphan(db: &Fresh) {
    let entities = [
        schema(json!({
            "name": "Car", "collection": "cars", "fields": {"name": {"type": "string"}},
            "relations": {"engine": {"type": "one-to-one", "target": "Engine", "joinColumn": "engineId",
                "cascade": true, "orphanRemoval": true}}
        })),
        schema(json!({"name": "Engine", "collection": "engines", "fields": {"power": {"type": "number"}}})),
    ];
    let dialect = db.with(&entities).await;
    let (cars, engines) =
        (Table::new(&*dialect, "Car", &entities), Table::new(&*dialect, "Engine", &entities));
    cars.create(json!({"id": "c", "engine": {"id": "e1", "power": 1}})).await;
    cars.update("c", json!({"engine": {"id": "e1", "power": 2}})).await.unwrap();
    assert_eq!(engines.row("e1", &[]).await["power"].as_f64(), Some(2.0));
    cars.update("c", json!({"engine": {"id": "e2", "power": 3}})).await.unwrap();
    assert_eq!(engines.ids(json!({})).await, ["e2"]);
    cars.update("c", json!({"name": "x"})).await.unwrap();
    assert_eq!(engines.count().await, 1);
    cars.update("c", json!({"engineId": null})).await.unwrap();
    assert_eq!(engines.count().await, 0);
}

async fn many_rows_at_once_do_not_cascade(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let update = async |changes: Json| {
        let authors = &shop.authors;
        authors.entity.update_many(authors.dialect, &data::Filter::everything(), object(changes)).await
    };
    assert_eq!(update(json!({"books": [{"title": "x"}]})).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(update(json!({"publisher": {"name": "x"}})).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(update(json!({"publisher": {"id": "p1"}, "age": 5})).await.unwrap(), 3);
    assert_eq!(shop.authors.row("a3", &[]).await["publisherId"], "p1");
}

async fn within_a_transaction_everything_is_undone_with_it(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let transaction = dialect.begin(None).await.unwrap();
    let inside = Shop::new(&*transaction);
    inside.authors.create(json!({"id": "a4", "name": "Dan", "books": [{"id": "b4"}]})).await;
    inside.authors.update("a1", json!({"books": []})).await.unwrap();
    assert_eq!(inside.books.ids(json!({})).await, ["b3", "b4"]);
    assert_eq!(shop.books.ids(json!({})).await, ["b1", "b2", "b3"]);
    transaction.rollback().await.unwrap();
    assert_eq!(shop.books.ids(json!({})).await, ["b1", "b2", "b3"]);
    assert_eq!(shop.authors.count().await, 3);
}
