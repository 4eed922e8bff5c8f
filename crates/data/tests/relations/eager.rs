//! Relations that are read together with the row.

use data::{Filter, FindOptions};
use serde_json::{Value as Json, json};

use crate::databases::{Fresh, Table, json as rows_json, options, schema};

crate::behaviours!(
    eager_relations_are_loaded_by_every_read_and_lazy_ones_are_not,
    eager_relations_that_lead_in_a_circle_come_to_an_end,
    an_eager_relation_of_an_entity_to_itself_is_followed_once,
    written_rows_come_with_their_eager_relations,
);

fn entities() -> Vec<std::sync::Arc<data::EntitySchema>> {
    vec![
        schema(json!({
            "name": "Team", "collection": "teams", "fields": {"name": {"type": "string"}},
            "relations": {"players": {"type": "one-to-many", "target": "Player", "mappedBy": "team", "fetch": "eager"}}
        })),
        schema(json!({
            "name": "Player", "collection": "players", "fields": {"name": {"type": "string"}},
            "relations": {
                "team": {"type": "many-to-one", "target": "Team", "joinColumn": "teamId", "fetch": "eager"},
                "mentor": {"type": "many-to-one", "target": "Player", "fetch": "lazy"}
            }
        })),
    ]
}

async fn eager_relations_are_loaded_by_every_read_and_lazy_ones_are_not(db: &Fresh) {
    let dialect = db.with(&entities()).await;
    let (teams, players) =
        (Table::new(&*dialect, "Team", &entities()), Table::new(&*dialect, "Player", &entities()));
    teams.create(json!({"id": "t", "name": "red"})).await;
    players.create(json!({"id": "1", "team": "t"})).await;
    players.create(json!({"id": "2", "team": "t", "mentor": "1"})).await;
    let read = async |how: Json| {
        let (filter, options) = (Filter::eq("id", "2"), options(how));
        rows_json(players.entity.find(players.dialect, &filter, &options).await.unwrap())[0].clone()
    };
    let player = read(json!({})).await;
    assert_eq!(player["team"]["name"], "red");
    assert_eq!(player["mentor"], "1");
    assert_eq!(read(json!({"select": ["name"]})).await.get("team"), None);
    assert_eq!(read(json!({"select": ["team"]})).await["team"]["name"], "red");
    assert_eq!(read(json!({"exclude": ["team"]})).await.get("team"), None);
}

async fn eager_relations_that_lead_in_a_circle_come_to_an_end(db: &Fresh) {
    let dialect = db.with(&entities()).await;
    let (teams, players) =
        (Table::new(&*dialect, "Team", &entities()), Table::new(&*dialect, "Player", &entities()));
    teams.create(json!({"id": "t"})).await;
    players.create(json!({"id": "1", "team": "t"})).await;
    let team =
        teams.entity.find(teams.dialect, &Filter::everything(), &FindOptions::default()).await.unwrap();
    let team = &rows_json(team)[0];
    assert_eq!(team["players"][0]["teamId"], "t");
    assert_eq!(team["players"][0].get("team"), None);
    let player = players.row("1", &["team.players"]).await;
    assert_eq!(player["team"]["players"][0]["id"], "1");
}

async fn an_eager_relation_of_an_entity_to_itself_is_followed_once(db: &Fresh) {
    let person = schema(json!({
        "name": "Person", "collection": "people",
        "relations": {"boss": {"type": "many-to-one", "target": "Person", "joinColumn": "bossId", "fetch": "eager"}}
    }));
    let dialect = db.with(std::slice::from_ref(&person)).await;
    let people = Table::new(&*dialect, "Person", &[person]);
    for (id, boss) in [("1", json!(null)), ("2", json!("1")), ("3", json!("2"))] {
        people.create(json!({"id": id, "boss": boss})).await;
    }
    let three = people.row("3", &[]).await;
    assert_eq!(three["boss"]["bossId"], "1");
    assert_eq!(three["boss"].get("boss"), None);
}

async fn written_rows_come_with_their_eager_relations(db: &Fresh) {
    let dialect = db.with(&entities()).await;
    let (teams, players) =
        (Table::new(&*dialect, "Team", &entities()), Table::new(&*dialect, "Player", &entities()));
    teams.create(json!({"id": "t", "name": "red"})).await;
    let created = players.create(json!({"id": "1", "team": "t"})).await;
    assert_eq!(rows_json(vec![created])[0]["team"]["name"], "red");
    let changed = players.update("1", json!({"name": "x"})).await.unwrap();
    assert_eq!(rows_json(vec![changed])[0]["team"]["name"], "red");
}
