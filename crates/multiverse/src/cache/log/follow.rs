//! The task that follows the log of a cluster: it makes a temporary slot, streams it, and watches the definitions.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use wire::replication::pgoutput::{Decoder, Message};
use wire::replication::{CreateSlot, ReplicationStream, SnapshotAction, StartReplication, StreamMessage};
use wire::{ConnectConfig, Connection, Param, ReplicationMode};

use super::sources::{SOURCES_SQL, SourceRow, Sources};
use super::touched::Commit;

/// How often definitions are looked at: what another client has changed is noticed so soon.
const LOOK: Duration = Duration::from_secs(1);
/// How long the server may take to answer on a connection that does nothing else.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// The pause before the log is followed again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Commits that are told together at most.
const MOST_TOGETHER: usize = 256;

/// A number that changes with every definition on which the result of a query may depend.
const DEFINITIONS: &str = "
SELECT pg_catalog.concat_ws(':',
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(c.oid, ' ', c.xmin), 0))
    FROM pg_catalog.pg_class c WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(a.attrelid, ' ', a.attnum, ' ', a.xmin), 0))
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE a.attrelid >= 16384 AND a.attnum > 0 AND c.relpersistence <> 't' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(i.indexrelid, ' ', i.xmin), 0))
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    WHERE c.oid >= 16384 AND c.relpersistence <> 't' AND (i.indisprimary OR i.indisreplident)),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(w.oid, ' ', w.xmin), 0))
    FROM pg_catalog.pg_rewrite w WHERE w.oid >= 16384),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(y.oid, ' ', y.xmin), 0)) FROM pg_catalog.pg_policy y),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(i.inhrelid, ' ', i.inhparent, ' ', i.xmin), 0))
    FROM pg_catalog.pg_inherits i),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(p.oid, ' ', p.xmin), 0))
    FROM pg_catalog.pg_proc p WHERE p.oid >= 16384),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(n.oid, ' ', n.xmin), 0))
    FROM pg_catalog.pg_namespace n WHERE n.oid >= 16384),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(b.oid, ' ', b.xmin), 0))
    FROM pg_catalog.pg_publication b),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(r.oid, ' ', r.xmin), 0))
    FROM pg_catalog.pg_publication_rel r))";

/// A place in the log of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) lsn: u64,
    pub(crate) timeline: u32,
}

/// What the task tells of a cluster.
#[derive(Debug)]
pub(crate) enum LogNews {
    /// From now on every change is told, or definitions have changed, and these are they. A server that has replayed up to
    /// the position has all that came before.
    Defined(Arc<Sources>, Position),
    /// These transactions have been committed.
    Committed(Vec<Commit>),
    /// The log is not followed any more, for this reason.
    Lost(Arc<str>),
}

/// The task; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    task: JoinHandle<()>,
    wanted: Arc<tokio::sync::Notify>,
}

impl Follower {
    /// Has the definitions looked at now, and told whether or not they have changed.
    pub(crate) fn look(&self) {
        self.wanted.notify_one();
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where a follower tells what it learns.
pub(crate) type Teller = Box<dyn Fn(LogNews) -> bool + Send + Sync>;

/// Begins to follow the log of a server, and begins again whenever that ends.
pub(crate) fn follow(
    runtime: &tokio::runtime::Handle,
    connect: Arc<ConnectConfig>,
    publication: Arc<str>,
    tell: Teller,
) -> Follower {
    let wanted = Arc::new(tokio::sync::Notify::new());
    let asked = Arc::clone(&wanted);
    let task = runtime.spawn(async move {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let began = Instant::now();
            let Err(reason) = follow_once(&connect, &publication, &*tell, &asked).await else { return };
            if !tell(LogNews::Lost(reason.into())) {
                return;
            }
            pause =
                if began.elapsed() > LONGEST_PAUSE { SHORTEST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            sleep(pause).await;
        }
    });
    Follower { task, wanted }
}

/// Follows the log until that fails; `Ok` when nobody listens any more.
async fn follow_once(
    connect: &ConnectConfig,
    publication: &str,
    tell: &(dyn Fn(LogNews) -> bool + Send + Sync),
    wanted: &tokio::sync::Notify,
) -> Result<(), String> {
    let mut watch = Connection::connect(connect).await.map_err(|error| error.to_string())?;
    check_server(&mut watch).await?;
    publish(&mut watch, publication).await?;
    // Before the slot is made, which may wait for long: what is defined meanwhile is noticed at the first look.
    let definitions = read_definitions(&mut watch).await?;
    let mut replication = connect.clone();
    replication.replication = Some(ReplicationMode::Database);
    let mut replication = Connection::connect(&replication).await.map_err(|error| error.to_string())?;
    let slot = CreateSlot {
        name: format!("replicaverse_cache_{}_{}", replication.process_id(), watch.process_id()),
        temporary: true,
        snapshot: SnapshotAction::Nothing,
        failover: false,
    };
    replication
        .create_replication_slot(&slot)
        .await
        .map_err(|error| format!("the cache needs a replication slot: {error}"))?;
    let start = StartReplication::new(&slot.name, [publication]);
    let stream = replication.start_replication(&start).await.map_err(|error| error.to_string())?;
    let sources = Arc::new(read_sources(&mut watch, publication).await?);
    let position = read_position(&mut watch).await?;
    if !tell(LogNews::Defined(Arc::clone(&sources), position)) {
        return Ok(());
    }
    Following {
        stream,
        decoder: Decoder::new(),
        watch,
        publication,
        definitions,
        sources,
        open: Commit::default(),
    }
    .run(tell, wanted)
    .await
}

struct Following<'a> {
    stream: ReplicationStream,
    decoder: Decoder,
    watch: Connection,
    publication: &'a str,
    definitions: String,
    sources: Arc<Sources>,
    open: Commit,
}

impl Following<'_> {
    async fn run(
        mut self,
        tell: &(dyn Fn(LogNews) -> bool + Send + Sync),
        wanted: &tokio::sync::Notify,
    ) -> Result<(), String> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                message = self.stream.next() => {
                    let mut commits = Vec::new();
                    self.take(&message.map_err(|error| error.to_string())?, &mut commits)?;
                    while commits.len() < MOST_TOGETHER
                        && let Some(message) = self.stream.next_received().map_err(|error| error.to_string())?
                    {
                        self.take(&message, &mut commits)?;
                    }
                    self.stream.acknowledge(self.stream.received());
                    if !commits.is_empty() && !tell(LogNews::Committed(commits)) {
                        return Ok(());
                    }
                }
                () = wanted.notified() => {
                    if !self.look(tell, true).await? {
                        return Ok(());
                    }
                }
                _ = look.tick() => {
                    if !self.look(tell, false).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn take(&mut self, message: &StreamMessage, commits: &mut Vec<Commit>) -> Result<(), String> {
        let StreamMessage::Data(data) = message else { return Ok(()) };
        let message = self.decoder.decode(data.payload.clone()).map_err(|error| error.to_string())?;
        match &message {
            Message::Begin(begin) => self.open = Commit { xid: begin.xid, ..Commit::default() },
            Message::Commit(commit) => {
                let mut done = std::mem::take(&mut self.open);
                done.end = commit.end_lsn.into();
                commits.push(done);
            }
            message => {
                self.open.note(message, &self.sources);
            }
        }
        Ok(())
    }

    /// Looks whether definitions have changed. The server's answer is a sign of life too.
    async fn look(
        &mut self,
        tell: &(dyn Fn(LogNews) -> bool + Send + Sync),
        must_tell: bool,
    ) -> Result<bool, String> {
        let definitions = read_definitions(&mut self.watch).await?;
        if definitions == self.definitions && !must_tell {
            return Ok(true);
        }
        publish(&mut self.watch, self.publication).await?;
        self.definitions = read_definitions(&mut self.watch).await?;
        let sources = read_sources(&mut self.watch, self.publication).await?;
        if sources.tables_besides(&self.sources) {
            // A transaction that is running may have changed such a table before it was published, which the log does not
            // tell. A new slot begins once all of them have ended.
            return Err("the publication has got more tables".to_owned());
        }
        self.sources = Arc::new(sources);
        let position = read_position(&mut self.watch).await?;
        Ok(tell(LogNews::Defined(Arc::clone(&self.sources), position)))
    }
}

async fn ask(
    connection: &mut Connection,
    sql: &str,
    values: &[Param<'_>],
) -> Result<Vec<Vec<Option<String>>>, String> {
    let answer = timeout(ANSWER_LIMIT, connection.query(sql, values)).await;
    let result =
        answer.map_err(|_| "the server does not answer".to_owned())?.map_err(|error| error.to_string())?;
    let text = |cell: Option<&[u8]>| cell.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Ok(result.rows.iter().map(|row| row.iter().map(text).collect()).collect())
}

async fn read_definitions(connection: &mut Connection) -> Result<String, String> {
    let rows = ask(connection, DEFINITIONS, &[]).await?;
    Ok(rows.into_iter().flatten().flatten().collect())
}

/// The position of the log up to now.
async fn read_position(connection: &mut Connection) -> Result<Position, String> {
    let sql = "SELECT (pg_catalog.pg_current_wal_lsn() - '0/0'::pg_catalog.pg_lsn)::text, \
               pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8)";
    let rows = ask(connection, sql, &[]).await?;
    let position = match rows.first().map(Vec::as_slice) {
        Some([Some(lsn), Some(timeline)]) => lsn.parse().ok().zip(u32::from_str_radix(timeline, 16).ok()),
        _ => None,
    };
    position
        .map(|(lsn, timeline)| Position { lsn, timeline })
        .ok_or_else(|| "the server does not tell its position".to_owned())
}

async fn read_sources(connection: &mut Connection, publication: &str) -> Result<Sources, String> {
    let rows = ask(connection, SOURCES_SQL, &[Param::text(publication)]).await?;
    let rows: Option<Vec<SourceRow>> = rows.into_iter().map(|row| SourceRow::try_from(row).ok()).collect();
    rows.and_then(Sources::read).ok_or_else(|| "the catalogue cannot be understood".to_owned())
}

async fn check_server(connection: &mut Connection) -> Result<(), String> {
    let sql = "SELECT pg_catalog.current_setting('wal_level'), pg_catalog.pg_is_in_recovery()::text";
    let rows = ask(connection, sql, &[]).await?;
    match rows.first().map(Vec::as_slice) {
        Some([Some(level), _]) if level != "logical" => Err(format!(
            "wal_level is {level}: set wal_level = logical on the primary and restart it, or cache without invalidate: 'wal'"
        )),
        Some([_, Some(is_standby)]) if is_standby == "true" => Err("the server is a standby".to_owned()),
        _ => Ok(()),
    }
}

/// Sees to it that the publication exists, and has the tables whose changes can be published without harm: those of this
/// role that have a replica identity. Publishing another table would make the server refuse its updates.
async fn publish(connection: &mut Connection, publication: &str) -> Result<(), String> {
    let fix = |problem: &str| {
        format!(
            "{problem}: have a role that may do so run CREATE PUBLICATION {0} FOR TABLE …, or grant this role CREATE on the \
             database",
            quoted(publication)
        )
    };
    let sql = "SELECT (p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate)::text, \
               coalesce(pg_catalog.to_jsonb(p) ->> 'pubviaroot', 'false'), p.puballtables::text, \
               pg_catalog.pg_has_role(p.pubowner, 'USAGE')::text \
               FROM pg_catalog.pg_publication p WHERE p.pubname = $1";
    let standing = ask(connection, sql, &[Param::text(publication)]).await?;
    let mut is_own = true;
    match standing.first().map(Vec::as_slice) {
        None => {
            let create = format!("CREATE PUBLICATION {}", quoted(publication));
            ask(connection, &create, &[]).await.map_err(|error| fix(&error))?;
        }
        Some([Some(is_whole), Some(via_root), all, own]) => {
            if is_whole != "true" || via_root == "true" {
                return Err(format!(
                    "the publication {} does not tell every change of each table: ALTER PUBLICATION {0} SET (publish = \
                     'insert, update, delete, truncate', publish_via_partition_root = false)",
                    quoted(publication)
                ));
            }
            is_own = all.as_deref() == Some("false") && own.as_deref() == Some("true");
        }
        Some(_) => {}
    }
    if is_own {
        drop_tables(connection, publication).await;
        add_tables(connection, publication).await;
    }
    Ok(())
}

/// Whether a table `c` has a replica identity in fact: an index that is deferrable, or was dropped, is none.
const IS_IDENTIFIED: &str = "(c.relreplident = 'f' OR c.relreplident IN ('d', 'i') AND EXISTS (SELECT FROM pg_catalog.pg_index i \
      WHERE i.indrelid = c.oid AND i.indimmediate AND i.indisvalid \
        AND CASE c.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END))";

/// Leaves out tables that have lost their replica identity, of which the server would refuse updates and deletes.
async fn drop_tables(connection: &mut Connection, publication: &str) {
    let sql = format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) \
         FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel r ON r.prpubid = p.oid \
         JOIN pg_catalog.pg_class c ON c.oid = r.prrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE p.pubname = $1 AND c.relkind = 'r' AND NOT {IS_IDENTIFIED}"
    );
    let lost = ask(connection, &sql, &[Param::text(publication)]).await.unwrap_or_default();
    for table in lost.into_iter().flatten().flatten() {
        let drop = format!("ALTER PUBLICATION {} DROP TABLE {table}", quoted(publication));
        if let Err(error) = ask(connection, &drop, &[]).await {
            tracing::warn!(%error, %table, "a table without a replica identity stays published: it takes no updates");
        }
    }
}

/// What cannot be added is not cached.
async fn add_tables(connection: &mut Connection, publication: &str) {
    let sql = format!(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) \
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.oid >= 16384 AND c.relkind = 'r' AND c.relpersistence = 'p' \
                 AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' \
                 AND pg_catalog.pg_has_role(c.relowner, 'USAGE') \
                 AND {IS_IDENTIFIED} \
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_publication p \
                   ON p.oid = r.prpubid WHERE r.prrelid = c.oid AND p.pubname = $1)"
    );
    let missing = ask(connection, &sql, &[Param::text(publication)]).await.unwrap_or_default();
    let missing: Vec<String> = missing.into_iter().flatten().flatten().collect();
    if missing.is_empty() {
        return;
    }
    let add = |tables: &str| format!("ALTER PUBLICATION {} ADD TABLE {tables}", quoted(publication));
    if ask(connection, &add(&missing.join(", ")), &[]).await.is_ok() {
        return;
    }
    for table in &missing {
        if let Err(error) = ask(connection, &add(table), &[]).await {
            tracing::debug!(%error, table, "a table is not published, and what is read from it not cached");
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
