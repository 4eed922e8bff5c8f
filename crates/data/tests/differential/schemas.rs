//! Random entities: fields of every type, under names that must be quoted.

use std::sync::Arc;

use data::EntitySchema;
use serde_json::{Map, Value as Json, json};

use crate::random::Random;

const NAMES: [&str; 24] = [
    "name",
    "order",
    "select",
    "group",
    "from",
    "a b",
    "naïve",
    "x\"y",
    "it's",
    "日本",
    "Weird`Name",
    "camelCase",
    "UPPER",
    "semi;colon",
    "back\\slash",
    "per%cent",
    "q?mark",
    ":colon",
    "@at",
    "[br]",
    "user",
    "limit",
    "__proto__",
    "-- no",
];
const COLLECTIONS: [&str; 8] =
    ["rows", "select", "with space", "quo\"te", "apo'strophe", "ünïcode", "CamelCase", "da-sh"];
const TYPES: [&str; 7] = ["string", "text", "number", "boolean", "date", "json", "array"];

/// A schema whose collection no other number has.
pub(crate) fn random_schema(random: &mut Random, number: u64) -> Arc<EntitySchema> {
    let mut fields = Map::new();
    for name in random.some(&NAMES, 6) {
        fields.insert(name.to_owned(), random_field(random));
    }
    // Every schema has something to add up, to look for and to look into.
    for (name, field_type) in
        [("amount", "number"), ("title", "string"), ("extra", "json"), ("tags", "array")]
    {
        fields.insert(name.to_owned(), json!({"type": field_type}));
    }
    let mut schema = json!({
        "name": format!("Entity{number}"),
        "collection": format!("{}{number}", random.pick(&COLLECTIONS)),
        "fields": fields,
        "softDelete": random.percent(40),
        "timestamps": random.percent(50),
    });
    if random.percent(20) {
        schema["discriminator"] = "kind".into();
        schema["discriminatorValue"] = "it's \"one\"".into();
    }
    if random.percent(30) {
        schema["fields"]["code"] = json!({"type": "string", "unique": true});
    }
    if random.percent(30) {
        schema["indexes"] = json!([{"fields": {"amount": "desc", "title": "asc"}}]);
    }
    Arc::new(EntitySchema::from_json(&schema).unwrap())
}

fn random_field(random: &mut Random) -> Json {
    let field_type = *random.pick(&TYPES);
    let mut field = json!({"type": field_type});
    if random.percent(25) {
        field["default"] = match field_type {
            "string" | "text" => "default 'é'".into(),
            "number" => json!(-2.5),
            "boolean" => json!(true),
            "date" => "1969-12-31T23:59:59.999Z".into(),
            "json" => json!({"k": [1, {"q": null}]}),
            _ => json!(["d", 1]),
        };
    }
    if field_type == "string" && random.percent(20) {
        field["lowercase"] = true.into();
        field["trim"] = true.into();
    }
    field["required"] = random.percent(15).into();
    field
}
