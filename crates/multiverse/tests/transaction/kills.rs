//! Killing the process and each server at every step of the protocol, by seeds: `REPLICAVERSE_SEEDS` many, ten when nothing is
//! said, from `REPLICAVERSE_FIRST_SEED` on.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::ledger::{Ledger, Said};
use crate::servers::{LIMIT, NAMES, Servers};
use crate::transfers::{NUMBER, PORTS, Transferring};

/// The steps after which something is killed.
const STEPS: [&str; 6] =
    ["decision-written", "one-prepared", "prepared", "decided", "one-committed", "committed"];
/// What is left must be ended in this time once all servers are back.
const RECOVERY: Duration = Duration::from_secs(5);
/// What the load of a machine that runs other tests may add to it.
const LOAD: Duration = Duration::from_secs(10);

/// Numbers that are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, below: u64) -> u64 {
        // The generator "splitmix64".
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// A process that transfers, and the folder in which it looks where to stop.
struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    fn start(servers: &Servers, failpoints: &Path, number: u64) -> Self {
        let ports: Vec<String> = servers.ports().iter().map(ToString::to_string).collect();
        let mut child = Command::new(std::env::current_exe().expect("this program has a file"))
            .args(["--exact", "transfers::a_process_that_transfers_until_it_is_killed", "--nocapture"])
            .env(PORTS, ports.join(","))
            .env(NUMBER, number.to_string())
            .env("REPLICAVERSE_FAILPOINTS", failpoints)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program can be started");
        let output = BufReader::new(child.stdout.take().expect("it has an output"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// Waits until it has committed something more.
    fn goes_on(&self, ledger: &mut Ledger, context: &str) {
        self.hear(ledger);
        let before = ledger.count(Said::Committed);
        wait_for(&format!("{context}: transfers to go on"), LIMIT, || {
            self.hear(ledger);
            ledger.count(Said::Committed) > before
        });
    }

    fn hear(&self, ledger: &mut Ledger) {
        self.lines.try_iter().for_each(|line| ledger.hear(&line));
    }

    fn kill(mut self, ledger: &mut Ledger) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The rest of what it said; the other end is closed now.
        self.lines.iter().for_each(|line| ledger.hear(&line));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder that is deleted in the end.
struct Failpoints(PathBuf);

impl Failpoints {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("replicaverse-failpoints-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        Self(folder)
    }

    /// Waits until the process has stopped after a step.
    fn stop_at(&self, step: &str) {
        fs::write(self.0.join(step), "").expect("a file can be made");
        let reached = self.0.join(format!("{step}.reached"));
        wait_for(&format!("the step {step}"), LIMIT, || reached.exists());
    }

    fn go_on(&self) {
        for file in fs::read_dir(&self.0).expect("the folder is there").flatten() {
            let _ = fs::remove_file(file.path());
        }
    }
}

impl Drop for Failpoints {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn whatever_is_killed_at_whatever_step_a_transfer_is_on_all_servers_or_on_none() {
    let number =
        |name: &str, usual: u64| std::env::var(name).map_or(usual, |text| text.parse().expect("a number"));
    let first = number("REPLICAVERSE_FIRST_SEED", 1);
    let mut servers = Servers::start();
    let failpoints = Failpoints::new();
    let mut ledger = Ledger::default();
    for seed in first..first + number("REPLICAVERSE_SEEDS", 10) {
        run_seed(seed, &mut servers, &failpoints, &mut ledger);
    }
}

fn run_seed(seed: u64, servers: &mut Servers, failpoints: &Failpoints, ledger: &mut Ledger) {
    let mut random = Random(seed);
    let mut number = seed * 100;
    let mut process = Process::start(servers, &failpoints.0, number);
    for step in STEPS {
        // As often the process as a server.
        let victim = usize::try_from(random.below(6)).expect("small");
        let pause = Duration::from_millis(random.below(300));
        let context = format!("seed {seed}, {step}, {}", NAMES.get(victim).unwrap_or(&"the process"));
        failpoints.stop_at(step);
        if victim < NAMES.len() {
            servers.kill(victim);
            failpoints.go_on();
            std::thread::sleep(pause);
            servers.start_again(victim);
        } else {
            process.kill(ledger);
            failpoints.go_on();
            std::thread::sleep(pause);
            number += 1;
            process = Process::start(servers, &failpoints.0, number);
            // What is prepared is finished by the next process, which may die in the middle of that too.
            let is_prepared = matches!(step, "one-prepared" | "prepared" | "decided");
            if is_prepared && random.below(2) == 0 {
                failpoints.stop_at("recovering");
                process.kill(ledger);
                failpoints.go_on();
                number += 1;
                process = Process::start(servers, &failpoints.0, number);
            }
        }
        process.goes_on(ledger, &context);
    }
    process.kill(ledger);
    // Somebody else, who has nothing to do with it, finds what the last one left.
    let other = Transferring::start(&servers.ports());
    let context = format!("seed {seed}");
    wait_for(&format!("{context}: nothing to be prepared any more"), RECOVERY + LOAD, || {
        (0..NAMES.len()).all(|at| servers.column(at, "SELECT gid FROM pg_prepared_xacts").is_empty())
    });
    drop(other);
    ledger.check(servers, &context);
}

pub(crate) fn wait_for(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
