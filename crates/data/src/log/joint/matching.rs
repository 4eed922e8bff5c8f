//! Bringing readers together that have come to where the log stands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use super::candidate::Candidate;
use super::group::{self, GroupHandle};
use super::seat::Entry;
use super::{Joint, SharedLog};
use crate::log::LogReader;
use crate::table::Table;

/// How long is waited before readers are looked for, and how long at the most if none were found again and again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long readers may take to come to where the log stands.
const HEAD_AWAITED: Duration = Duration::from_secs(1);
/// How often it is looked whether they have.
const HEAD_ASKED: Duration = Duration::from_millis(10);
/// How long a reader that was called may take to end its own stream.
const CALL_TIMEOUT: Duration = Duration::from_secs(1);

/// The tables of several readers, by their names.
pub(super) type Tables = HashMap<String, Arc<Table>>;

/// Brings readers together for as long as there are any.
pub(super) async fn run(joint: Arc<Joint>, log: Arc<dyn SharedLog>) {
    let mut pause = FIRST_PAUSE;
    while joint.goes_on_matching() {
        // A reader that has just come is looked at soon.
        if pause > FIRST_PAUSE && timeout(pause, joint.candidate_came.notified()).await.is_ok() {
            pause = FIRST_PAUSE;
        }
        sleep(FIRST_PAUSE).await;
        pause = if bring_together(&joint, &log).await { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
    }
}

/// Whether anybody was brought together.
async fn bring_together(joint: &Arc<Joint>, log: &Arc<dyn SharedLog>) -> bool {
    let (mut candidates, mut groups) = {
        let standing = joint.standing();
        let ready = standing.candidates.iter().filter(|candidate| candidate.is_ready());
        (ready.cloned().collect::<Vec<_>>(), standing.groups.clone())
    };
    if candidates.is_empty() || candidates.len() + groups.len() < 2 {
        return false;
    }
    // Whoever comes beyond this is not far behind. And what the database was told by each of them for its reading lies before it.
    let Ok(head) = log.head().await else { return false };
    let deadline = Instant::now() + HEAD_AWAITED;
    let is_behind = |told: u64| told < head.order;
    while Instant::now() < deadline
        && (candidates.iter().any(|candidate| is_behind(candidate.told()))
            || groups.iter().any(|group| is_behind(group.told())))
    {
        sleep(HEAD_ASKED).await;
    }
    candidates.retain(|candidate| !is_behind(candidate.told()));
    groups.retain(|group| !is_behind(group.told()));
    let mut is_done = false;
    for group in groups {
        is_done |= join(&group, &mut candidates, log.as_ref()).await;
    }
    while candidates.len() > 1 {
        is_done |= found(joint, &mut candidates, log).await;
    }
    is_done
}

/// Has those join a group that fit into it.
async fn join(group: &GroupHandle, candidates: &mut Vec<Arc<Candidate>>, log: &dyn SharedLog) -> bool {
    let mut tables = group.tables();
    let fitting = take_fitting(candidates, &mut tables, log);
    let entries = call(&fitting).await;
    // Those that a group does not take any more go on alone.
    !entries.is_empty() && group.join(entries).await
}

/// Has the first of these found a group with those that fit to it.
async fn found(joint: &Arc<Joint>, candidates: &mut Vec<Arc<Candidate>>, log: &Arc<dyn SharedLog>) -> bool {
    let mut tables = Tables::new();
    let fitting = take_fitting(candidates, &mut tables, log.as_ref());
    if fitting.len() < 2 {
        return false;
    }
    let entries = call(&fitting).await;
    if entries.len() < 2 {
        return false;
    }
    group::begin(joint, log, entries);
    true
}

/// Takes those out whose tables are the same as they are known already, where they are.
fn take_fitting(
    candidates: &mut Vec<Arc<Candidate>>,
    tables: &mut Tables,
    log: &dyn SharedLog,
) -> Vec<Arc<Candidate>> {
    let mut fitting = Vec::new();
    candidates.retain(|candidate| {
        let fits = log.tells_by_descriptions() || fits(&candidate.reader, tables);
        if fits {
            tables
                .extend(candidate.reader.tables.iter().map(|table| (table.name.clone(), Arc::clone(table))));
            fitting.push(Arc::clone(candidate));
        }
        !fits
    });
    fitting
}

fn fits(reader: &LogReader, tables: &Tables) -> bool {
    reader.tables.iter().all(|table| tables.get(&table.name).is_none_or(|known| known == table))
}

/// Has readers give their own streams up.
async fn call(candidates: &[Arc<Candidate>]) -> Vec<Entry> {
    let calls = candidates.iter().map(|candidate| async {
        let called = timeout(CALL_TIMEOUT, candidate.call()).await;
        if called.is_err() {
            candidate.take_caller();
        }
        called.ok()?.ok()
    });
    join_all(calls).await.into_iter().flatten().collect()
}
