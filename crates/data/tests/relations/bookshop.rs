//! The entities of the tests, with every kind of relation.

use std::sync::Arc;

use data::{Dialect, EntitySchema};
use serde_json::json;

use crate::databases::{Table, schema};

/// Publishers, authors with a profile each, books with tags, and reviews.
pub(crate) fn schemas() -> Vec<Arc<EntitySchema>> {
    vec![
        schema(json!({
            "name": "Publisher", "collection": "publishers", "fields": {"name": {"type": "string"}},
            "relations": {"authors": {"type": "one-to-many", "target": "Author", "mappedBy": "publisher"}}
        })),
        schema(json!({
            "name": "Author", "collection": "authors", "timestamps": true,
            "fields": {"name": {"type": "string", "required": true}, "age": {"type": "number"}},
            "relations": {
                "publisher": {"type": "many-to-one", "target": "Publisher", "joinColumn": "publisherId",
                    "cascade": ["persist", "merge"]},
                "books": {"type": "one-to-many", "target": "Book", "mappedBy": "author", "cascade": ["all"],
                    "orphanRemoval": true},
                "profile": {"type": "one-to-one", "target": "Profile", "mappedBy": "authorId", "cascade": ["all"]}
            }
        })),
        schema(json!({
            "name": "Profile", "collection": "profiles", "fields": {"bio": {"type": "text"}},
            "relations": {"author": {"type": "one-to-one", "target": "Author", "joinColumn": "authorId"}}
        })),
        schema(json!({
            "name": "Book", "collection": "books",
            "fields": {"title": {"type": "string"}, "year": {"type": "number"}},
            "relations": {
                "author": {"type": "many-to-one", "target": "Author", "select": ["name"]},
                "tags": {"type": "many-to-many", "target": "Tag", "through": "book_tags", "cascade": "persist"},
                "reviews": {"type": "one-to-many", "target": "Review"}
            }
        })),
        schema(json!({
            "name": "Tag", "collection": "tags", "softDelete": false, "fields": {"name": {"type": "string"}},
            "relations": {"books": {"type": "many-to-many", "target": "Book", "mappedBy": "tags"}}
        })),
        schema(json!({
            "name": "Review", "collection": "reviews", "softDelete": true, "fields": {"text": {"type": "text"}},
            "relations": {"book": {"type": "many-to-one", "target": "Book", "joinColumn": "bookId",
                "onDelete": "cascade"}}
        })),
    ]
}

/// One table per entity of the bookshop.
pub(crate) struct Shop<'d> {
    pub(crate) publishers: Table<'d>,
    pub(crate) authors: Table<'d>,
    pub(crate) profiles: Table<'d>,
    pub(crate) books: Table<'d>,
    pub(crate) tags: Table<'d>,
    pub(crate) reviews: Table<'d>,
}

impl<'d> Shop<'d> {
    pub(crate) fn new(dialect: &'d dyn Dialect) -> Self {
        let schemas = schemas();
        let table = |name| Table::new(dialect, name, &schemas);
        Self {
            publishers: table("Publisher"),
            authors: table("Author"),
            profiles: table("Profile"),
            books: table("Book"),
            tags: table("Tag"),
            reviews: table("Review"),
        }
    }

    /// Two authors of one publisher, three books, three tags, and reviews of the first book.
    pub(crate) async fn filled(dialect: &'d dyn Dialect) -> Self {
        let shop = Self::new(dialect);
        shop.publishers.create(json!({"id": "p1", "name": "Faber"})).await;
        shop.authors.create(json!({"id": "a1", "name": "Ann", "publisherId": "p1"})).await;
        shop.authors.create(json!({"id": "a2", "name": "Bob", "publisher": "p1"})).await;
        shop.authors.create(json!({"id": "a3", "name": "Cid"})).await;
        shop.profiles.create(json!({"id": "f1", "bio": "writes", "author": "a1"})).await;
        for id in ["t1", "t2", "t3"] {
            shop.tags.create(json!({"id": id, "name": id.to_uppercase()})).await;
        }
        shop.books.create(json!({"id": "b2", "title": "Two", "author": "a1", "tags": ["t2"]})).await;
        shop.books.create(json!({"id": "b1", "title": "One", "author": "a1", "tags": ["t3", "t1"]})).await;
        shop.books.create(json!({"id": "b3", "title": "Three"})).await;
        for id in ["r1", "r2"] {
            shop.reviews.create(json!({"id": id, "text": id, "book": "b1"})).await;
        }
        shop
    }
}
