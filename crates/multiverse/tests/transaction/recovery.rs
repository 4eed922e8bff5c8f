//! Recovery beside clusters that are away: what can be finished is finished, and the rest as soon as its servers are back.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use multiverse::transaction::TransactionOptions;
use multiverse::{ClusterEvent, Clusters, PoolConfig};

use crate::kills::wait_for;
use crate::servers::{NAMES, Servers, clusters};
use crate::transfers::Transferring;

/// What is left must be ended in this time once all servers are back, on a machine that runs other tests too.
const RECOVERY: Duration = Duration::from_secs(15);
/// So many branches are left by each transaction's decider. Each of them once waited for the cluster that is away.
const BRANCHES: u64 = 12;
const PREPARED: &str = "SELECT gid FROM pg_prepared_xacts";

/// The last cluster has a replica too, which never answers, so that writes wait for its primary; and they wait for ever.
fn with_one_that_is_waited_for(servers: &Servers) -> Clusters {
    let mut clusters = clusters(&servers.ports());
    let last = clusters.get_mut("c").unwrap();
    let mut replica = last.primary.clone();
    // Nobody listens there.
    replica.port = 1;
    last.replicas = vec![replica];
    last.pool = PoolConfig { acquire_timeout: Duration::from_secs(100 * 24 * 3600), ..last.pool.clone() };
    clusters
}

/// The name of a transaction that a server decides about.
fn transaction(decider: usize, number: u64) -> String {
    format!("00000000-0000-4000-8000-{decider:04}{number:08}")
}

/// Has a server decide to commit transactions; gives the database that it is.
fn decide(servers: &Servers, decider: usize) -> String {
    for number in 0..BRANCHES {
        let id = transaction(decider, number);
        servers.psql(decider, &format!("INSERT INTO replicaverse_transaction VALUES ('{id}', '{{a}}')"));
    }
    let database = "SELECT system_identifier || ':' || (SELECT oid FROM pg_database WHERE datname = current_database()) \
                    FROM pg_control_system()";
    servers.column(decider, database).remove(0)
}

/// Leaves branches of these transactions on the first server.
fn prepare(servers: &Servers, decider: usize, database: &str) {
    for number in 0..BRANCHES {
        let id = transaction(decider, number);
        let insert = format!("INSERT INTO a.transfer VALUES ('{decider}-{number}')");
        servers.psql(0, &format!("BEGIN; {insert}; PREPARE TRANSACTION 'replicaverse:{id}:0:{database}'"));
    }
}

fn transfers_of(servers: &Servers, decider: usize) -> usize {
    servers.column(0, &format!("SELECT id FROM a.transfer WHERE id LIKE '{decider}-%'")).len()
}

#[test]
fn a_cluster_that_is_away_keeps_nobody_from_finishing_what_others_have_decided() {
    let mut servers = Servers::start();
    let table = "CREATE TABLE replicaverse_transaction (id text PRIMARY KEY, participants text[] NOT NULL, \
                 decided_at timestamptz NOT NULL DEFAULT now())";
    for server in 0..NAMES.len() {
        servers.psql(server, table);
    }
    let mut observer = Transferring::start_on(with_one_that_is_waited_for(&servers));
    // It knows all clusters by now.
    observer.transfer("known", 1).unwrap();
    let (second, third) = (decide(&servers, 1), decide(&servers, 2));
    servers.kill(2);
    prepare(&servers, 2, &third);
    prepare(&servers, 1, &second);
    wait_for("what the second has decided", RECOVERY, || transfers_of(&servers, 1) == BRANCHES as usize);
    assert_ne!(servers.column(0, PREPARED).len(), 0, "nobody can know what the third has decided");
    servers.start_again(2);
    wait_for("what the third has decided", RECOVERY, || transfers_of(&servers, 2) == BRANCHES as usize);
    assert_eq!(servers.column(0, PREPARED), Vec::<String>::new());
}

#[test]
fn a_transaction_that_cannot_begin_is_given_up_in_its_time() {
    let mut servers = Servers::start();
    let mut observer = Transferring::start_on(with_one_that_is_waited_for(&servers));
    observer.transfer("known", 1).unwrap();
    servers.kill(2);
    let begin_limit = Some(Duration::from_millis(300));
    let begun = Instant::now();
    let refused = observer.begin(TransactionOptions { begin_limit, ..TransactionOptions::default() });
    assert_eq!(refused.unwrap_err().code(), "ERR_TIMEOUT");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    // What had begun elsewhere is gone.
    let open = "SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction'";
    wait_for("nothing to be open", RECOVERY, || servers.column(0, open).is_empty());
    servers.start_again(2);
    assert!(observer.transfer("again", 1).is_ok_and(|is_distributed| is_distributed));
}

#[test]
fn a_commit_that_was_sent_when_the_engine_was_closed_is_told_as_one_whose_outcome_is_not_known() {
    let mut servers = Servers::start();
    let mut transferring = Transferring::start(&servers.ports());
    transferring.transfer("first", 1).unwrap();
    // From now on the first server commits, and does not say so.
    servers.psql(0, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    servers.psql(0, "SELECT pg_reload_conf()");
    let outcome = transferring.commit_under_way("second");
    let committing = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    wait_for("the decision", RECOVERY, || !servers.column(0, committing).is_empty());
    servers.kill(0);
    transferring.close();
    let error = outcome.recv_timeout(RECOVERY).expect("it is told").unwrap_err();
    assert_eq!((error.code(), error.is_retryable()), ("ERR_TRANSACTION_OUTCOME_UNKNOWN", false), "{error}");
    servers.start_again(0);
    let again = Transferring::start(&servers.ports());
    wait_for("it to be committed everywhere", RECOVERY, || {
        (0..NAMES.len()).all(|at| {
            let found = format!("SELECT id FROM {}.transfer WHERE id = 'second'", NAMES[at]);
            servers.column(at, &found).len() == 1
        })
    });
    again.close();
}

#[test]
fn what_the_role_may_not_end_is_told_once() {
    let servers = Servers::start();
    let table = "CREATE TABLE replicaverse_transaction (id text PRIMARY KEY, participants text[] NOT NULL, \
                 decided_at timestamptz NOT NULL DEFAULT now())";
    for server in 0..NAMES.len() {
        servers.psql(server, table);
        servers.psql(server, "CREATE ROLE plain LOGIN; GRANT ALL ON replicaverse_transaction TO plain");
    }
    let database = decide(&servers, 1);
    prepare(&servers, 1, &database);
    let mut clusters = clusters(&servers.ports());
    clusters.values_mut().for_each(|cluster| cluster.primary.user = "plain".to_owned());
    let observer = Transferring::start_on(clusters);
    let events = observer.events();
    let mut told = HashSet::new();
    while told.len() < BRANCHES as usize {
        if let ClusterEvent::Left { cluster, problem } = events.recv_timeout(RECOVERY).expect("it is told") {
            assert_eq!(&*cluster, "a");
            assert!(problem.contains("permission denied"), "{problem}");
            assert!(told.insert(problem), "it was told before");
        }
    }
    assert_eq!(transfers_of(&servers, 1), 0);
}
