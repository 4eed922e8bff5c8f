//! A position means the same at every server that has the transactions.

use std::time::{Duration, Instant};

use crate::follower::{Follower, run};
use crate::mariadb_server::MariadbServer;
use crate::source::{database_on, name_of, open};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_goes_on_at_the_replica_that_takes_the_place_of_its_primary() {
    let options = ["--log-bin=binlog", "--binlog-format=ROW", "--log-slave-updates", "--sync-binlog=0"];
    let primary = MariadbServer::start_with(&[&options[..], &["--server-id=1"]].concat());
    let replica = MariadbServer::start_with(&[&options[..], &["--server-id=2"]].concat());
    primary.sql("RESET MASTER");
    replica.sql(&format!(
        "RESET MASTER; SET GLOBAL gtid_slave_pos = ''; CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, \
         MASTER_USER = 'root', MASTER_USE_GTID = slave_pos; START SLAVE",
        primary.port()
    ));
    let dialect = database_on(&primary).await;
    let name = name_of(&dialect).await;
    run(&dialect, &["CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 1)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES (2, 2)"]).await;
    follower.catch_up().await;
    follower.close().await;
    // Nobody reads this from the primary any more.
    run(&dialect, &["UPDATE t SET n = 3 WHERE id = 1"]).await;
    let last = primary.sql("SELECT @@gtid_binlog_pos");
    let deadline = Instant::now() + Duration::from_secs(30);
    while replica.sql("SELECT @@gtid_binlog_pos") != last {
        assert!(Instant::now() < deadline, "{}", replica.sql("SHOW SLAVE STATUS"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    replica.sql("STOP SLAVE; RESET SLAVE ALL");
    drop(primary);
    let promoted = open(&replica, "root", &name).await;
    run(&promoted, &["INSERT INTO t VALUES (4, 4)"]).await;
    follower.restart(&promoted).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+2", "=1", "+4"]);
}
