//! Writes of related rows at the same time.

use data::ErrorKind;
use serde_json::json;

use crate::bookshop::{Shop, schemas};
use crate::databases::{Fresh, object};

crate::behaviours!(
    writes_at_the_same_time_all_succeed,
    a_transaction_sees_nothing_of_another_one_before_its_end,
);

async fn writes_at_the_same_time_all_succeed(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let writes = (0..16).map(|number| {
        let dialect = std::sync::Arc::clone(&dialect);
        tokio::spawn(async move {
            let shop = Shop::new(&*dialect);
            let name = format!("author {number}");
            // Each writes the same publisher, so that their transactions meet.
            let publisher = json!({"id": "p1", "name": name});
            let author =
                json!({"name": name, "publisher": publisher, "books": [{"title": name}, {"title": name}]});
            shop.authors.entity.create(&*dialect, object(author)).await
        })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    assert_eq!(shop.authors.count().await, 19);
    assert_eq!(shop.books.count().await, 35);
}

async fn a_transaction_sees_nothing_of_another_one_before_its_end(db: &Fresh) {
    let dialect = db.with(&schemas()).await;
    let shop = Shop::filled(&*dialect).await;
    let first = dialect.begin(None).await.unwrap();
    let inside = Shop::new(&*first);
    inside.authors.update("a1", json!({"books": [{"id": "b1"}, {"id": "new"}]})).await.unwrap();
    assert_eq!(shop.authors.row("a1", &["books"]).await["books"].as_array().unwrap().len(), 2);
    assert_eq!(inside.authors.row("a1", &["books"]).await["books"][1]["id"], "new");
    first.commit().await.unwrap();
    let error =
        inside.authors.entity.create(&*first, object(json!({"name": "x", "books": [{}]}))).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transaction | ErrorKind::Unsupported), "{error}");
    assert_eq!(shop.books.ids(json!({"author": "a1"})).await, ["b1", "new"]);
}
