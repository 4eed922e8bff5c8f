//! The task of a feed: it waits for both sides, finds out what is to be done, streams, and begins anew when something changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use data::ErrorKind;
use data::log::LogKind;
use data::table::OWN_TABLE_PREFIX;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::detect::{Finding, detect};
use super::feed::{Inner, Run};
use super::member::{Member, database_of, is_empty, recall, remember, term};
use super::place::{Parties, Place};
use super::resync::{report_lost_rows, sweep};
use super::rewind::{Rewound, rewind};
use crate::cdc::{
    CdcEvent, CdcObserver, Checkpoints, Ends, Goal, RunSettings, RunState, Runner, Shared, applying_reader,
    continues, remove_log_of,
};
use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::snapshot::End;
use crate::topology::FedBy;

/// How often it is looked whether both sides are connected.
const CONNECTED_ASKED: Duration = Duration::from_millis(100);
/// How long is waited before what could not be fed is tried again.
const TRIED_AGAIN: Duration = Duration::from_secs(10);
/// How long is waited after a lost connection, before there was anything to stream.
const RECONNECTED: Duration = Duration::from_secs(1);
/// How often it is looked whether the master has new tables.
const TABLES_ASKED: Duration = Duration::from_secs(5);
/// How often it is looked whether another process has copied everything.
const OTHER_ASKED: Duration = Duration::from_millis(300);
/// How often the checkpoint follows the master's log, so that other processes know how far the slave is behind.
const CHECKPOINT_KEPT: Duration = Duration::from_secs(1);

/// How a round ended.
enum Round {
    /// Nothing is left to be done.
    Done,
    /// It is to be looked anew.
    Again,
    /// The slave cannot be fed, and why.
    Impossible(String),
}

/// Feeds a slave until it is asked to end, or its own database is found to do that.
pub(super) async fn supervise(place: Place, inner: Arc<Inner>) {
    let mut told = None;
    loop {
        let Some(parties) = both_connected(&place, &inner).await else { return };
        let pause = match round(&place, &inner, &parties, told.is_some()).await {
            Ok(Round::Done) => return,
            Ok(Round::Again) => {
                told = None;
                CONNECTED_ASKED
            }
            Ok(Round::Impossible(reason)) => {
                give_up(&place, &inner, &mut told, reason);
                TRIED_AGAIN
            }
            Err(error) if error.database().is_some_and(|error| error.kind().is_retryable()) => RECONNECTED,
            Err(Error::NoMaster { .. } | Error::Retry(_)) => CONNECTED_ASKED,
            Err(error) => {
                give_up(&place, &inner, &mut told, error.to_string());
                TRIED_AGAIN
            }
        };
        if !inner.pause(pause).await {
            return;
        }
    }
}

/// Tells once why a slave is not fed. One that was copied in part goes without reads still.
fn give_up(place: &Place, inner: &Inner, told: &mut Option<String>, reason: String) {
    inner.set_run(None);
    place.change(|replica| replica.standing.lag = None);
    let is_news = told.as_ref() != Some(&reason);
    place.enter(FedBy::None, is_news.then(|| reason.clone()));
    *told = Some(reason);
    inner.settle();
}

async fn both_connected(place: &Place, inner: &Inner) -> Option<Parties> {
    loop {
        if inner.is_stopping() || place.state.strong_count() == 0 {
            return None;
        }
        if let Some(parties) = place.parties() {
            return Some(parties);
        }
        if !inner.pause(CONNECTED_ASKED).await {
            return None;
        }
    }
}

/// Finds out what feeds the slave, and feeds it if nothing else does. Where it could not be fed before, nobody hears that it is
/// until it holds everything.
async fn round(place: &Place, inner: &Arc<Inner>, parties: &Parties, has_failed: bool) -> Result<Round> {
    let found = tokio::select! {
        found = detect(&place.project, parties) => found.map_err(in_feed(place))?,
        () = inner.stopping() => return Ok(Round::Done),
    };
    match found {
        Finding::Native => {
            place.enter(FedBy::Native, None);
            inner.settle();
            Ok(Round::Done)
        }
        Finding::Nothing(reason) => Ok(Round::Impossible(reason)),
        Finding::Managed(kind) => {
            if !has_failed {
                place.enter(FedBy::Managed, None);
            }
            feed(place, inner, parties, kind).await
        }
    }
}

/// Streams from one master until something has changed.
async fn feed(place: &Place, inner: &Arc<Inner>, parties: &Parties, kind: LogKind) -> Result<Round> {
    let (source, target) = (parties.master.end(), parties.slave.end());
    let mut rule = place.rule();
    let tables = tables_of(&source).await.map_err(in_feed(place))?;
    rule.left_out = without_key(&source, &tables).await.map_err(in_feed(place))?;
    warn_of_left_out(place, &rule);
    let reader = applying_reader(&rule.name, &source, &target).await.map_err(in_feed(place))?;
    let continues = continues(&source, kind, &target, &reader).await.map_err(in_feed(place))?;
    let member = standing(place, &source, &target, parties.was_master, continues).await?;
    inner.set_member(member);
    if !continues || member.is_swept() {
        place.change(|replica| replica.is_incomplete = true);
    }
    if member == Member::WasMaster {
        inner.set_readers_left(place.readers().into_iter().map(|(rule, _)| rule).collect());
        forget_readers_left(place, inner, &target).await;
        if !inner.has_told_lost_rows() {
            report_lost_rows(place, &rule, &source, &target).await.map_err(in_feed(place))?;
            inner.note_lost_rows_told();
        }
        match rewind(place, inner, parties).await {
            Rewound::NotAsked => {}
            Rewound::Stopped => return Ok(Round::Done),
            // It is found to follow by its own database.
            Rewound::Follows => return Ok(Round::Again),
            Rewound::Failed(reason) => {
                inner.note_rewound();
                let warning =
                    format!("it could not be rewound ({reason}), and is fed by this library instead");
                place.enter(FedBy::Managed, Some(warning));
                return Ok(Round::Again);
            }
        }
    }
    let observer = Arc::new(Observer { place: place.clone() });
    let settings = RunSettings { idle_checkpoint: CHECKPOINT_KEPT, ..RunSettings::default() };
    let shared = Shared::with_settings(&rule.name, Some(observer), settings);
    let run = Arc::new(Run {
        shared: Arc::clone(&shared),
        source: source.clone(),
        target: target.clone(),
        kind,
        reader,
        known: tables.clone(),
        fed: tables.iter().filter(|table| !rule.left_out.contains(table)).cloned().collect(),
        look_at_tables: Notify::new(),
        begun: Instant::now(),
        checkpoints: tokio::sync::OnceCell::new(),
    });
    inner.set_run(Some(Arc::clone(&run)));
    let ends = || -> Result<Ends> {
        if place.is_master(&parties.master.name) {
            return Ok((source.clone(), target.clone()));
        }
        Err(Error::NoMaster { end: "source", project: place.project.clone() })
    };
    let is_still_slave = || -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            let (own, masters) = (term(&target, &place.project), term(&source, &place.project));
            if own.await.map_err(in_feed(place))? > masters.await.map_err(in_feed(place))? {
                return Err(Error::Task(format!("another process has made \"{}\" the master", place.slave)));
            }
            Ok(())
        })
    };
    let runner = Runner {
        rule: &rule,
        ends: &ends,
        shared: Arc::clone(&shared),
        listener: None,
        permission: Some(&is_still_slave),
    };
    let mut running = std::pin::pin!(runner.run(Goal::Stream));
    let ended = tokio::select! {
        outcome = &mut running => Some(outcome),
        () = inner.stopping() => None,
        () = tend(place, inner, &run, &rule, member, &tables) => None,
    };
    shared.stop();
    let outcome = match ended {
        Some(outcome) => outcome,
        None => running.await,
    };
    match outcome {
        _ if inner.is_stopping() => Ok(Round::Done),
        Ok(()) => Ok(Round::Again),
        Err(Error::LogLost { reason, .. }) => {
            place.enter(
                FedBy::Managed,
                Some(format!("the master's log was lost ({reason}); everything is compared anew")),
            );
            remove_log_of(&run.source, kind, &run.reader).await.map_err(in_feed(place))?;
            Ok(Round::Again)
        }
        Err(error) => Err(error),
    }
}

/// Removes what is kept at a master of before for the slaves that it fed, and for rules that read it, so that it does not keep its
/// log for ever. Of those whose target is not connected the reader is not known; they are left until it is.
async fn forget_readers_left(place: &Place, inner: &Inner, old_master: &End) {
    let left = inner.readers_left();
    if left.is_empty() {
        return;
    }
    let mut still_left = Vec::new();
    for (rule, target) in place.readers().into_iter().filter(|(rule, _)| left.contains(rule)) {
        let Some(target) = target else {
            still_left.push(rule);
            continue;
        };
        if let Err(error) = forget_reader(&rule, old_master, &target).await {
            tracing::warn!(code = error.code(), "a master of before keeps its log for a reader: {error}");
            still_left.push(rule);
        }
    }
    inner.set_readers_left(still_left);
}

async fn forget_reader(rule: &str, old_master: &End, target: &End) -> data::Result<()> {
    let reader = applying_reader(rule, old_master, target).await?;
    for kind in [LogKind::Log, LogKind::Trigger] {
        remove_log_of(old_master, kind, &reader).await?;
    }
    Ok(())
}

/// What the slave is, as its master knows or as it is found now; the master knows afterwards.
async fn standing(
    place: &Place,
    source: &End,
    target: &End,
    was_master: bool,
    continues: bool,
) -> Result<Member> {
    let (project, slave) = (&place.project, &place.slave);
    let database = database_of(target).await;
    let known = recall(source, project, slave, database.as_deref()).await.map_err(in_feed(place))?;
    let member = match known {
        // It was the master of one that was never fed, and holds what that one lacks.
        Some(Member::HasOwnRows) if was_master => Member::HasOwnRows,
        _ if was_master => Member::WasMaster,
        Some(known) if continues => known,
        // What was deleted while nothing was kept for it is not seen.
        Some(known) => known.lost_track(),
        None if is_empty(target).await.map_err(in_feed(place))? => Member::Follows,
        None => Member::HasOwnRows,
    };
    if known == Some(Member::HasOwnRows) && !continues {
        let warning = "rows that the master deleted while its log was not kept stay at the slave, which held rows of its own";
        place.enter(FedBy::Managed, Some(warning.to_owned()));
    }
    // Also what is known already, as the promotion that told it may not have known the database.
    remember(source, project, slave, member, database.as_deref()).await.map_err(in_feed(place))?;
    Ok(member)
}

/// Sees to a feed that runs; ends when it is to begin anew, because the master has other tables.
async fn tend(place: &Place, inner: &Inner, run: &Run, rule: &Rule, member: Member, tables: &[String]) {
    everything_is_there(run).await;
    while member.is_swept() && run.shared.state().state == RunState::Streaming {
        let Err(error) = swept(place, run, rule).await else {
            inner.set_member(Member::Follows);
            break;
        };
        place.enter(
            FedBy::Managed,
            Some(format!("rows that only the slave holds could not be deleted: {error}")),
        );
        tokio::time::sleep(TABLES_ASKED).await;
    }
    place.enter(FedBy::Managed, None);
    place.change(|replica| {
        replica.is_incomplete = false;
        replica.demoted = None;
    });
    inner.settle();
    loop {
        // Whoever asks for it knows of a new one.
        drop(tokio::time::timeout(TABLES_ASKED, run.look_at_tables.notified()).await);
        forget_readers_left(place, inner, &run.target).await;
        // A master that does not answer has no other tables.
        if tables_of(&run.source).await.is_ok_and(|present| present != tables) {
            return;
        }
    }
}

async fn swept(place: &Place, run: &Run, rule: &Rule) -> data::Result<()> {
    sweep(rule, &run.source, &run.target).await?;
    let database = database_of(&run.target).await;
    remember(&run.source, &place.project, &place.slave, Member::Follows, database.as_deref()).await
}

/// Waits until the slave holds everything, by this process or another.
async fn everything_is_there(run: &Run) {
    loop {
        match run.shared.state().state {
            RunState::Streaming => return,
            RunState::Standby => {
                let checkpoints = Checkpoints::find(&run.target).await.ok().flatten();
                if let Some(checkpoints) = checkpoints
                    && let Ok(Some(found)) = checkpoints.position(&run.reader).await
                    && found.is_streaming
                {
                    return;
                }
            }
            _ => {}
        }
        let pause = match run.shared.state().state {
            RunState::Standby => OTHER_ASKED,
            _ => Duration::from_millis(10),
        };
        tokio::time::sleep(pause).await;
    }
}

/// The tables of the application.
pub(super) async fn tables_of(end: &End) -> data::Result<Vec<String>> {
    let mut tables = end.tables()?.list_tables().await?;
    tables.retain(|table| !table.starts_with(OWN_TABLE_PREFIX));
    Ok(tables)
}

/// The tables whose rows cannot be told apart.
async fn without_key(source: &End, tables: &[String]) -> data::Result<Vec<String>> {
    if source.is_schemaless() {
        return Ok(Vec::new());
    }
    let mut without = Vec::new();
    for name in tables {
        let described = source.tables()?.describe(name).await?;
        if described.is_none_or(|table| table.key.is_empty()) {
            without.push(name.clone());
        }
    }
    Ok(without)
}

fn warn_of_left_out(place: &Place, rule: &Rule) {
    if !rule.left_out.is_empty() {
        let tables = rule.left_out.join("\", \"");
        let warning = format!("table \"{tables}\" has no primary key and is not fed to the slave");
        place.enter(FedBy::Managed, Some(warning));
    }
}

fn in_feed(place: &Place) -> impl FnOnce(data::Error) -> Error + use<> {
    Error::database_in(format!("the feed of replica \"{}\" of project \"{}\"", place.slave, place.project))
}

/// Passes on what goes wrong with a feed and needs somebody to look at it.
struct Observer {
    place: Place,
}

impl CdcObserver for Observer {
    fn on(&self, event: CdcEvent) {
        match event {
            CdcEvent::Batch { failed, .. } if failed > 0 => {
                let warning =
                    format!("the slave refused {failed} rows; they stand in replicaverse_dead_letter");
                self.place.enter(FedBy::Managed, Some(warning));
            }
            CdcEvent::Error { code, message, retryable, .. }
                if !retryable && code != ErrorKind::Stopped.code() =>
            {
                self.place.enter(FedBy::Managed, Some(message));
            }
            _ => {}
        }
    }
}
