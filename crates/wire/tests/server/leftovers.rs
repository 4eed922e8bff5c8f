//! The tests' own cluster: nothing of it is left behind, not even when the test is killed.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::Cluster;

const CHILD: &str = "WIRE_TEST_CLUSTER_TO_LEAVE_BEHIND";

/// Does nothing by itself; run by the test below, it starts a cluster and waits to be killed.
#[test]
fn a_cluster_runs_until_its_test_is_killed() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let cluster = Cluster::start("", "local all all trust\n", |_| {});
    println!("\nstarted {} {}", cluster.port(), cluster.directory().display());
    std::thread::park();
}

#[test]
fn a_killed_test_leaves_neither_a_server_nor_a_folder() {
    let program = std::env::current_exe().unwrap();
    let name = "leftovers::a_cluster_runs_until_its_test_is_killed";
    let mut command = Command::new(program);
    command.args([name, "--exact", "--nocapture"]).env(CHILD, "1").stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let started = lines.find_map(|line| line.unwrap().strip_prefix("started ").map(str::to_owned)).unwrap();
    let (port, directory) = started.split_once(' ').unwrap();
    let port: u16 = port.parse().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while Path::new(directory).exists() || TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(Instant::now() < deadline, "{directory} or port {port} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_dropped_cluster_is_gone_at_once() {
    let cluster = Cluster::start("", "local all all trust\n", |_| {});
    let (directory, port) = (cluster.directory().to_owned(), cluster.port());
    drop(cluster);
    assert!(!directory.exists());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
