//! Starts a PostgreSQL cluster of the test's own, and sees to it that nothing of it is left behind.
//!
//! The programs come from `PG_BIN`, else from the newest `/usr/lib/postgresql/*/bin`. PostgreSQL refuses to run
//! as root, so a test that runs as root starts it as another user.

pub(crate) mod certificates;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Waits for the end of its standard input, which comes with the end of the test in whatever way, then stops the
/// server and deletes the folder.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
    kill -INT "$pid" 2>/dev/null
    n=0
    while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
    kill -QUIT "$pid" 2>/dev/null
fi
rm -rf "$1"
"#;

const ATTEMPTS: u32 = 3;

/// A running cluster. It listens on 127.0.0.1 and on a unix socket; its superuser is `postgres`, without a
/// password on the socket. Dropping it stops the server and deletes its folder.
pub(crate) struct Cluster {
    directory: PathBuf,
    port: u16,
    watchdog: Child,
}

impl Cluster {
    /// Starts a cluster with lines for `postgresql.conf` and the whole `pg_hba.conf`. `prepare` may put files into
    /// the data folder first.
    ///
    /// # Panics
    /// PostgreSQL is missing or does not start; the message says why.
    pub(crate) fn start(settings: &str, hba: &str, prepare: impl FnOnce(&Path)) -> Self {
        let programs = programs();
        let owner = Owner::of_server();
        let directory = new_directory(&owner);
        let watchdog = watchdog(&directory);
        let mut cluster = Self { directory, port: 0, watchdog };
        let data = cluster.data();
        let initdb =
            ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"];
        run(owner.command(&programs.join("initdb")).args(initdb).arg(&data));
        prepare(&data);
        owner.give_files_in(&data);
        fs::write(data.join("pg_hba.conf"), hba).expect("pg_hba.conf can be written");
        append(&data.join("postgresql.conf"), settings);
        for attempt in 1..=ATTEMPTS {
            cluster.port = free_port();
            match cluster.try_start(&programs, &owner) {
                Ok(()) => return cluster,
                Err(reason) if attempt == ATTEMPTS => panic!("PostgreSQL does not start: {reason}"),
                // Another process may have taken the port in the meantime.
                Err(_) => {}
            }
        }
        unreachable!("the last attempt returns or panics")
    }

    /// Starts a standby that streams from this cluster, with lines for its `postgresql.conf`.
    #[allow(dead_code, reason = "not every test program needs one")]
    pub(crate) fn start_standby(&self, settings: &str) -> Self {
        let programs = programs();
        let owner = Owner::of_server();
        let directory = new_directory(&owner);
        let watchdog = watchdog(&directory);
        let mut standby = Self { directory, port: 0, watchdog };
        let mut copy = owner.command(&programs.join("pg_basebackup"));
        copy.args(["-U", "postgres", "-c", "fast", "-X", "stream", "-R", "--no-sync", "-h"]);
        run(copy.arg(&self.directory).args(["-p", &self.port.to_string(), "-D"]).arg(standby.data()));
        append(&standby.data().join("postgresql.conf"), settings);
        standby.port = free_port();
        standby.try_start(&programs, &owner).expect("the standby starts");
        standby
    }

    /// Makes a standby a primary.
    #[allow(dead_code, reason = "not every test program needs one")]
    pub(crate) fn promote(&self) {
        let mut promote = Owner::of_server().command(&programs().join("pg_ctl"));
        run(promote.args(["promote", "--wait", "--silent", "-D"]).arg(self.data()));
    }

    fn try_start(&self, programs: &Path, owner: &Owner) -> Result<(), String> {
        let log = self.directory.join("log");
        let options = format!(
            "-c listen_addresses=127.0.0.1 -c port={} -c unix_socket_directories={} -c fsync=off",
            self.port,
            self.directory.display()
        );
        let mut start = owner.command(&programs.join("pg_ctl"));
        start.args(["start", "--wait", "--silent", "--timeout=60", "-o", &options, "-l"]);
        let status = start.arg(&log).arg("-D").arg(self.data()).status();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("{status}\n{}", fs::read_to_string(&log).unwrap_or_default())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Stops the server at once, sessions and all. Its folder stays.
    #[allow(dead_code, reason = "not every test program stops its server")]
    pub(crate) fn stop(&mut self) {
        let owner = Owner::of_server();
        let mut stop = owner.command(&programs().join("pg_ctl"));
        run(stop.args(["stop", "--wait", "--silent", "--mode=immediate", "-D"]).arg(self.data()));
    }

    /// Starts the server again that was stopped, on the port it had.
    #[allow(dead_code, reason = "not every test program stops its server")]
    pub(crate) fn start_again(&mut self) {
        self.try_start(&programs(), &Owner::of_server()).expect("the server starts again");
    }

    /// Runs SQL as the superuser with psql.
    pub(crate) fn psql(&self, sql: &str) {
        run(&mut self.psql_command(sql));
    }

    /// The command that runs SQL as the superuser with psql.
    pub(crate) fn psql_command(&self, sql: &str) -> Command {
        let mut psql = Command::new(programs().join("psql"));
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-h",
        ]);
        psql.arg(&self.directory).args(["-p", &self.port.to_string(), "-c", sql]);
        psql
    }

    /// The port on 127.0.0.1, and in the socket's name.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the unix socket, where the test may put files of its own.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// The user the server runs as: this one, unless it is root.
struct Owner(Option<(String, u32, u32)>);

impl Owner {
    fn of_server() -> Self {
        let is_root = fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0);
        if !is_root {
            return Self(None);
        }
        let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
        let find = |wanted: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
            let fields: Vec<&str> = line.split(':').collect();
            Some((wanted.to_owned(), fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
        };
        Self(Some(
            find("postgres").or_else(|| find("nobody")).expect("a user other than root to run PostgreSQL as"),
        ))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((name, uid, gid)) = &self.0 {
            command = Command::new("setpriv");
            command
                .args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"])
                .arg(program);
            command.env("HOME", "/").env("USER", name);
        }
        command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    fn give(&self, path: &Path) {
        if let Some((_, uid, gid)) = &self.0 {
            chown(path, Some(*uid), Some(*gid)).expect("root can give files away");
        }
    }

    fn give_files_in(&self, directory: &Path) {
        for entry in fs::read_dir(directory).expect("the folder can be read").flatten() {
            self.give(&entry.path());
        }
    }
}

/// # Panics
/// There is no PostgreSQL.
fn programs() -> PathBuf {
    if let Some(programs) = std::env::var_os("PG_BIN") {
        return programs.into();
    }
    let version = |path: &Path| -> Option<u32> { path.file_name()?.to_str()?.parse().ok() };
    let installed =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = installed.filter(|path| path.join("bin/initdb").exists()).max_by_key(|path| version(path));
    newest.expect("PostgreSQL: install it, or name the folder of its programs in PG_BIN").join("bin")
}

fn new_directory(owner: &Owner) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("wire-test-{}-{count}", std::process::id()));
    fs::create_dir(&directory).expect("a temporary folder can be made");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("its mode can be set");
    owner.give(&directory);
    directory
}

fn watchdog(directory: &Path) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", WATCHDOG, "watchdog"]).arg(directory).current_dir("/");
    // In a process group of its own, Ctrl-C does not reach it; with no output, nothing waits for it.
    shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().expect("sh can be started")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener.local_addr().expect("a listener has an address").port()
}

fn append(file: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(file).expect("the file can be opened");
    writeln!(file, "\n{text}").expect("the file can be written");
}

fn run(command: &mut Command) {
    let output =
        command.stderr(Stdio::piped()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
