//! The feed of one slave: the task that runs it, and what others ask of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data::log::LogKind;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::member::Member;
use super::place::Place;
use super::run::{supervise, tables_of};
use crate::cdc::{Checkpoints, RunState, Shared, letters_of, remove_log_of, remove_rows};
use crate::manager::SharedState;
use crate::snapshot::End;
use crate::stats::SyncStats;

/// How long what a feed has left may take to be removed.
const REMOVAL: Duration = Duration::from_secs(5);

/// The feed of a slave, from when it was added to its removal.
pub(crate) struct ManagedFeed {
    task: Mutex<Option<JoinHandle<()>>>,
    pub(super) inner: Arc<Inner>,
}

/// What the task shares with those who ask.
pub(super) struct Inner {
    stop: watch::Sender<bool>,
    /// Whether it is known what feeds the slave, and if it is this library, whether the slave holds everything.
    settled: watch::Sender<bool>,
    run: Mutex<Option<Arc<Run>>>,
    member: Mutex<Option<Member>>,
    /// Whether the slave was rewound in vain; it is not tried again.
    was_rewound: AtomicBool,
    /// Whether the rows were told that only the slave holds, which was the master; they are told once.
    has_told_lost_rows: AtomicBool,
    /// The rules whose readers may still stand at the slave, which was the master.
    readers_left: Mutex<Vec<String>>,
}

/// One run: from a certain master, until that or its tables change.
pub(super) struct Run {
    pub(super) shared: Arc<Shared>,
    pub(super) source: End,
    pub(super) target: End,
    pub(super) kind: LogKind,
    pub(super) reader: String,
    /// The tables that the master had when it began.
    pub(super) known: Vec<String>,
    /// Those of them that the slave gets.
    pub(super) fed: Vec<String>,
    /// Has the tables of the master looked at before their time.
    pub(super) look_at_tables: Notify,
    pub(super) begun: std::time::Instant,
    /// Where other processes tell how far they have come; looked up once.
    pub(super) checkpoints: tokio::sync::OnceCell<Checkpoints>,
}

impl ManagedFeed {
    /// Starts to find out what feeds a slave, and to feed it if nothing else does.
    pub(crate) fn start(state: &Arc<SharedState>, project: &str, slave: &str) -> Arc<Self> {
        let inner = Arc::new(Inner {
            stop: watch::Sender::new(false),
            settled: watch::Sender::new(false),
            run: Mutex::default(),
            member: Mutex::default(),
            was_rewound: AtomicBool::new(false),
            has_told_lost_rows: AtomicBool::new(false),
            readers_left: Mutex::default(),
        });
        let place =
            Place { state: Arc::downgrade(state), project: project.to_owned(), slave: slave.to_owned() };
        let task = tokio::spawn(supervise(place, Arc::clone(&inner)));
        Arc::new(Self { task: Mutex::new(Some(task)), inner })
    }

    /// Waits until it is known what feeds the slave, and until it holds everything if this library does; so long at the most.
    pub(crate) async fn settled(&self, most: Duration) {
        let mut settled = self.inner.settled.subscribe();
        // A feed that takes longer goes on by itself.
        drop(tokio::time::timeout(most, settled.wait_for(|settled| *settled)).await);
    }

    /// Ends it in good order; what was made at the source stays, so that it can go on.
    pub(crate) async fn stop(&self) {
        self.inner.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // A task that was cut off has ended as well.
            drop(task.await);
        }
    }

    /// Ends it, and breaks it off if that takes longer: what it has in hand is then not applied.
    pub(crate) async fn stop_within(&self, most: Duration) {
        self.inner.stop.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        if tokio::time::timeout(most, &mut task).await.is_err() {
            task.abort();
            // It has ended when nothing of it runs any more.
            drop(task.await);
        }
    }

    /// Ends it and removes what it has made at the source, and its rows at the target if that answers; why it could not.
    pub(crate) async fn remove(&self) -> Option<data::Error> {
        self.stop().await;
        let run = self.inner.run()?;
        let removing = async {
            remove_log_of(&run.source, run.kind, &run.reader).await?;
            // A slave that does not answer is not read by anybody either.
            drop(remove_rows(&run.target, &run.reader).await);
            Ok(())
        };
        match tokio::time::timeout(REMOVAL, removing).await {
            Ok(removed) => removed.err(),
            Err(_) => {
                let message =
                    format!("the reader {} of the master's log could not be removed in time", run.reader);
                Some(data::Error::new(data::ErrorKind::Timeout, message))
            }
        }
    }

    /// The tables of the master that it feeds from; `None` if it does not run, or the master does not answer.
    pub(crate) async fn tables_of_master(&self) -> Option<Vec<String>> {
        tables_of(&self.inner.run()?.source).await.ok()
    }

    /// Whether the slave is yet to get a table that the master has. It is begun at once then.
    pub(crate) async fn awaits_tables(&self, present: &[String]) -> bool {
        let Some(run) = self.inner.run() else { return true };
        let feeds_all = present.iter().all(|table| run.known.contains(table))
            && match run.shared.state().state {
                // Before that, a table may not have been copied.
                RunState::Streaming => true,
                // The process that streams may not have seen it yet.
                RunState::Standby => run.others_feed_all().await,
                _ => false,
            };
        if !feeds_all {
            run.look_at_tables.notify_one();
        }
        !feeds_all
    }

    /// The tables of the master that hold rows and that the slave does not get: those that are too young, and those without a primary
    /// key.
    ///
    /// # Errors
    /// The master does not answer.
    pub(crate) async fn unfed_tables(&self) -> data::Result<Vec<String>> {
        let Some(run) = self.inner.run() else { return Ok(Vec::new()) };
        let tables = run.source.tables()?;
        let mut unfed = Vec::new();
        for name in tables_of(&run.source).await? {
            if run.fed.contains(&name) {
                continue;
            }
            let Some(table) = tables.describe(&name).await? else { continue };
            if !tables.is_empty(&table, None).await? {
                unfed.push(name);
            }
        }
        Ok(unfed)
    }

    /// How many rows the slave has refused; 0 where it cannot be asked.
    pub(crate) async fn rows_set_aside(&self) -> u64 {
        let Some(run) = self.inner.run() else { return 0 };
        letters_of(&run.target, &run.reader, 0).await.map_or(0, |letters| letters.count)
    }

    /// What is known of the slave, if it was found out.
    pub(crate) fn member(&self) -> Option<Member> {
        *self.inner.member.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the present run has done.
    pub(crate) fn stats(&self, name: &str) -> Option<SyncStats> {
        let run = self.inner.run()?;
        Some(SyncStats::of_run(name, run.begun.elapsed(), run.shared.stats()))
    }
}

impl Run {
    /// Whether the process that streams in place of this one feeds the same tables.
    async fn others_feed_all(&self) -> bool {
        let Some(checkpoints) = self.checkpoints().await else { return false };
        let found = checkpoints.position(&self.reader).await.ok().flatten();
        found.is_some_and(|found| {
            found.is_streaming && self.fed.iter().all(|table| found.tables.contains(table))
        })
    }

    /// The checkpoints at the slave, once there are any.
    pub(super) async fn checkpoints(&self) -> Option<&Checkpoints> {
        let find = async || Checkpoints::find(&self.target).await.ok().flatten().ok_or(());
        self.checkpoints.get_or_try_init(find).await.ok()
    }
}

impl Drop for ManagedFeed {
    fn drop(&mut self) {
        let task = self.task.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = task {
            task.abort();
        }
    }
}

impl Inner {
    pub(super) fn run(&self) -> Option<Arc<Run>> {
        self.lock().clone()
    }

    pub(super) fn set_run(&self, run: Option<Arc<Run>>) {
        *self.lock() = run;
    }

    pub(super) fn set_member(&self, member: Member) {
        *self.member.lock().unwrap_or_else(PoisonError::into_inner) = Some(member);
    }

    pub(super) fn was_rewound(&self) -> bool {
        self.was_rewound.load(Ordering::Relaxed)
    }

    pub(super) fn note_rewound(&self) {
        self.was_rewound.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_told_lost_rows(&self) -> bool {
        self.has_told_lost_rows.load(Ordering::Relaxed)
    }

    pub(super) fn note_lost_rows_told(&self) {
        self.has_told_lost_rows.store(true, Ordering::Relaxed);
    }

    pub(super) fn readers_left(&self) -> Vec<String> {
        self.readers_left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_readers_left(&self, rules: Vec<String>) {
        *self.readers_left.lock().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    pub(super) fn settle(&self) {
        self.settled.send_replace(true);
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until it is asked to end.
    pub(super) async fn stopping(&self) {
        // The sender lives as long as this.
        drop(self.stop.subscribe().wait_for(|stop| *stop).await);
    }

    /// Waits for so long, unless it is asked to end; whether it is not.
    pub(super) async fn pause(&self, pause: Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(pause) => true,
            () = self.stopping() => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Run>>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
