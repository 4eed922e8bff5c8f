//! Configurations that change while something is under way.

use multiverse::{Clusters, EngineSettings};

use crate::client::{Call, Client, one_cluster};
use crate::cluster;

/// Clusters of these names, all with the server of this program.
fn named(names: &[&str]) -> Clusters {
    let one = one_cluster(cluster().port(), "postgres", |pool| pool.max = 3);
    let of = |name: &&str| ((*name).to_owned(), one["main"].clone());
    names.iter().map(of).collect()
}

fn on(cluster: &str, sql: &str) -> Call {
    let mut call = Call::new(sql);
    call.route.cluster_id = Some(cluster.into());
    call
}

fn writes(client: &Client) -> Vec<(String, u64)> {
    client.metrics().clusters.iter().map(|cluster| (cluster.id.to_string(), cluster.writes)).collect()
}

#[test]
fn what_runs_on_a_cluster_that_moves_or_goes_ends_as_it_would_have() {
    let client = Client::start(named(&["first", "second"]), EngineSettings::default());
    let slow = |name| on(name, "CREATE TEMP TABLE slept AS SELECT 1 AS n FROM pg_sleep(0.5)");
    let (first, second) = (client.submit(slow("first")), client.submit(slow("second")));
    client.wait_until_running(1);
    client.reload(named(&["second"]));
    assert_eq!(&*first.wait().unwrap().completed.cluster, "first");
    assert_eq!(&*second.wait().unwrap().completed.cluster, "second");
    assert_eq!(writes(&client), [("second".to_owned(), 1)]);
}

#[test]
fn a_session_goes_along_with_its_cluster() {
    let client = Client::start(named(&["first", "second"]), EngineSettings::default());
    let session = client.session_on("second").unwrap();
    client.reload(named(&["third", "second"]));
    client.reload(named(&["second", "third"]));
    let write = || Call::new("CREATE TEMP TABLE IF NOT EXISTS mine (n int)").in_session(session.id);
    assert_eq!(&*client.run(write()).unwrap().completed.cluster, "second");
    assert_eq!(writes(&client), [("second".to_owned(), 1), ("third".to_owned(), 0)]);
    client.reload(named(&["third"]));
    // Its connection is its own until it is released.
    assert_eq!(&*client.run(write()).unwrap().completed.cluster, "second");
    assert_eq!(writes(&client), [("third".to_owned(), 0)]);
    client.release(&session);
}
