//! MongoDB as a source: documents become rows of SQL databases, and documents elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data::EntitySchema;
use replication::{Manager, Repair, Rule};
use serde_json::{Value as Json, json};

use crate::world::{Dice, PATIENCE, Pair, Place, Witness, World, rows, run, totals, until_rows};

const FILL: &str = r#"{"insert": "items", "documents": [
    {"_id": 1, "name": "a", "price": 1.5, "sub": {"x": 1}},
    {"_id": 2, "name": "b", "price": 2.5},
    {"_id": 3, "name": "c"}]}"#;

fn pairs() -> [Pair; 4] {
    let pair = |target| Pair { source: Place::mongodb(), target };
    [pair(Place::sqlite()), pair(Place::postgres()), pair(Place::mariadb()), pair(Place::mongodb())]
}

fn to_sqlite() -> Pair {
    Pair { source: Place::mongodb(), target: Place::sqlite() }
}

fn insert(documents: &Json) -> String {
    json!({"insert": "items", "documents": documents}).to_string()
}

fn update(id: i64, change: &Json) -> String {
    json!({"update": "items", "updates": [{"q": {"_id": id}, "u": change}]}).to_string()
}

fn delete(id: i64) -> String {
    json!({"delete": "items", "deletes": [{"q": {"_id": id}, "limit": 1}]}).to_string()
}

async fn change(world: &World, statements: &[String]) {
    for statement in statements {
        world.run(&[statement]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_follow_documents() {
    for pair in pairs() {
        let world = World::new(&pair, &[FILL]).await;
        assert_eq!(world.counts().await, (3, 0, 0, 0, 0), "{}", pair.target.dialect);
        world.assert_verified().await;
        change(
            &world,
            &[
                insert(&json!([{"_id": 4, "name": "d", "price": 4.5, "sub": {"x": 4}}])),
                update(2, &json!({"$set": {"name": "B"}})),
                delete(3),
            ],
        )
        .await;
        assert_eq!(world.counts().await, (1, 1, 1, 0, 0), "{}", pair.target.dialect);
        world.assert_verified().await;
        assert_eq!(world.counts().await, (0, 0, 0, 0, 0));
        change(
            &world,
            &[
                update(1, &json!({"$set": {"sub.x": 7}})),
                update(4, &json!({"$unset": {"price": ""}})),
                update(2, &json!({"name": "whole", "sub": {"y": [1, 2]}})),
                delete(4),
                insert(&json!([{"_id": 4, "name": "again"}])),
            ],
        )
        .await;
        let stats = world.sync().await;
        assert_eq!(stats.errors, 0, "{stats:?}");
        world.assert_verified().await;
        world.run(&[r#"{"drop": "items"}"#, FILL]).await;
        let stats = world.sync().await;
        assert_eq!(stats.errors, 0, "{stats:?}");
        world.assert_verified().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_the_last_one_ended() {
    for pair in pairs().into_iter().filter(|pair| pair.target.dialect != "mongodb") {
        let first = World::new(&pair, &[FILL]).await;
        first.sync().await;
        first.audit(&pair).await;
        for round in 0..4_i64 {
            let world = World::reopened(&pair).await;
            change(
                &world,
                &[
                    insert(&json!([{"_id": round + 10, "name": "x", "price": 0.5}])),
                    update(1, &json!({"$set": {"name": format!("round {round}")}})),
                ],
            )
            .await;
            assert_eq!(world.counts().await, (1, 1, 0, 0, 0), "{}", pair.target.dialect);
        }
        first.assert_verified().await;
        assert!(first.assert_no_overlap().await >= 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_that_is_started_applies_changes_as_they_come() {
    for pair in pairs() {
        let world = World::new(&pair, &[FILL]).await;
        let witness = Arc::new(Witness::default());
        world.manager.start("r", Arc::clone(&witness) as _).await.unwrap();
        change(&world, &[insert(&json!([{"_id": 9, "name": "i"}])), delete(1)]).await;
        until_verified(&world).await;
        witness
            .until("a deletion is told", |event| event["type"] == "change" && event["operation"] == "delete")
            .await;
        witness.until("the lag is told", |event| event["type"] == "lag" && event["lagMs"].is_u64()).await;
        // What the stream does is not done again.
        change(&world, &[insert(&json!([{"_id": 10, "name": "j"}]))]).await;
        assert_eq!(world.counts().await, (0, 0, 0, 0, 0));
        world.assert_verified().await;
        world.manager.stop("r").await.unwrap();
    }
}

async fn until_verified(world: &World) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let verdict = world.manager.verify("r", Repair::None).await.unwrap();
        if verdict.equal {
            return;
        }
        assert!(Instant::now() < deadline, "{verdict:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_field_becomes_a_column_where_the_target_may_be_changed() {
    let pair = to_sqlite();
    let world = World::new(&pair, &[FILL]).await;
    world.sync().await;
    change(&world, &[update(1, &json!({"$set": {"color": "red"}}))]).await;
    let stats = world.sync().await;
    assert_eq!(stats.errors, 0, "{stats:?}");
    let colors = world.at_target("SELECT id, color FROM items WHERE color IS NOT NULL").await;
    assert_eq!(colors, json!([{"id": 1, "color": "red"}]));
    world.assert_verified().await;
    // A field that came and went is nobody's any more.
    change(
        &world,
        &[update(2, &json!({"$set": {"brief": 1}})), update(2, &json!({"$unset": {"brief": ""}}))],
    )
    .await;
    assert_eq!(world.sync().await.errors, 0);
    world.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_deleted_before_a_table_is_copied_again_are_gone() {
    let pair = to_sqlite();
    let world = World::new(&pair, &[FILL]).await;
    world.sync().await;
    let again = insert(&json!([{"_id": 3, "name": "again"}]));
    change(&world, &[update(1, &json!({"$set": {"color": "red"}})), delete(2), delete(3), again]).await;
    let stats = world.sync().await;
    assert_eq!(stats.errors, 0, "{stats:?}");
    world.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_become_larger_widen_their_column() {
    let pair = Pair { source: Place::mongodb(), target: Place::postgres() };
    let world = World::new(&pair, &[&insert(&json!([{"_id": 1, "n": 1}, {"_id": 2, "n": 2}]))]).await;
    world.sync().await;
    change(&world, &[update(1, &json!({"$set": {"n": 5_000_000_000_i64}}))]).await;
    world.sync().await;
    let stats = world.sync().await;
    assert_eq!(stats.errors, 0, "{stats:?}");
    assert_eq!(world.at_target("SELECT n FROM items WHERE id = 1").await, json!([{"n": 5_000_000_000_i64}]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_without_a_column_are_counted_where_the_target_is_not_to_be_changed() {
    let pair = to_sqlite();
    let world = World::with_strategy(&pair, &[FILL], json!({}), "none").await;
    world.sync().await;
    change(&world, &[update(1, &json!({"$set": {"name": "A", "color": "red"}}))]).await;
    let stats = world.sync().await;
    assert_eq!((stats.errors, stats.details[0].updated), (0, 1), "{stats:?}");
    let told = &stats.details[0].conversions;
    assert!(told.iter().any(|conversion| conversion.field == "color" && conversion.rows == 1), "{told:?}");
    assert_eq!(world.at_target("SELECT name FROM items WHERE id = 1").await, json!([{"name": "A"}]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_without_a_column_are_kept_in_one_by_option() {
    let schema = |json| Arc::new(EntitySchema::from_json(&json).unwrap());
    let item = schema(json!({
        "name": "Item", "collection": "items",
        "fields": {"name": {"type": "string"}, "price": {"type": "number"}}
    }));
    let (source, target) = (Place::mongodb(), Place::postgres());
    let manager = Manager::new();
    let at_source = manager.add_replica("source", source.config("none"), Vec::new()).await.unwrap();
    let at_target = manager.add_replica("target", target.config("update"), vec![item]).await.unwrap();
    let fill = insert(&json!([
        {"_id": "1", "name": "a", "price": 1.5, "sub": {"x": 1}}, {"_id": "2", "name": "b"},
        {"_id": "3", "name": "c", "price": null}, {"_id": "4", "name": "d", "color": "red", "extra": 1},
    ]));
    run(at_source.as_ref(), &[&fill]).await;
    let rule = json!({
        "name": "r", "source": "source", "target": "target", "mode": "cdc", "collections": ["Item"],
        "extraFields": "column",
    });
    manager.add_rule(Rule::from_json(rule).unwrap()).unwrap();
    let stats = manager.sync("r", None).await.unwrap();
    assert_eq!(totals(&stats), (4, 0, 0, 0, 0), "{stats:?}");
    let extras = "SELECT id, extra FROM items WHERE extra IS NOT NULL ORDER BY id";
    let kept =
        |rows: Json| rows.as_array().unwrap().iter().map(|row| row["extra"].clone()).collect::<Vec<_>>();
    let found = kept(rows(at_target.as_ref(), extras).await);
    assert_eq!(found, [json!({"sub": {"x": 1}}), json!({"color": "red", "extra": 1})]);
    let update = |id: &str, change: Json| {
        json!({"update": "items", "updates": [{"q": {"_id": id}, "u": change}]}).to_string()
    };
    let changes = [
        update("1", json!({"$set": {"sub.x": 2, "size": 9}})),
        update("2", json!({"$set": {"name": "B"}})),
        update("4", json!({"$unset": {"color": "", "extra": ""}})),
    ];
    for change in &changes {
        run(at_source.as_ref(), &[change]).await;
    }
    let stats = manager.sync("r", None).await.unwrap();
    assert_eq!(totals(&stats), (0, 3, 0, 0, 0), "{stats:?}");
    let found = kept(rows(at_target.as_ref(), extras).await);
    assert_eq!(found, [json!({"sub": {"x": 2}, "size": 9})]);
    let verdict = manager.verify("r", Repair::None).await.unwrap();
    assert!(verdict.equal, "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_for_further_fields_is_refused_between_databases_of_one_kind() {
    for pair in [
        Pair { source: Place::mongodb(), target: Place::mongodb() },
        Pair { source: Place::sqlite(), target: Place::sqlite() },
    ] {
        let world = World::with(&pair, &[], json!({"extraFields": "column"})).await;
        let error = world.manager.sync("r", None).await.unwrap_err();
        assert_eq!(error.code(), "ERR_CONFIG", "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_lost_is_a_typed_error_and_resync_repairs() {
    let pair = to_sqlite();
    let world = World::new(&pair, &[FILL]).await;
    world.sync().await;
    world.run(&[r#"{"dropDatabase": 1}"#, FILL, &delete(2)]).await;
    for _ in 0..2 {
        let error = world.manager.sync("r", None).await.unwrap_err();
        assert_eq!(error.code(), "ERR_LOG_LOST", "{error}");
    }
    world.manager.resync("r", None).await.unwrap();
    world.assert_verified().await;
    change(&world, &[update(1, &json!({"$set": {"name": "after"}}))]).await;
    assert_eq!(world.counts().await, (0, 1, 0, 0, 0));
    world.assert_verified().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_source_is_refused_with_what_to_do() {
    let pair = Pair { source: Place::standalone_mongodb(), target: Place::sqlite() };
    let world = World::new(&pair, &[FILL]).await;
    let error = world.manager.sync("r", None).await.unwrap_err();
    assert_eq!(error.code(), "ERR_CAPTURE", "{error}");
    assert!(error.to_string().contains("rs.initiate()"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_told_with_every_field_of_their_documents() {
    let pair = to_sqlite();
    let world = World::new(&pair, &[FILL]).await;
    let mut feed = world.manager.changes("r").await.unwrap();
    change(
        &world,
        &[
            insert(&json!([{"_id": 4, "name": "d", "color": "red"}])),
            update(1, &json!({"$set": {"name": "A"}})),
            delete(2),
        ],
    )
    .await;
    let mut changes = Vec::new();
    while changes.len() < 3 {
        changes.extend(feed.next(1).await.unwrap());
    }
    let row = changes[0].row.as_ref().unwrap();
    assert_eq!(row.get("color").and_then(|color| color.as_text()), Some("red"));
    assert_eq!(changes[1].row.as_ref().unwrap().len(), 2, "the key and what changed");
    assert_eq!(changes[1].unchanged, ["price", "sub"]);
    assert_eq!(changes[2].row, None);
    feed.close().await.unwrap();
}

fn random_statement(dice: &mut Dice) -> String {
    let (id, name) = (i64::try_from(dice.roll(60)).unwrap(), dice.roll(1000));
    match dice.roll(12) {
        0..=3 => json!({"update": "items", "updates": [{
            "q": {"_id": id}, "upsert": true,
            "u": {"$set": {"name": format!("n{name}"), "long": "long ".repeat(50), "sub": {"x": name}}},
        }]})
        .to_string(),
        4 | 5 => json!({"update": "items", "updates": [{
            "q": {"n": {"$lt": 500}}, "u": {"$set": {"name": format!("u{name}")}, "$inc": {"n": 1}}, "multi": true,
        }]})
        .to_string(),
        6 | 7 => update(id, &json!({"$set": {"sub.y": name, "n": name}})),
        8 => update(id, &json!({"name": "whole", "n": name})),
        9 => update(id, &json!({"$unset": {"long": ""}})),
        // Another collection takes its name.
        10 if dice.roll(4) == 0 => {
            json!({"aggregate": "items", "pipeline": [{"$match": {"n": {"$lt": 500}}}, {"$out": "items"}], "cursor": {}})
                .to_string()
        }
        _ => delete(id),
    }
}

async fn survives(pair: Pair, seed: u64) {
    let mut dice = Dice::new(seed);
    let fill = insert(&json!([{"_id": 1, "name": "first", "long": "x", "n": 1, "sub": {"x": 1}}]));
    let writer = World::new(&pair, &[&fill]).await;
    writer.sync().await;
    if pair.target.dialect != "mongodb" {
        writer.audit(&pair).await;
    }
    for _ in 0..5 {
        let dying = World::new(&pair, &[]).await;
        dying.manager.start("r", Arc::new(Witness::default())).await.unwrap();
        for _ in 0..dice.roll(60) {
            writer.run(&[&random_statement(&mut dice)]).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.roll(40))).await;
        // Its tasks are cut off where they are.
        drop(dying);
        for _ in 0..dice.roll(20) {
            writer.run(&[&random_statement(&mut dice)]).await;
        }
    }
    writer.run(&[&update(1, &json!({"$set": {"name": "last"}})), &insert(&json!([{"_id": 1000}]))]).await;
    let last = writer.sync().await;
    assert_eq!(last.errors, 0, "{last:?}");
    writer.assert_verified().await;
    if pair.target.dialect != "mongodb" {
        writer.assert_no_overlap().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_target_equals_its_source_after_crashes() {
    for (pair, seed) in pairs().into_iter().zip(1..) {
        survives(pair, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_collection_is_copied_in_parts_while_it_changes() {
    let pair = to_sqlite();
    let world = World::new(&pair, &[]).await;
    for batch in 0..12_i64 {
        let documents: Vec<Json> = (0..10_000)
            .map(|n| json!({"_id": batch * 10_000 + n, "name": format!("n{n}"), "n": n}))
            .collect();
        world.run(&[&insert(&Json::Array(documents))]).await;
    }
    let (stats, ()) = tokio::join!(world.sync(), async {
        for id in 0..50 {
            world
                .run(&[&update(id * 2000, &json!({"$set": {"name": "changed"}})), &delete(id * 2000 + 1)])
                .await;
        }
    });
    assert_eq!(stats.errors, 0, "{stats:?}");
    world.sync().await;
    world.assert_verified().await;
    assert_eq!(world.at_target("SELECT count(*) AS n FROM items").await[0]["n"], 119_950);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_of_fixed_size_is_taken_along() {
    let pair = to_sqlite();
    let fill = insert(&json!([{"_id": 1, "name": "kept"}]));
    let world = World::new(&pair, &[r#"{"create": "items", "capped": true, "size": 65536}"#, &fill]).await;
    world.manager.start("r", Arc::new(Witness::default())).await.unwrap();
    until_rows(world.target.as_ref(), "SELECT id, name FROM items", json!([{"id": 1, "name": "kept"}])).await;
    change(&world, &[insert(&json!([{"_id": 2, "name": "later"}]))]).await;
    let both = json!([{"id": 1, "name": "kept"}, {"id": 2, "name": "later"}]);
    until_rows(world.target.as_ref(), "SELECT id, name FROM items ORDER BY id", both).await;
    world.manager.disconnect_all().await;
}
