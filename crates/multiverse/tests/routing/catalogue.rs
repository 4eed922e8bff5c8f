//! The catalogue follows the database.

use std::sync::Arc;

use multiverse::route::{ClusterIndex, RouteOptions, Router};

use crate::database::{BothUp, Database};

const MAIN: ClusterIndex = ClusterIndex(0);

#[test]
fn a_new_name_goes_to_the_primary_until_the_catalogue_has_been_read_again() {
    let mut database = Database::with("CREATE TABLE old (id int)");
    database.run("CREATE TABLE new (id int); CREATE FUNCTION later() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1'").unwrap();
    assert!(database.goes_to_replica("SELECT * FROM old"));
    assert!(!database.goes_to_replica("SELECT * FROM new"));
    assert!(!database.goes_to_replica("SELECT later()"));
    assert!(database.read_catalogue());
    assert!(database.goes_to_replica("SELECT * FROM new") && database.goes_to_replica("SELECT later()"));
}

#[test]
fn after_a_change_of_definitions_all_goes_to_the_primary_until_the_catalogue_has_been_read_again() {
    let mut database = Database::with("CREATE SEQUENCE s; CREATE VIEW v AS SELECT 1::bigint AS n");
    assert!(database.goes_to_replica("SELECT * FROM v"));
    let change: Arc<str> = Arc::from("CREATE OR REPLACE VIEW v AS SELECT nextval('s') AS n");
    let decision = database.router.route(&change, &RouteOptions::default(), &BothUp).unwrap();
    assert!(!decision.on_replica);
    database.run(&change).unwrap();
    database.router.executed(MAIN, &decision.verdict);
    assert!(!database.router.knows_catalogue(MAIN));
    assert!(!database.goes_to_replica("SELECT 1"));
    database.read_catalogue();
    assert!(database.goes_to_replica("SELECT 1") && !database.goes_to_replica("SELECT * FROM v"));
}

#[test]
fn a_change_of_definitions_while_the_catalogue_is_read_makes_it_be_read_again() {
    let mut database = Database::with("CREATE TABLE t (id int)");
    let create: Arc<str> = Arc::from("CREATE TABLE u (id int)");
    let verdict = database.router.verdict(&create);
    let now = database.later();
    let (cluster, _) = database.router.begin_catalogue(now).unwrap();
    assert_eq!(database.router.next_catalogue_due(now), None);
    database.router.executed(MAIN, &verdict);
    database.router.catalogue_was_read(cluster, vec![Vec::new()], now).unwrap();
    assert!(!database.router.knows_catalogue(MAIN));
    assert!(database.router.next_catalogue_due(now).unwrap() <= now + std::time::Duration::from_secs(1));
}

#[test]
fn a_reading_that_failed_is_tried_again_and_the_former_catalogue_stays() {
    let mut database = Database::with("CREATE TABLE t (id int)");
    let now = database.later();
    let (cluster, queries) = database.router.begin_catalogue(now).unwrap();
    assert_eq!(queries.len(), 1, "what is built in is read once");
    database.router.catalogue_was_not_read(cluster, now);
    assert!(database.goes_to_replica("SELECT * FROM t"));
    assert!(database.router.next_catalogue_due(now).unwrap() <= now + std::time::Duration::from_secs(1));
}

#[test]
fn a_text_that_a_replica_refused_goes_to_the_primary_from_then_on() {
    let mut database = Database::with("CREATE TABLE t (id int)");
    let sql: Arc<str> = Arc::from("SELECT * FROM t");
    assert!(database.goes_to_replica(&sql));
    database.router.refused_on_replica(MAIN, &sql);
    assert!(!database.goes_to_replica(&sql));
    assert!(database.goes_to_replica("SELECT id FROM t"));
}

#[test]
fn a_temporary_table_does_not_make_the_catalogue_be_read_again() {
    let mut database = Database::with("CREATE TABLE t (id int)");
    let create: Arc<str> = Arc::from("CREATE TEMP TABLE u (id int)");
    let verdict = database.router.verdict(&create);
    database.router.executed(MAIN, &verdict);
    assert!(verdict.changes_session && database.router.knows_catalogue(MAIN));
}

#[test]
fn without_a_catalogue_everything_goes_to_the_primary() {
    let mut database = Database::with("");
    database.router = Router::new(&multiverse::Clusters::new());
    assert!(database.router.route(&Arc::from("SELECT 1"), &RouteOptions::default(), &BothUp).is_err());
}
