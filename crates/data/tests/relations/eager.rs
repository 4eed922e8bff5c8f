//! Relations that are read together with the row.

use data::{Filter, FindOptions};
use serde_json::{Value as Json, json};

use crate::databases::{Fresh, Table, json as rows_json, options, schema};

crate::behaviours!(
    eager_relations_are_loaded_by_every_read_and_lazy_ones_are_not,
    eager_relations_that_lead_in_a_circle_come_to_an_end,
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
    assert_eq!(team["players"][0]["team"]["id"], "t");
    assert_eq!(team["players"][0]["team"].get("players"), None);
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
