//! Plans over schemas and clusters.

use super::*;
use crate::migration::history::Applied;
use crate::migration::settings::ClusterSchemas;
use crate::migration::state::{Standing, StateRow};

fn settings(clusters: &[(&str, &[&str])]) -> Settings {
    let clusters = clusters.iter().map(|(id, schemas)| ClusterSchemas {
        id: (*id).to_owned(),
        schemas: schemas.iter().map(|schema| (*schema).to_owned()).collect(),
    });
    Settings { clusters: clusters.collect(), ..Settings::default() }
}

fn migration(version: &str, schemas: &[&str], dependencies: &[&str]) -> Migration {
    let texts = |list: &[&str]| list.iter().map(|each| (*each).to_owned()).collect();
    Migration {
        version: version.to_owned(),
        name: version.to_owned(),
        target_schemas: texts(schemas),
        dependencies: texts(dependencies),
        ..Migration::default()
    }
}

fn place(text: &str) -> Place {
    let (schema, cluster) = text.split_once('@').unwrap();
    Place { schema: Arc::from(schema), cluster: Arc::from(cluster) }
}

fn history(applied: &[(&str, &str)]) -> History {
    let mut history = History::default();
    for (at, version) in applied {
        history.applied.entry(place(at)).or_default().push(Applied {
            version: (*version).to_owned(),
            name: String::new(),
            checksum: String::new(),
            executed_at: String::new(),
            execution_time: 0,
            batch: None,
        });
    }
    history
}

struct Case {
    settings: Settings,
    migrations: Vec<Migration>,
    history: History,
}

impl Case {
    fn planner(&self) -> Planner<'_> {
        let Self { settings, migrations, history } = self;
        Planner { settings, migrations, history, scope: Scope::all() }
    }

    fn pending(&self) -> Result<Vec<String>, String> {
        self.planner().pending(None, false, false).map(|units| self.names(&units)).map_err(|e| e.to_string())
    }

    fn names(&self, units: &[Unit]) -> Vec<String> {
        let name = |unit: &Unit| {
            let places: Vec<_> = unit.places.iter().map(ToString::to_string).collect();
            format!("{} {}", self.migrations[unit.migration].version, places.join("+"))
        };
        units.iter().map(name).collect()
    }
}

fn case(migrations: Vec<Migration>, applied: &[(&str, &str)]) -> Case {
    let settings = settings(&[("eu", &["users", "orders"]), ("us", &["users"])]);
    Case { settings, migrations, history: history(applied) }
}

#[test]
fn each_migration_runs_on_every_cluster_that_has_its_schema() {
    let mut case = case(
        vec![migration("1", &["users"], &[]), migration("2", &["orders", "users"], &[])],
        &[("users@eu", "1")],
    );
    assert_eq!(case.pending().unwrap(), ["1 users@us", "2 orders@eu", "2 users@eu", "2 users@us"]);
    case.migrations[1].target_clusters = Some(vec!["us".to_owned()]);
    assert_eq!(case.pending().unwrap(), ["1 users@us", "2 users@us"]);
    case.migrations[1].target_clusters = None;
    case.migrations[1].atomic = true;
    assert_eq!(case.pending().unwrap(), ["1 users@us", "2 orders@eu+users@eu+users@us"]);
}

#[test]
fn the_name_of_a_sharded_cluster_stands_for_its_shards() {
    let mut case = case(vec![migration("1", &["users"], &[])], &[]);
    for (number, cluster) in case.settings.clusters.iter_mut().enumerate() {
        cluster.id = format!("eu/{number}");
    }
    case.migrations[0].target_clusters = Some(vec!["eu".to_owned()]);
    assert_eq!(case.pending().unwrap().len(), 2);
    for other in ["e", "eu/", "eu/12"] {
        case.migrations[0].target_clusters = Some(vec![other.to_owned()]);
        assert!(case.pending().map_or(true, |units| units.is_empty()), "{other}");
    }
}

#[test]
fn a_target_that_nobody_knows_is_refused_in_both_directions() {
    let versions = ["20260101000000_a", "20260201000000_b"];
    let case = case(
        versions.map(|each| migration(each, &["users"], &[])).to_vec(),
        &[("users@eu", "20251201000000_gone")],
    );
    let planner = case.planner();
    let is_taken = |target: &str| {
        [
            planner.pending(Some(target), false, false).is_ok(),
            planner.rollback(Some(target), 1, true, false).is_ok(),
        ]
    };
    for known in
        [versions[0], "20260201000000", "20251201000000_gone", "20260115000000", "20260115T000000", "0"]
    {
        assert_eq!(is_taken(known), [true, true], "{known}");
    }
    for unknown in ["a", "2026", "1", "20260101000000_b", "2026O101000000", ""] {
        assert_eq!(is_taken(unknown), [false, false], "{unknown}");
    }
    let error = planner.pending(Some("nope"), false, false).unwrap_err().to_string();
    assert!(error.contains("Migration nope not found"), "{error}");
}

#[test]
fn a_migration_behind_one_that_was_applied_is_refused_unless_it_had_failed_or_is_allowed() {
    let migrations = || vec![migration("1", &["users"], &[]), migration("2", &["users"], &[])];
    let mut late = case(migrations(), &[("users@eu", "2")]);
    assert!(late.pending().unwrap_err().contains("Migration 1 is out of order on users@eu: 2 was applied"));
    let failed = StateRow::new("1", &place("users@eu"), Standing::Failed, Direction::Up);
    late.history.states.insert((place("users@eu"), "1".to_owned()), failed);
    assert_eq!(late.pending().unwrap().len(), 3);
    late.history.states.clear();
    late.settings.allow_out_of_order = true;
    assert_eq!(late.pending().unwrap().len(), 3);
}

#[test]
fn dependencies_reach_over_schemas_and_clusters() {
    let migrations = vec![migration("1", &["users"], &[]), migration("2", &["orders"], &["1"])];
    let half = case(migrations.clone(), &[("users@eu", "1")]);
    let units = half.planner().pending(None, false, false).unwrap();
    assert_eq!(half.names(&units), ["1 users@us", "2 orders@eu"]);
    assert_eq!(units[1].needs, [0]);
    let only = ["eu".to_owned()];
    let scope = Scope::new(&half.settings, None, Some(&only)).unwrap();
    let error = Planner { scope, ..half.planner() }.pending(None, false, false).unwrap_err();
    assert_eq!(error.to_string(), "Migration 2 depends on unapplied migration: 1 (users@us)");
    let missing = case(vec![migration("2", &["orders"], &["0"])], &[]);
    assert_eq!(missing.pending().unwrap_err(), "Migration 2 depends on missing migration: 0");
    assert!(missing.planner().pending(None, true, false).is_ok());
}

#[test]
fn steps_count_at_each_place_and_a_target_stays() {
    let all = [("users@eu", "1"), ("users@eu", "2"), ("users@us", "1"), ("users@us", "2"), ("users@us", "3")];
    let migrations = ["1", "2", "3"].map(|version| migration(version, &["users"], &[])).to_vec();
    let case = case(migrations, &all);
    let rollback = |target, steps| {
        case.planner().rollback(target, steps, false, false).map(|units| case.names(&units)).unwrap()
    };
    assert_eq!(rollback(None, 1), ["3 users@us", "2 users@eu"]);
    assert_eq!(rollback(Some("1"), 1), ["3 users@us", "2 users@eu", "2 users@us"]);
}

#[test]
fn what_others_need_or_nobody_knows_is_not_taken_back() {
    let mut case = case(
        vec![migration("1", &["users"], &[]), migration("2", &["orders"], &["1"])],
        &[("users@eu", "1"), ("users@us", "1"), ("orders@eu", "2")],
    );
    let only = ["users".to_owned()];
    let scope = Scope::new(&case.settings, Some(&only), None).unwrap();
    let error = Planner { scope, ..case.planner() }.rollback(None, 1, false, false).unwrap_err();
    assert!(error.to_string().contains("2 on orders@eu depends on it"), "{error}");
    assert_eq!(case.planner().rollback(None, 1, false, false).unwrap().len(), 3);
    case.migrations.pop();
    let error = case.planner().rollback(None, 1, false, false).unwrap_err();
    assert_eq!(error.to_string(), "Migration 2 not found for rollback");
    assert_eq!(case.planner().rollback(None, 1, true, false).unwrap().len(), 2);
}

#[test]
fn nothing_runs_over_a_migration_that_stopped_half_way() {
    let mut case = case(vec![migration("1", &["users"], &[])], &[]);
    let broken = StateRow::new("1", &place("users@eu"), Standing::Broken, Direction::Up);
    case.history.states.insert((place("users@eu"), "1".to_owned()), broken);
    assert!(case.pending().unwrap_err().contains("stopped half-way on users@eu"));
    assert_eq!(case.planner().pending(None, false, true).unwrap().len(), 2);
    assert!(case.planner().rollback(None, 1, false, true).is_err());
}

#[test]
fn a_target_may_be_named_by_its_time_alone() {
    let migrations =
        ["20260101000000_a", "20260102000000_b"].map(|version| migration(version, &["orders"], &[]));
    let case = case(migrations.to_vec(), &[]);
    let units = case.planner().pending(Some("20260101000000"), false, false).unwrap();
    assert_eq!(case.names(&units), ["20260101000000_a orders@eu"]);
}

#[test]
fn unknown_names_are_refused() {
    let case = case(Vec::new(), &[]);
    let error = |schemas: &[&str], clusters: &[&str]| {
        let texts = |list: &[&str]| list.iter().map(|each| (*each).to_owned()).collect::<Vec<_>>();
        let (schemas, clusters) = (texts(schemas), texts(clusters));
        Scope::new(&case.settings, Some(&schemas), Some(&clusters)).err().map(|error| error.to_string())
    };
    assert_eq!(error(&["x"], &[]).as_deref(), Some("No cluster configured for schema: x"));
    assert_eq!(error(&[], &["x"]).as_deref(), Some("Cluster not found: x"));
    assert_eq!(error(&["users"], &["us"]), None);
}
