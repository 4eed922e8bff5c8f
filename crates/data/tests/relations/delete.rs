//! What a delete means to the rows that refer to the deleted one.

use data::{ErrorKind, Filter};
use serde_json::{Value as Json, json};

use crate::bookshop::{Shop, schemas};
use crate::databases::{Fresh, Table, schema};

crate::behaviours!(
    rows_of_a_relation_that_cascades_are_deleted_with_the_row,
    a_many_to_many_relation_forgets_a_row_deleted_on_either_side,
    on_delete_is_carried_out_alike,
    on_delete_reaches_rows_at_any_distance,
    a_forbidden_delete_changes_nothing,
    rows_that_refer_to_each_other_are_deleted_together,
    a_soft_delete_leaves_the_rows_that_refer_to_it,
    what_a_row_refers_to_goes_with_the_last_row_that_does,
    deleting_many_rows_means_the_same_as_deleting_each,
    rows_that_a_foreign_key_deletes_leave_no_junction_rows,
    a_long_chain_of_rows_is_deleted_to_its_end,
);

async fn rows_of_a_relation_that_cascades_are_deleted_with_the_row(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    assert!(shop.authors.delete("a1").await);
    assert_eq!(shop.books.ids(json!({})).await, ["b3"]);
    assert_eq!(shop.profiles.count().await, 0);
    assert_eq!(shop.reviews.count().await, 0);
    // Relations that do not cascade deletes stay.
    assert_eq!(shop.publishers.count().await, 1);
    assert_eq!(shop.tags.count().await, 3);
    assert!(!shop.authors.delete("a1").await);
}

async fn a_many_to_many_relation_forgets_a_row_deleted_on_either_side(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    shop.books.update("b2", json!({"tags": ["t1", "t2"]})).await.unwrap();
    assert!(shop.tags.delete("t1").await);
    shop.tags.create(json!({"id": "t1", "name": "again"})).await;
    assert_eq!(shop.tags.row("t1", &["books"]).await["books"], json!([]));
    assert_eq!(shop.books.row("b1", &["tags"]).await["tags"].as_array().unwrap().len(), 1);
    assert!(shop.books.delete("b1").await);
    shop.books.create(json!({"id": "b1"})).await;
    assert_eq!(shop.books.row("b1", &["tags"]).await["tags"], json!([]));
}

/// A row `x` of the entity `Kept`, and four entities that refer to it, each with another rule.
fn rules() -> Vec<std::sync::Arc<data::EntitySchema>> {
    let mut entities = vec![schema(json!({"name": "Kept", "collection": "kept"}))];
    for rule in ["cascade", "set-null", "restrict", "no-action"] {
        let name = rule.replace('-', "");
        entities.push(schema(json!({
            "name": name, "collection": format!("{name}_rows"), "timestamps": true, "softDelete": true,
            "relations": {"kept": {"type": "many-to-one", "target": "Kept", "joinColumn": "keptId", "onDelete": rule}}
        })));
    }
    entities
}

async fn on_delete_is_carried_out_alike(db: &Fresh) {
    let entities = rules();
    let dialect = db.with(&entities).await;
    let table = |name| Table::new(&*dialect, name, &entities);
    let kept = table("Kept");
    for id in ["x", "y", "z"] {
        kept.create(json!({"id": id})).await;
    }
    for name in ["cascade", "setnull"] {
        table(name).create(json!({"id": "1", "kept": "x"})).await;
        table(name).create(json!({"id": "2", "kept": "x"})).await;
        table(name).create(json!({"id": "3", "kept": "y"})).await;
        // Foreign keys do not know of soft deletes.
        table(name).delete("2").await;
    }
    let before = table("setnull").row("1", &[]).await;
    assert!(kept.delete("x").await);
    assert_eq!(table("cascade").count().await, 1);
    assert_eq!(table("setnull").count().await, 3);
    let after = table("setnull").row("1", &[]).await;
    assert_eq!(after["keptId"], Json::Null);
    assert_eq!(after["updatedAt"], before["updatedAt"]);
    assert_eq!(table("setnull").row("3", &[]).await["keptId"], "y");
    for name in ["restrict", "noaction"] {
        table(name).create(json!({"id": "1", "kept": "z"})).await;
        let error = kept.entity.delete(kept.dialect, &"z".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ForeignKeyViolation, "{name}: {error}");
        assert_eq!(kept.ids(json!({})).await, ["y", "z"]);
        table(name).update("1", json!({"kept": null})).await.unwrap();
    }
    assert!(kept.delete("z").await);
}

async fn on_delete_reaches_rows_at_any_distance(db: &Fresh) {
    let level = |name: &str, above: &str| {
        schema(json!({
            "name": name, "collection": format!("level_{name}"),
            "relations": {"above": {"type": "many-to-one", "target": above, "onDelete": "cascade"}}
        }))
    };
    let entities = [
        schema(json!({"name": "a", "collection": "level_a"})),
        level("b", "a"),
        level("c", "b"),
        level("d", "c"),
    ];
    let dialect = db.with(&entities).await;
    let table = |name| Table::new(&*dialect, name, &entities);
    table("a").create(json!({"id": "a"})).await;
    table("b").create(json!({"id": "b", "above": "a"})).await;
    table("c").create(json!({"id": "c", "above": "b"})).await;
    table("d").create(json!({"id": "d", "above": "c"})).await;
    table("d").create(json!({"id": "e"})).await;
    assert!(table("a").delete("a").await);
    assert_eq!((table("b").count().await, table("c").count().await, table("d").count().await), (0, 0, 1));
}

async fn a_forbidden_delete_changes_nothing(db: &Fresh) {
    let mut entities = rules();
    entities.push(schema(json!({
        "name": "leaf", "collection": "leaves",
        "relations": {"of": {"type": "many-to-one", "target": "cascade", "required": true, "onDelete": "restrict"}}
    })));
    let dialect = db.with(&entities).await;
    let table = |name| Table::new(&*dialect, name, &entities);
    table("Kept").create(json!({"id": "x"})).await;
    table("cascade").create(json!({"id": "1", "kept": "x"})).await;
    table("setnull").create(json!({"id": "1", "kept": "x"})).await;
    table("leaf").create(json!({"id": "1", "of": "1"})).await;
    let kept = table("Kept");
    let error = kept.entity.delete(kept.dialect, &"x".into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignKeyViolation, "{error}");
    assert_eq!(table("setnull").row("1", &[]).await["keptId"], "x");
    assert_eq!((table("cascade").count().await, table("leaf").count().await), (1, 1));
}

async fn rows_that_refer_to_each_other_are_deleted_together(db: &Fresh) {
    let entities = [schema(json!({
        "name": "Node", "collection": "nodes",
        "relations": {"next": {"type": "many-to-one", "target": "Node", "joinColumn": "nextId", "onDelete": "cascade"}}
    }))];
    let dialect = db.with(&entities).await;
    let nodes = Table::new(&*dialect, "Node", &entities);
    nodes.create(json!({"id": "1"})).await;
    nodes.create(json!({"id": "2", "next": "1"})).await;
    nodes.create(json!({"id": "3", "next": "2"})).await;
    nodes.create(json!({"id": "4", "next": "4"})).await;
    nodes.update("1", json!({"next": "3"})).await.unwrap();
    assert!(nodes.delete("2").await);
    assert_eq!(nodes.ids(json!({})).await, ["4"]);
    assert!(nodes.delete("4").await);
    assert_eq!(nodes.count().await, 0);
}

async fn a_soft_delete_leaves_the_rows_that_refer_to_it(db: &Fresh) {
    let entities = [
        schema(json!({"name": "Post", "collection": "posts", "softDelete": true,
        "relations": {
            "notes": {"type": "one-to-many", "target": "Note", "mappedBy": "post", "cascade": ["remove"]},
            "topics": {"type": "many-to-many", "target": "Topic", "through": "post_topics", "cascade": "all"}
        }})),
        schema(json!({"name": "Link", "collection": "links",
            "relations": {"post": {"type": "many-to-one", "target": "Post", "onDelete": "restrict"}}})),
        schema(json!({"name": "Note", "collection": "notes", "softDelete": true,
            "relations": {"post": {"type": "many-to-one", "target": "Post", "joinColumn": "postId"}}})),
        schema(json!({"name": "Topic", "collection": "topics"})),
    ];
    let dialect = db.with(&entities).await;
    let table = |name| Table::new(&*dialect, name, &entities);
    table("Post").create(json!({"id": "p", "topics": [{"id": "t"}]})).await;
    table("Link").create(json!({"id": "l", "post": "p"})).await;
    table("Note").create(json!({"id": "n", "post": "p"})).await;
    assert!(table("Post").delete("p").await);
    assert_eq!(table("Link").row("l", &[]).await["post"], "p");
    assert_eq!(table("Link").row("l", &["post"]).await["post"], Json::Null);
    // Its own relation deletes its notes, as softly as they are deleted otherwise.
    assert!(table("Note").ids(json!({})).await.is_empty());
    assert_eq!(table("Note").count().await, 1);
    assert_eq!(table("Topic").count().await, 1);
    assert!(table("Post").delete("p").await);
}

async fn what_a_row_refers_to_goes_with_the_last_row_that_does(db: &Fresh) {
    let entities = [
        schema(json!({"name": "Song", "collection": "songs",
        "relations": {
            "album": {"type": "many-to-one", "target": "Album", "cascade": ["all"]},
            "moods": {"type": "many-to-many", "target": "Mood", "cascade": ["all"]}
        }})),
        schema(json!({"name": "Album", "collection": "albums"})),
        schema(json!({"name": "Mood", "collection": "moods"})),
    ];
    let dialect = db.with(&entities).await;
    let table = |name| Table::new(&*dialect, name, &entities);
    let song = json!({"id": "1", "album": {"id": "a"}, "moods": [{"id": "sad"}, {"id": "slow"}]});
    table("Song").create(song).await;
    table("Song").create(json!({"id": "2", "album": {"id": "a"}, "moods": ["sad"]})).await;
    assert!(table("Song").delete("1").await);
    assert_eq!(table("Album").ids(json!({})).await, ["a"]);
    assert_eq!(table("Mood").ids(json!({})).await, ["sad"]);
    assert!(table("Song").delete("2").await);
    assert_eq!((table("Album").count().await, table("Mood").count().await), (0, 0));
}

async fn deleting_many_rows_means_the_same_as_deleting_each(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let books = &shop.books;
    let some = crate::databases::filter(json!({"title": {"$in": ["One", "Three"]}}));
    assert_eq!(books.entity.delete_many(books.dialect, &some).await.unwrap(), 2);
    assert_eq!(shop.reviews.count().await, 0);
    assert_eq!(shop.tags.row("t1", &["books"]).await["books"], json!([]));
    let tags = &shop.tags;
    assert_eq!(tags.entity.delete_many(tags.dialect, &Filter::everything()).await.unwrap(), 3);
    shop.tags.create(json!({"id": "t2"})).await;
    assert_eq!(shop.books.row("b2", &["tags"]).await["tags"], json!([]));
    let authors = &shop.authors;
    assert_eq!(authors.entity.delete_many(authors.dialect, &Filter::everything()).await.unwrap(), 3);
    assert_eq!(shop.books.count().await, 0);
}

async fn rows_that_a_foreign_key_deletes_leave_no_junction_rows(db: &Fresh) {
    let entities = [
        schema(json!({"name": "Shelf", "collection": "shelves"})),
        schema(json!({"name": "Item", "collection": "items",
        "relations": {
            "shelf": {"type": "many-to-one", "target": "Shelf", "onDelete": "cascade"},
            "marks": {"type": "many-to-many", "target": "Mark", "through": "item_marks"}
        }})),
        schema(json!({"name": "Mark", "collection": "marks",
            "relations": {"items": {"type": "many-to-many", "target": "Item", "through": "item_marks",
                "mappedBy": "marks"}}})),
    ];
    let dialect = db.with(&entities).await;
    let table = |name| Table::new(&*dialect, name, &entities);
    table("Shelf").create(json!({"id": "s"})).await;
    table("Mark").create(json!({"id": "m"})).await;
    table("Item").create(json!({"id": "i", "shelf": "s", "marks": ["m"]})).await;
    assert_eq!(table("Mark").row("m", &["items"]).await["items"][0]["id"], "i");
    assert!(table("Shelf").delete("s").await);
    table("Item").create(json!({"id": "i"})).await;
    assert_eq!(table("Mark").row("m", &["items"]).await["items"], json!([]));
    assert_eq!(table("Item").row("i", &["marks"]).await["marks"], json!([]));
}

async fn a_long_chain_of_rows_is_deleted_to_its_end(db: &Fresh) {
    let entities = [schema(json!({
        "name": "Step", "collection": "steps",
        "relations": {
            "before": {"type": "many-to-one", "target": "Step", "joinColumn": "beforeId"},
            "after": {"type": "one-to-many", "target": "Step", "mappedBy": "before", "cascade": ["remove"]}
        }
    }))];
    let dialect = db.with(&entities).await;
    let transaction = dialect.begin(None).await.unwrap();
    let inside = Table::new(&*transaction, "Step", &entities);
    inside.create(json!({"id": "0"})).await;
    for number in 1..800 {
        inside.create(json!({"id": number.to_string(), "before": (number - 1).to_string()})).await;
    }
    transaction.commit().await.unwrap();
    let steps = Table::new(&*dialect, "Step", &entities);
    assert!(steps.delete("1").await);
    assert_eq!(steps.ids(json!({})).await, ["0"]);
}
