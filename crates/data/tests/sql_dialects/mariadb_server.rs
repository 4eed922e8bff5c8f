//! Starts a MariaDB server of the tests' own, and sees to it that nothing of it is left behind.
//!
//! The server is `MARIADBD`, else `mariadbd` where programs are found. It refuses to run as root, so a test that runs as
//! root starts it as another user.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Runs the server, and waits for the end of its standard input, which comes with the end of the test in whatever way;
/// then kills the server and deletes its folder.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
folder=$1; shift
"$@" </dev/null >"$folder/log" 2>&1 &
pid=$!
cat >/dev/null
kill -9 "$pid" 2>/dev/null
wait "$pid" 2>/dev/null
rm -rf "$folder"
"#;

const START_DEADLINE: Duration = Duration::from_secs(60);
const ATTEMPTS: u32 = 3;
/// How many servers this process has started.
static STARTED: AtomicU32 = AtomicU32::new(0);
/// One account for everybody, one with the password `the right one`.
const FIRST_STATEMENTS: &str = "CREATE USER IF NOT EXISTS root@'127.0.0.1';
GRANT ALL PRIVILEGES ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
CREATE USER IF NOT EXISTS locked@'127.0.0.1' IDENTIFIED BY 'the right one';
GRANT ALL PRIVILEGES ON *.* TO locked@'127.0.0.1';
";

/// A running server. It listens on 127.0.0.1 and on a unix socket; its account is `root`, without a password.
pub(crate) struct MariadbServer {
    folder: PathBuf,
    port: u16,
    /// Stops the server when this process ends.
    _watchdog: Child,
}

impl MariadbServer {
    /// Starts a server.
    ///
    /// # Panics
    /// MariaDB is missing or does not start; the message says why.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server that logs the changes of rows.
    pub(crate) fn start_logging() -> Self {
        Self::start_with(&["--log-bin=binlog", "--binlog-format=ROW", "--server-id=1", "--sync-binlog=0"])
    }

    /// Starts a server with further options.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let programs = Programs::find();
        for attempt in 1..=ATTEMPTS {
            match Self::try_start(&programs, options) {
                Ok(server) => return server,
                Err(reason) if attempt == ATTEMPTS => panic!("MariaDB does not start: {reason}"),
                // Another process may have taken the port in the meantime.
                Err(_) => {}
            }
        }
        unreachable!("the last attempt returns or panics")
    }

    fn try_start(programs: &Programs, options: &[&str]) -> Result<Self, String> {
        let owner = Owner::of_server();
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("data-mariadb-test-{}-{number}", std::process::id()));
        fs::create_dir(&folder).expect("a temporary folder can be made");
        owner.give(&folder);
        let data = format!("--datadir={}", folder.join("data").display());
        let mut install = owner.command(&programs.install);
        install.args(["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db"]);
        // Where several servers have their temporary files in one folder, each removes those of the others.
        let temporary = format!("--tmpdir={}", folder.display());
        run(install.args(["--innodb-log-file-size=32M", &temporary]));
        let first = folder.join("first.sql");
        fs::write(&first, FIRST_STATEMENTS).expect("a file can be written");
        owner.give(&first);
        let port = free_port();
        let mut server = owner.command(&programs.server);
        server.args(["--no-defaults", &data, &temporary, &format!("--port={port}")]);
        server.arg("--bind-address=127.0.0.1");
        server.args([
            &format!("--socket={}", folder.join("socket").display()),
            &format!("--pid-file={}", folder.join("pid").display()),
            &format!("--init-file={}", first.display()),
        ]);
        server.args(["--skip-name-resolve", "--max-connections=500", "--performance-schema=OFF"]);
        server.args(["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M"]);
        server.args(["--innodb-flush-log-at-trx-commit=0", "--max-allowed-packet=32M"]);
        // What an administrator would set, and not what tables of ours need.
        server.args(["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"]);
        server.args(options);
        let started = Self { _watchdog: watchdog(&folder, &server), folder, port };
        started.wait()?;
        Ok(started)
    }

    /// The server accepts connections only after it has run its first statements.
    fn wait(&self) -> Result<(), String> {
        let deadline = Instant::now() + START_DEADLINE;
        while Instant::now() < deadline {
            if greets(self.port) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(fs::read_to_string(self.folder.join("log")).unwrap_or_default())
    }

    /// Runs SQL with MariaDB's own client, and gives what it prints.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let mut client = Command::new(Programs::find().client);
        client.args(["--no-defaults", "--user=root", "--batch", "--skip-column-names"]);
        client.args(["--default-character-set=utf8mb4", "-e", sql]);
        run(client.arg(format!("--socket={}", self.socket().display())))
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }
}

fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    stream.read(&mut [0; 1]).is_ok_and(|read| read == 1)
}

struct Programs {
    server: PathBuf,
    install: PathBuf,
    client: PathBuf,
}

impl Programs {
    fn find() -> Self {
        let server = std::env::var_os("MARIADBD").map(PathBuf::from).or_else(|| in_path("mariadbd", None));
        let server = server.expect("MariaDB: install it, or name its server program in MARIADBD");
        let base = fs::canonicalize(&server).ok().and_then(|real| Some(real.parent()?.parent()?.to_owned()));
        let beside = |name: &str| {
            in_path(name, base.as_deref()).unwrap_or_else(|| panic!("MariaDB: its program {name} is missing"))
        };
        Self { install: beside("mariadb-install-db"), client: beside("mariadb"), server }
    }
}

/// A program in `bin` or `scripts` of a folder, else where programs are found.
fn in_path(name: &str, base: Option<&Path>) -> Option<PathBuf> {
    let own = base.map(|base| vec![base.join("bin"), base.join("scripts")]).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    own.into_iter().chain(others).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// The user the server runs as: this one, unless it is root.
struct Owner(Option<(u32, u32)>);

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
            Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
        };
        let owner = find("mysql").or_else(|| find("nobody"));
        Self(Some(owner.expect("a user other than root to run MariaDB as")))
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((uid, gid)) = self.0 {
            command = Command::new("setpriv");
            command
                .args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"])
                .arg(program);
        }
        command.current_dir("/").env("LC_ALL", "C").env("HOME", "/");
        command
    }

    fn give(&self, path: &Path) {
        if let Some((uid, gid)) = self.0 {
            chown(path, Some(uid), Some(gid)).expect("root can give files away");
        }
    }
}

fn watchdog(folder: &Path, server: &Command) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", WATCHDOG, "watchdog"]).arg(folder).arg(server.get_program()).args(server.get_args());
    shell.current_dir("/").env("LC_ALL", "C").env("HOME", "/");
    // In a process group of its own, Ctrl-C does not reach it; with no output, nothing waits for it.
    shell.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().expect("sh can be started")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener.local_addr().expect("a listener has an address").port()
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
