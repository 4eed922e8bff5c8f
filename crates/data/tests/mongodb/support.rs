//! Starts mongod for the tests: a replica set of one node, a standalone server, and one that asks for a password.
//!
//! The program is `MONGOD_BINARY`, else the one in `${XDG_CACHE_HOME:-~/.cache}/replicaverse/mongod-*/`.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use tokio::sync::{Mutex, MutexGuard};

/// Runs the server, and waits for the end of its standard input, which comes with the end of the test in whatever
/// way; then kills the server and deletes its folder.
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

/// A running mongod. Dropping it stops the server; those in statics end with the process.
pub(crate) struct Server {
    port: u16,
    watchdog: Child,
    stdin: Option<ChildStdin>,
    failures: Mutex<()>,
}

impl Server {
    /// The replica set of one node that all tests share, each in a database of its own.
    pub(crate) fn replica_set() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| Self::start(&["--replSet", "rs0", "--oplogSize", "64"], true))
    }

    /// A standalone server, without transactions.
    pub(crate) fn standalone() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| Self::start(&[], false))
    }

    /// A standalone server with the user `app` and the password `s3cret-word`.
    pub(crate) fn with_password() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| {
            let server = Self::start(&["--auth"], false);
            // Without any user yet, a connection from this machine may make the first one.
            let root = doc! {"createUser": "root", "pwd": "root-word", "roles": ["root"]};
            let user =
                doc! {"createUser": "app", "pwd": "s3cret-word", "roles": [{"role": "read", "db": "locked"}]};
            let made = on_a_runtime(async {
                server.admin("admin", root).await?;
                let client =
                    Client::with_uri_str(format!("mongodb://root:root-word@127.0.0.1:{}", server.port))
                        .await?;
                client.database("admin").run_command(user).await
            });
            made.expect("a user can be made");
            server
        })
    }

    /// # Panics
    /// mongod is missing or does not start; the message says why.
    fn start(arguments: &[&str], initiate: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = std::env::temp_dir().join(format!(
            "data-mongodb-test-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        ));
        std::fs::create_dir_all(folder.join("db")).expect("a temporary folder can be made");
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|socket| socket.local_addr())
            .expect("a port is free")
            .port();
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG, "watchdog"])
            .args([&folder, &mongod()])
            .arg("--dbpath")
            .arg(folder.join("db"))
            .args(["--port", &port.to_string(), "--bind_ip", "127.0.0.1", "--nounixsocket"])
            .args(["--wiredTigerCacheSizeGB", "0.25", "--setParameter", "enableTestCommands=1"])
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell can be started");
        let stdin = watchdog.stdin.take();
        let server = Self { port, watchdog, stdin, failures: Mutex::new(()) };
        on_a_runtime(async move {
            server.wait(initiate, &folder).await;
            server
        })
    }

    async fn wait(&self, initiate: bool, folder: &Path) {
        let deadline = Instant::now() + START_DEADLINE;
        let mut initiated = !initiate;
        loop {
            let outcome = if initiated {
                self.admin("admin", doc! {"hello": 1}).await
            } else {
                let members =
                    doc! {"_id": "rs0", "members": [{"_id": 0, "host": format!("127.0.0.1:{}", self.port)}]};
                let outcome = self.admin("admin", doc! {"replSetInitiate": members}).await;
                initiated = outcome.is_ok();
                outcome
            };
            match outcome {
                Ok(hello) if hello.get_bool("isWritablePrimary").unwrap_or(false) => return,
                outcome if Instant::now() > deadline => {
                    let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
                    panic!("mongod does not start: {outcome:?}\n{log}");
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// The URI of a database, with options such as `appName=x`.
    pub(crate) fn uri(&self, database: &str, options: &str) -> String {
        let separator = if options.is_empty() { "" } else { "&" };
        format!("mongodb://127.0.0.1:{}/{database}?directConnection=true{separator}{options}", self.port)
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The driver itself, to look at what is stored.
    pub(crate) async fn database(&self, name: &str) -> mongodb::Database {
        let uri = self.uri(name, "serverSelectionTimeoutMS=5000");
        Client::with_uri_str(uri).await.expect("the driver takes the URI").database(name)
    }

    async fn admin(&self, database: &str, command: Document) -> mongodb::error::Result<Document> {
        let uri = self.uri(database, "serverSelectionTimeoutMS=500");
        let client = Client::with_uri_str(uri).await?;
        let reply = client.database(database).run_command(command).await;
        client.shutdown().immediate(true).await;
        reply
    }

    /// The right to make commands fail: a server keeps only one such order at a time.
    pub(crate) async fn turn_to_fail(&self) -> MutexGuard<'_, ()> {
        self.failures.lock().await
    }

    /// Makes the next commands of these names fail for connections with this `appName`.
    pub(crate) async fn fail_next(
        &self,
        app_name: &str,
        commands: &[&str],
        times: i32,
        mut failure: Document,
    ) {
        failure.insert("failCommands", commands.to_vec());
        failure.insert("appName", app_name);
        let command = doc! {"configureFailPoint": "failCommand", "mode": {"times": times}, "data": failure};
        self.admin("admin", command).await.expect("test commands are enabled");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// The tests have runtimes of their own, within which another one cannot be waited for.
fn on_a_runtime<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let thread =
            scope.spawn(|| tokio::runtime::Runtime::new().expect("a runtime can be made").block_on(future));
        thread.join().expect("the server starts")
    })
}

fn mongod() -> PathBuf {
    if let Some(binary) = std::env::var_os("MONGOD_BINARY") {
        return binary.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cache")));
    let folders = cache.and_then(|cache| std::fs::read_dir(cache.join("replicaverse")).ok());
    let binaries = folders
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("mongod-"));
    let found =
        binaries.map(|entry| entry.path().join("fiftyone/db/bin/mongod")).find(|binary| binary.exists());
    found.expect(
        "mongod: name its binary in MONGOD_BINARY, or run the project's own tests once, which install it",
    )
}
