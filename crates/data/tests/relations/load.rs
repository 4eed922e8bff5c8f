//! Reading rows with their relations.

use data::{ErrorKind, Filter, FindOptions};
use serde_json::{Value as Json, json};

use crate::bookshop::{Shop, schemas};
use crate::databases::{Fresh, Table, json as rows_json, schema};

crate::behaviours!(
    a_reference_becomes_the_row,
    children_are_a_list_ordered_by_id,
    children_without_mapped_by_are_found_by_the_parents_name,
    a_many_to_many_relation_is_a_list_from_both_sides,
    a_one_to_one_relation_is_found_from_both_sides,
    relations_of_relations_are_loaded,
    relations_that_lead_back_come_to_an_end,
    softly_deleted_rows_are_left_out,
    the_options_are_those_of_the_rows_themselves,
    an_entity_related_to_itself_is_loaded,
    no_relations_are_a_plain_read,
    more_rows_than_one_query_names_are_loaded,
    a_prefix_of_tables_stands_before_junctions_too,
    names_that_are_no_relations_are_refused,
);

/// The values under a name in a list of objects.
fn under<'j>(list: &'j Json, name: &str) -> Vec<&'j str> {
    list.as_array().unwrap().iter().map(|row| row[name].as_str().unwrap()).collect()
}

async fn a_reference_becomes_the_row(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let author = shop.authors.row("a1", &["publisher"]).await;
    assert_eq!(author["publisher"]["name"], "Faber");
    assert_eq!(author["publisherId"], "p1");
    let alone = shop.authors.row("a3", &["publisher"]).await;
    assert_eq!(alone.get("publisher"), Some(&Json::Null));
    // Of the author only the selected field and the id are read.
    assert_eq!(shop.books.row("b1", &["author"]).await["author"], json!({"id": "a1", "name": "Ann"}));
}

async fn children_are_a_list_ordered_by_id(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let authors = shop.authors.rows(json!({}), &["books"]).await;
    let books: Vec<_> =
        authors.as_array().unwrap().iter().map(|author| under(&author["books"], "id")).collect();
    assert_eq!(books, [vec!["b1", "b2"], vec![], vec![]]);
    assert_eq!(authors[0]["books"][0]["author"], "a1");
    assert_eq!(under(&shop.publishers.row("p1", &["authors"]).await["authors"], "id"), ["a1", "a2"]);
}

async fn children_without_mapped_by_are_found_by_the_parents_name(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    assert_eq!(under(&shop.books.row("b1", &["reviews"]).await["reviews"], "id"), ["r1", "r2"]);
    assert_eq!(shop.books.row("b2", &["reviews"]).await["reviews"], json!([]));
}

async fn a_many_to_many_relation_is_a_list_from_both_sides(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    shop.books.update("b2", json!({"tags": ["t1", "t2", "none"]})).await;
    assert_eq!(under(&shop.books.row("b1", &["tags"]).await["tags"], "name"), ["T1", "T3"]);
    assert_eq!(under(&shop.books.row("b2", &["tags"]).await["tags"], "name"), ["T1", "T2"]);
    assert_eq!(shop.books.row("b3", &["tags"]).await["tags"], json!([]));
    let tags = shop.tags.rows(json!({}), &["books"]).await;
    let books: Vec<_> = tags.as_array().unwrap().iter().map(|tag| under(&tag["books"], "id")).collect();
    assert_eq!(books, [vec!["b1", "b2"], vec!["b2"], vec!["b1"]]);
}

async fn a_one_to_one_relation_is_found_from_both_sides(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    assert_eq!(shop.profiles.row("f1", &["author"]).await["author"]["name"], "Ann");
    assert_eq!(shop.authors.row("a1", &["profile"]).await["profile"]["bio"], "writes");
    assert_eq!(shop.authors.row("a2", &["profile"]).await["profile"], Json::Null);
}

async fn relations_of_relations_are_loaded(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let review = shop.reviews.row("r1", &["book.author.publisher", "book.tags"]).await;
    assert_eq!(review["book"]["author"]["publisher"]["name"], "Faber");
    // What was read to get there stays away where a select did not ask for it.
    assert_eq!(review["book"]["author"].get("publisherId"), None);
    assert_eq!(under(&review["book"]["tags"], "id"), ["t1", "t3"]);
    let publisher = shop.publishers.row("p1", &["authors.books.reviews"]).await;
    assert_eq!(under(&publisher["authors"][0]["books"][0]["reviews"], "id"), ["r1", "r2"]);
}

async fn relations_that_lead_back_come_to_an_end(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let author = shop.authors.row("a1", &["books.author.books.author"]).await;
    let book = &author["books"][0]["author"]["books"][1];
    assert_eq!(book["author"], json!({"id": "a1", "name": "Ann"}));
}

async fn softly_deleted_rows_are_left_out(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    shop.reviews.delete("r1").await;
    assert_eq!(under(&shop.books.row("b1", &["reviews"]).await["reviews"], "id"), ["r2"]);
}

async fn the_options_are_those_of_the_rows_themselves(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let read = async |relations: &[&str], how: Json| {
        rows_json(shop.authors.read(json!({}), relations, how).await.unwrap())
    };
    let rows =
        read(&["publisher"], json!({"select": ["name"], "sort": {"name": -1}, "skip": 1, "limit": 1})).await;
    assert_eq!(rows, json!([{"id": "a2", "name": "Bob", "publisher": {"id": "p1", "name": "Faber"}}]));
    let rows =
        read(&["publisher", "books"], json!({"exclude": ["publisherId", "name"], "sort": {"id": 1}})).await;
    assert_eq!(rows[0].get("publisherId"), None);
    assert_eq!(rows[0].get("name"), None);
    assert_eq!(rows[0]["publisher"]["id"], "p1");
    let rows = read(&["books"], json!({"select": ["books"], "sort": {"id": 1}, "limit": 1})).await;
    assert_eq!(rows[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "books"]);
}

async fn an_entity_related_to_itself_is_loaded(db: &Fresh) {
    let person = schema(json!({
        "name": "Person", "collection": "people", "fields": {"name": {"type": "string"}},
        "relations": {
            "boss": {"type": "many-to-one", "target": "Person", "joinColumn": "bossId"},
            "team": {"type": "one-to-many", "target": "Person", "mappedBy": "boss"},
            "friends": {"type": "many-to-many", "target": "Person"}
        }
    }));
    let dialect = db.with(std::slice::from_ref(&person)).await;
    let people = Table::new(&*dialect, "Person", &[person]);
    people.create(json!({"id": "1"})).await;
    people.create(json!({"id": "2", "boss": "1", "friends": ["1"]})).await;
    people.create(json!({"id": "3", "boss": "2", "friends": ["2", "1"]})).await;
    let three = people.row("3", &["boss.boss", "friends"]).await;
    assert_eq!(three["boss"]["boss"]["id"], "1");
    assert_eq!(under(&three["friends"], "id"), ["1", "2"]);
    assert_eq!(under(&people.row("1", &["team"]).await["team"], "id"), ["2"]);
}

async fn no_relations_are_a_plain_read(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let plain = dialect
        .find(shop.books.entity.schema(), &Filter::eq("id", "b1"), &FindOptions::default())
        .await
        .unwrap();
    assert_eq!(shop.books.row("b1", &[]).await, rows_json(plain)[0]);
}

async fn more_rows_than_one_query_names_are_loaded(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::new(&*dialect);
    let transaction = dialect.begin(None).await.unwrap();
    let inside = Shop::new(&*transaction);
    inside.publishers.create(json!({"id": "p"})).await;
    for number in 0..1_205 {
        let id = format!("{number:04}");
        let author = json!({"id": id, "name": id, "publisher": "p"});
        inside
            .authors
            .dialect
            .create(inside.authors.entity.schema(), crate::databases::object(author))
            .await
            .unwrap();
    }
    transaction.commit().await.unwrap();
    let books = json!({"id": "b", "author": "1204"});
    shop.books.create(books).await;
    let authors = shop.authors.rows(json!({}), &["books", "publisher"]).await;
    let authors = authors.as_array().unwrap();
    assert_eq!(authors.len(), 1_205);
    assert!(authors.iter().all(|author| author["publisher"]["id"] == "p"));
    assert_eq!(under(&authors[1_204]["books"], "id"), ["b"]);
    let publisher = shop.publishers.row("p", &["authors"]).await;
    assert_eq!(publisher["authors"].as_array().unwrap().len(), 1_205);
}

async fn a_prefix_of_tables_stands_before_junctions_too(db: &Fresh) {
    let first = db.with_prefix("x_", &schemas()).await;
    let second = db.with_prefix("y_", &schemas()).await;
    let shop = Shop::filled(&*first).await;
    assert_eq!(under(&shop.tags.row("t1", &["books"]).await["books"], "id"), ["b1"]);
    let other = Shop::filled(&*second).await;
    other.tags.delete("t1").await;
    assert_eq!(under(&shop.books.row("b1", &["tags"]).await["tags"], "id"), ["t1", "t3"]);
    assert_eq!(under(&other.books.row("b1", &["tags"]).await["tags"], "id"), ["t3"]);
}

async fn names_that_are_no_relations_are_refused(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    for name in
        ["title", "", ".", "author.", "author.name", "tags\"; DROP TABLE books; --", "$where", "__proto__"]
    {
        let error = shop.books.read(json!({}), &[name], json!({})).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Filter, "{name}: {error}");
        assert!(error.to_string().contains("unknown relation"), "{error}");
    }
    assert_eq!(shop.books.ids(json!({})).await, ["b1", "b2", "b3"]);
}
