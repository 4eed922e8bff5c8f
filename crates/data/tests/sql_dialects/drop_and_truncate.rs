//! Dropping and emptying tables.

use std::sync::Arc;

use data::{Dialect, DialectKind, EntitySchema, ErrorKind, Filter};
use serde_json::json;

use crate::database::{Database, insert, person, record, schema};

crate::behaviours!(
    a_table_that_others_refer_to_is_dropped_alone,
    a_table_that_others_refer_to_is_emptied_alone,
    entities_are_emptied_together_in_any_order,
    entities_are_dropped_together_with_their_junctions,
    a_transaction_undoes_drops_and_truncations,
    a_truncation_that_is_given_up_leaves_foreign_keys_in_force,
    what_does_not_exist_is_no_obstacle_to_a_drop,
    every_table_is_dropped_but_our_own,
    a_prefix_limits_what_is_dropped,
    columns_are_looked_up_again_after_a_drop,
);

/// A country, its cities, which vanish with it, and people who must have a city.
fn schemas() -> [Arc<EntitySchema>; 3] {
    let name = json!({"name": {"type": "string"}});
    let country = schema(json!({"name": "Country", "collection": "countries", "fields": name}));
    let city = schema(json!({"name": "City", "collection": "cities", "fields": name, "relations": {
        "country": {"type": "many-to-one", "target": "Country", "onDelete": "cascade"},
        "twin": {"type": "many-to-one", "target": "City"}}}));
    let citizen = schema(json!({"name": "Citizen", "collection": "citizens", "fields": name, "relations": {
        "city": {"type": "many-to-one", "target": "City", "required": true, "onDelete": "restrict"},
        "lived": {"type": "many-to-many", "target": "City", "through": "lived_in"}}}));
    [country, city, citizen]
}

async fn filled(dialect: &dyn Dialect) {
    let [country, city, citizen] = schemas();
    insert(dialect, &country, json!([{"id": "dz", "name": "x"}])).await;
    insert(
        dialect,
        &city,
        json!([{"id": "oran", "country": "dz"}, {"id": "alger", "country": "dz", "twin": "oran"}]),
    )
    .await;
    insert(dialect, &citizen, json!([{"id": "1", "city": "oran", "lived": ["alger"]}])).await;
}

async fn world(db: &Database) -> Arc<dyn Dialect> {
    let [country, city, citizen] = schemas();
    let dialect = db.with(&[&country, &city, &citizen]).await;
    filled(&*dialect).await;
    dialect
}

/// How many rows the three have.
async fn counts(dialect: &dyn Dialect) -> Vec<u64> {
    let mut counts = Vec::new();
    for schema in schemas() {
        counts.push(dialect.count(&schema, &Filter::everything(), false).await.unwrap());
    }
    counts
}

async fn a_table_that_others_refer_to_is_dropped_alone(db: &Database) {
    let dialect = world(db).await;
    let [country, city, citizen] = schemas();
    dialect.drop_table("countries").await.unwrap();
    let error = dialect.count(&country, &Filter::everything(), false).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTable);
    assert_eq!(dialect.count(&city, &Filter::everything(), false).await.unwrap(), 2);
    dialect.drop_table("cities").await.unwrap();
    assert_eq!(dialect.count(&citizen, &Filter::everything(), false).await.unwrap(), 1);
    assert_eq!(dialect.links(&citizen, "lived", &["1".into()]).await.unwrap().len(), 1);
}

async fn a_table_that_others_refer_to_is_emptied_alone(db: &Database) {
    let dialect = world(db).await;
    dialect.truncate_table("countries").await.unwrap();
    assert_eq!(counts(&*dialect).await, [0, 2, 1]);
    dialect.truncate_table("cities").await.unwrap();
    assert_eq!(counts(&*dialect).await, [0, 0, 1]);
    let [_, city, _] = schemas();
    let error = dialect.create(&city, record(json!({"country": "none"}))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ForeignKeyViolation, "foreign keys count again");
    let error = dialect.truncate_table("nothing_here").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTable);
    filled_again(&*dialect).await;
}

async fn filled_again(dialect: &dyn Dialect) {
    let [country, city, citizen] = schemas();
    insert(dialect, &country, json!([{"id": "dz"}])).await;
    insert(dialect, &city, json!([{"id": "oran", "country": "dz"}])).await;
    insert(dialect, &citizen, json!([{"id": "9", "city": "oran"}])).await;
}

async fn entities_are_emptied_together_in_any_order(db: &Database) {
    let dialect = world(db).await;
    let [country, city, citizen] = schemas();
    let emptied = dialect.truncate_all(&[country, citizen.clone(), city]).await.unwrap();
    assert_eq!(emptied, ["lived_in", "countries", "citizens", "cities"]);
    assert_eq!(counts(&*dialect).await, [0, 0, 0]);
    assert!(dialect.links(&citizen, "lived", &["1".into()]).await.unwrap().is_empty());
    filled(&*dialect).await;
    assert!(dialect.truncate_all(&[]).await.unwrap().is_empty());
    let absent = schema(json!({"name": "Absent"}));
    assert_eq!(dialect.truncate_all(&[absent, citizen]).await.unwrap(), ["lived_in", "citizens"]);
    assert_eq!(counts(&*dialect).await, [1, 2, 0]);
}

async fn entities_are_dropped_together_with_their_junctions(db: &Database) {
    let dialect = world(db).await;
    let [country, city, citizen] = schemas();
    let dropped = dialect.drop_schema(&[country.clone(), citizen.clone()]).await.unwrap();
    assert_eq!(dropped, ["lived_in", "countries", "citizens"]);
    assert_eq!(dialect.count(&city, &Filter::everything(), false).await.unwrap(), 2);
    assert!(dialect.drop_schema(&[country, citizen]).await.unwrap().is_empty());
    dialect.init_schema(&schemas()).await.unwrap();
    insert(&*dialect, &schemas()[0], json!([{"id": "dz"}])).await;
}

async fn a_transaction_undoes_drops_and_truncations(db: &Database) {
    let dialect = world(db).await;
    let transaction = dialect.begin(None).await.unwrap();
    transaction.truncate_table("countries").await.unwrap();
    assert_eq!(counts(&*transaction).await, [0, 2, 1]);
    if db.kind == DialectKind::Mariadb {
        drops_are_refused(&*transaction).await;
    } else {
        transaction.drop_table("cities").await.unwrap();
        assert_eq!(counts_of_people(&*transaction).await, 1);
        transaction.drop_all_tables().await.unwrap();
    }
    transaction.rollback().await.unwrap();
    assert_eq!(counts(&*dialect).await, [1, 2, 1]);
    let transaction = dialect.begin(None).await.unwrap();
    assert_eq!(transaction.truncate_all(&schemas()).await.unwrap().len(), 4);
    let [_, city, _] = schemas();
    let error =
        transaction.create(&city, record(json!({"country": "none"}))).await.err().map(|error| error.kind());
    assert_eq!(
        error,
        Some(ErrorKind::ForeignKeyViolation),
        "foreign keys count again within the transaction"
    );
    transaction.rollback().await.unwrap();
    let transaction = dialect.begin(None).await.unwrap();
    transaction.truncate_all(&schemas()).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(counts(&*dialect).await, [0, 0, 0]);
}

/// MariaDB ends a transaction when a table is dropped. This one goes on.
async fn drops_are_refused(transaction: &dyn Dialect) {
    let [country, ..] = schemas();
    for refused in [
        transaction.drop_table("cities").await,
        transaction.drop_all_tables().await,
        transaction.drop_schema(&schemas()).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unsupported);
    }
    insert(transaction, &country, json!([{"id": "new"}])).await;
    assert_eq!(counts(transaction).await, [1, 2, 1]);
}

async fn a_truncation_that_is_given_up_leaves_foreign_keys_in_force(db: &Database) {
    let dialect = world(db).await;
    let [_, city, _] = schemas();
    for polls in 0..40 {
        let transaction = dialect.begin(None).await.unwrap();
        {
            let mut truncation = std::pin::pin!(transaction.truncate_table("countries"));
            for _ in 0..polls {
                if futures_util::poll!(truncation.as_mut()).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        drop(transaction);
        let error = dialect.create(&city, record(json!({"country": "none"}))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ForeignKeyViolation, "after {polls} polls");
    }
    assert_eq!(counts(&*dialect).await, [1, 2, 1]);
}

async fn counts_of_people(dialect: &dyn Dialect) -> u64 {
    let [_, _, citizen] = schemas();
    dialect.count(&citizen, &Filter::everything(), false).await.unwrap()
}

async fn what_does_not_exist_is_no_obstacle_to_a_drop(db: &Database) {
    let dialect = db.open().await;
    dialect.drop_table("nothing_here").await.unwrap();
    dialect.drop_table("a\"; DROP TABLE b; --").await.unwrap();
    assert!(dialect.drop_schema(&schemas()).await.unwrap().is_empty());
    assert!(dialect.truncate_all(&schemas()).await.unwrap().is_empty());
    dialect.drop_all_tables().await.unwrap();
}

async fn every_table_is_dropped_but_our_own(db: &Database) {
    let dialect = world(db).await;
    let strange = match db.kind {
        DialectKind::Mariadb => "`Strange ``Name`",
        _ => "\"Strange \"\"Name\"",
    };
    dialect.execute_run(&format!("CREATE TABLE {strange} (a INTEGER)"), Vec::new()).await.unwrap();
    dialect.execute_run("CREATE TABLE replicaverse_checkpoint (a INTEGER)", Vec::new()).await.unwrap();
    dialect.drop_all_tables().await.unwrap();
    assert!(dialect.tables().unwrap().list_tables().await.unwrap().is_empty());
    dialect.execute_query("SELECT a FROM replicaverse_checkpoint", Vec::new()).await.unwrap();
    dialect.init_schema(&schemas()).await.unwrap();
    filled(&*dialect).await;
}

async fn a_prefix_limits_what_is_dropped(db: &Database) {
    let person = person();
    let plain = db.with(&[&person]).await;
    let prefixed = db.open_with(|config| config.table_prefix = "app_".to_owned()).await;
    let [country, city, citizen] = schemas();
    prefixed.init_schema(&schemas()).await.unwrap();
    filled(&*prefixed).await;
    assert_eq!(prefixed.links(&citizen, "lived", &["1".into()]).await.unwrap().len(), 1);
    assert_eq!(prefixed.truncate_all(std::slice::from_ref(&city)).await.unwrap(), ["cities"]);
    prefixed.truncate_table("citizens").await.unwrap();
    prefixed.drop_table("citizens").await.unwrap();
    assert_eq!(prefixed.drop_schema(&[country]).await.unwrap(), ["countries"]);
    assert_eq!(
        plain.tables().unwrap().list_tables().await.unwrap(),
        ["app_cities", "app_lived_in", "people"]
    );
    prefixed.drop_all_tables().await.unwrap();
    assert_eq!(plain.tables().unwrap().list_tables().await.unwrap(), ["people"]);
}

async fn columns_are_looked_up_again_after_a_drop(db: &Database) {
    let person = person();
    let dialect = db.with(&[&person]).await;
    dialect.create(&person, record(json!({"name": "a", "extra": 5}))).await.unwrap();
    dialect.drop_schema(&[Arc::clone(&person)]).await.unwrap();
    dialect.init_schema(&[Arc::clone(&person)]).await.unwrap();
    let row = dialect.create(&person, record(json!({"name": "a", "extra": 6}))).await.unwrap();
    assert_eq!(row["extra"], data::Value::Float(6.0), "the column was added again");
    dialect.drop_table("people").await.unwrap();
    dialect.init_schema(&[Arc::clone(&person)]).await.unwrap();
    assert!(!dialect.create(&person, record(json!({"name": "a"}))).await.unwrap().contains_key("extra"));
}
