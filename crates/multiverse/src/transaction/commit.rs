//! Committing a transaction: the steps of the protocol, in their order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};

use super::branch::Branch;
use super::decision::{self, Decision};
use super::error::Error;
use super::failpoint::{self, Step};
use super::plan::{Ending, Plan};
use super::prepared::{self, BranchName, DatabaseId, Fate};
use super::settle;
use super::state::State;
use super::transactions::{Committed, Shared, Transaction};
use crate::engine::Engine;
use crate::route::ReplayPosition;

/// What precedes the decision may take so long. The deciding server waits for longer, and gives up then.
const LONGEST_PREPARE: Duration = Duration::from_secs(20);
/// How long the deciding server is asked again for a decision whose answer was lost.
const ASKING: Duration = Duration::from_secs(10);
/// What a role that was set in the transaction is still to do, and back to the role that the connection is of: only who has prepared
/// a transaction may end it, and only the connection's role is known to have the table of decisions.
const OWN_AGAIN: [&str; 2] = ["SET CONSTRAINTS ALL IMMEDIATE", "SET LOCAL ROLE NONE"];
const PAUSE: Duration = Duration::from_millis(100);
/// How long a prepared branch that is ended is waited for; then recovery sees to it.
const ENDING: Duration = Duration::from_secs(10);

/// A transaction that is being committed.
pub(crate) struct Commit<'c> {
    pub(crate) shared: &'c Shared,
    pub(crate) transaction: &'c Transaction,
    pub(crate) branches: &'c [Branch],
    /// The most time for what precedes the decision.
    pub(crate) limit: Option<Duration>,
}

impl Commit<'_> {
    /// Commits, or leaves everything so that it can be rolled back and tells why.
    pub(crate) async fn run(&self) -> Result<Committed, Error> {
        if let [only] = self.branches {
            return self.commit_only(only).await;
        }
        let plan = Plan::of(&self.survey().await?);
        match &plan {
            Plan::ReadersOnly => {
                self.commit_readers(&plan).await?;
                self.transaction.become_state(State::Committed);
                Ok(Committed::default())
            }
            Plan::OnePhase { writer } => {
                self.commit_readers(&plan).await?;
                match self.branches.get(*writer) {
                    Some(writer) => self.commit_only(writer).await,
                    None => Ok(Committed::default()),
                }
            }
            Plan::TwoPhase { decider, prepared } => {
                let others: Vec<&Branch> =
                    prepared.iter().filter_map(|place| self.branches.get(*place)).collect();
                match self.branches.get(*decider) {
                    Some(decider) => self.commit_together(&plan, decider, &others).await,
                    None => Ok(Committed::default()),
                }
            }
        }
    }

    fn limit(&self) -> Duration {
        self.limit.map_or(LONGEST_PREPARE, |limit| limit.min(LONGEST_PREPARE))
    }

    /// Commits the only branch that can have written.
    async fn commit_only(&self, branch: &Branch) -> Result<Committed, Error> {
        let cluster = branch.cluster();
        self.transaction.is_decided_by(cluster);
        match branch.commit().await {
            (Ending::Done, position) => {
                self.transaction.become_state(State::Committed);
                let written = position.map(|position| (Arc::clone(cluster), position));
                Ok(Committed { is_distributed: false, written: written.into_iter().collect() })
            }
            (Ending::RolledBack(None), _) => Err(Error::RolledBack(Arc::clone(cluster))),
            (Ending::RolledBack(Some(error)), _) => Err(Error::Database(error)),
            // Nothing is lost where nothing was written.
            (Ending::Unknown(error), _) if self.transaction.options.read_only == Some(true) => {
                Err(Error::Database(error))
            }
            (Ending::Unknown(source), _) => Err(self.unknown(cluster, source)),
        }
    }

    fn unknown(&self, cluster: &Arc<str>, source: crate::Error) -> Error {
        self.transaction.become_state(State::Unknown);
        Error::OutcomeUnknown { id: Arc::clone(&self.transaction.id), cluster: Arc::clone(cluster), source }
    }

    /// Which branches have written. What is known is not asked for.
    async fn survey(&self) -> Result<Vec<bool>, Error> {
        let limit = self.limit();
        let only_reads = self.transaction.options.read_only == Some(true);
        let asked = self.branches.iter().map(|branch| async move {
            let session = branch.session();
            let is_known = self.shared.engine.has_written(session.id);
            if only_reads || is_known && self.shared.may_prepare(&session.server) {
                return Ok(is_known && !only_reads);
            }
            let survey = branch.survey(limit).await.map_err(|error| failed_before(branch, error))?;
            if survey.may_prepare {
                self.shared.note_may_prepare(&session.server);
            }
            Ok(is_known || survey.has_written)
        });
        let found: Result<Vec<bool>, Error> = join_all(asked).await.into_iter().collect();
        let found = found?;
        // Whoever comes first is refused too: who decides is not for the application to know.
        let mut writers = self.branches.iter().zip(&found).filter(|(_, has)| **has).map(|(branch, _)| branch);
        if found.iter().filter(|has| **has).count() > 1
            && let Some(refused) = writers.find(|branch| !self.shared.may_prepare(&branch.session().server))
        {
            return Err(Error::PreparedDisabled(Arc::clone(refused.cluster())));
        }
        Ok(found)
    }

    /// Commits the branches that have written nothing. They come first, as one that fails may have read what never was.
    async fn commit_readers(&self, plan: &Plan) -> Result<(), Error> {
        let limit = self.limit();
        let readers = self.branches.iter().enumerate().filter(|(place, _)| !plan.is_writer(*place));
        let commits = readers.map(|(_, branch)| async move {
            match branch.commit_within(Some(limit)).await.0 {
                Ending::Done => Ok(()),
                Ending::RolledBack(None) => Err(Error::RolledBack(Arc::clone(branch.cluster()))),
                Ending::RolledBack(Some(error)) | Ending::Unknown(error) => Err(Error::Database(error)),
            }
        });
        join_all(commits).await.into_iter().collect()
    }

    /// Commits several branches by the decision of one.
    async fn commit_together(
        &self,
        plan: &Plan,
        decider: &Branch,
        others: &[&Branch],
    ) -> Result<Committed, Error> {
        let (readers, decider_id) =
            join(self.commit_readers(plan), self.write_decision(decider, others)).await;
        let decider_id = decider_id?;
        readers?;
        failpoint::reached(Step::DecisionWritten).await;
        let names: Vec<String> = (0..others.len()).map(|number| self.name(number, &decider_id)).collect();
        let prepared: Vec<(&Branch, &str)> =
            others.iter().copied().zip(names.iter().map(String::as_str)).collect();
        self.prepare(decider, &prepared).await?;
        failpoint::reached(Step::Prepared).await;
        let position = self.decide((decider, &decider_id), &prepared).await?;
        failpoint::reached(Step::Decided).await;
        let (mut written, is_settled) = self.carry_out(&prepared).await;
        failpoint::reached(Step::Committed).await;
        if is_settled {
            self.shared.forget_later(decider.cluster(), &self.transaction.id);
        } else {
            self.shared.call_recovery();
        }
        written.extend(position.map(|position| (Arc::clone(decider.cluster()), position)));
        Ok(Committed { is_distributed: true, written })
    }

    fn name(&self, branch: usize, decider: &DatabaseId) -> String {
        let transaction = self.transaction.id.to_string();
        BranchName { transaction, branch, decider: *decider }.text()
    }

    /// Writes the row of the decision in the branch that decides. Nothing is prepared before that is done, so that whoever
    /// finds something prepared knows: the row is there, or on its way, or will never be there.
    async fn write_decision(&self, decider: &Branch, others: &[&Branch]) -> Result<DatabaseId, Error> {
        let cluster = decider.cluster();
        self.shared.make_table(cluster, self.limit()).await?;
        let own_again = decider.client().run_in_turn(self.limit(), &OWN_AGAIN).await;
        own_again.map_err(|error| failed_before(decider, error))?;
        let participants: Vec<Arc<str>> = others.iter().map(|branch| Arc::clone(branch.cluster())).collect();
        let written =
            decision::write(decider.client(), self.limit(), &self.transaction.id, &participants).await;
        if matches!(&written, Err(crate::Error::Server(report)) if report.code == "42P01") {
            self.shared.table_is_missing(cluster);
        }
        written.map_err(|error| failed_before(decider, error))
    }

    /// Prepares all branches but the one that decides. Where one cannot be prepared, none stays so.
    async fn prepare(&self, decider: &Branch, prepared: &[(&Branch, &str)]) -> Result<(), Error> {
        let limit = self.limit();
        let endings = join_all(prepared.iter().map(|(branch, name)| async move {
            let (sql, tag) = prepared::prepare(name);
            let [constraints, role] = OWN_AGAIN;
            // Where one of them fails, the last one rolls back.
            let ending = match branch.client().run_in_turn(limit, &[constraints, role, &sql]).await {
                Ok(reply) => Ending::of(Ok(&reply), tag),
                Err(crate::Error::Server(report)) if report.code == "25P02" => Ending::RolledBack(None),
                Err(error) => Ending::of(Err(error), tag),
            };
            if matches!(ending, Ending::Done) {
                failpoint::reached(Step::OnePrepared).await;
            }
            ending
        }))
        .await;
        if endings.iter().all(|ending| matches!(ending, Ending::Done)) {
            return Ok(());
        }
        self.transaction.become_state(State::Aborting);
        // First of all, so that the decision cannot be made any more.
        decider.roll_back(&self.shared.engine).await;
        let undone = prepared.iter().zip(&endings).map(|((branch, name), ending)| async move {
            match ending {
                Ending::RolledBack(_) => true,
                Ending::Done | Ending::Unknown(_) => {
                    self.end_branch(branch, name, Fate::RollBack).await.is_some()
                }
            }
        });
        if !join_all(undone).await.into_iter().all(|is_done| is_done) {
            self.shared.call_recovery();
        }
        Err(why_not_prepared(prepared, endings))
    }

    /// Commits the branch that decides.
    async fn decide(
        &self,
        (decider, decider_id): (&Branch, &DatabaseId),
        prepared: &[(&Branch, &str)],
    ) -> Result<Option<ReplayPosition>, Error> {
        let cluster = decider.cluster();
        self.transaction.is_decided_by(cluster);
        let error = match decider.commit().await {
            (Ending::Done, position) => {
                self.transaction.become_state(State::Committed);
                return Ok(position);
            }
            (Ending::RolledBack(None), _) => Error::RolledBack(Arc::clone(cluster)),
            (Ending::RolledBack(Some(error)), _) => Error::Database(error),
            (Ending::Unknown(source), _) => match self.decision_meanwhile(cluster, decider_id).await {
                Some(Decision::Committed) => {
                    self.transaction.become_state(State::Committed);
                    return Ok(None);
                }
                Some(_) => Error::Database(source),
                None => {
                    self.shared.call_recovery();
                    return Err(self.unknown(cluster, source));
                }
            },
        };
        self.transaction.become_state(State::Aborting);
        let undone = prepared.iter().map(|(branch, name)| self.end_branch(branch, name, Fate::RollBack));
        if join_all(undone).await.iter().any(Option::is_none) {
            self.shared.call_recovery();
        }
        Err(error)
    }

    /// Asks for a decision whose answer was lost, until there is one. `None` if nobody can be asked.
    async fn decision_meanwhile(&self, cluster: &Arc<str>, decider: &DatabaseId) -> Option<Decision> {
        let until = Instant::now() + ASKING;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let question = (decider, &*self.transaction.id);
            match settle::ask(&self.shared.engine, cluster, question, left).await {
                Ok(Decision::Open | Decision::Elsewhere) => {}
                Ok(decision) => return Some(decision),
                Err(crate::Error::Closed) => return None,
                Err(error) => tracing::debug!(%cluster, %error, "a decision could not be asked for"),
            }
            if Instant::now() >= until {
                return None;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Commits what is prepared. Gives the positions of the logs, and whether all of it is done.
    async fn carry_out(&self, prepared: &[(&Branch, &str)]) -> (Vec<(Arc<str>, ReplayPosition)>, bool) {
        let ended = join_all(prepared.iter().map(|(branch, name)| async move {
            let ended = self.end_branch(branch, name, Fate::Commit).await;
            failpoint::reached(Step::OneCommitted).await;
            ended.map(|position| (Arc::clone(branch.cluster()), position))
        }))
        .await;
        let is_settled = ended.iter().all(Option::is_some);
        let written = ended.into_iter().flatten();
        (written.filter_map(|(cluster, position)| Some((cluster, position?))).collect(), is_settled)
    }

    /// Ends a prepared branch; `None` where that is left to recovery.
    async fn end_branch(&self, branch: &Branch, name: &str, fate: Fate) -> Option<Option<ReplayPosition>> {
        let statement = prepared::end(name, fate);
        // It may wait for standbys, so it is not cancelled; only nobody waits for it any more.
        let late = Err(crate::Error::Timeout { limit: ENDING });
        let ended = tokio::time::timeout(ENDING, branch.client().run(&statement, &[])).await;
        match ended.unwrap_or(late) {
            Ok(reply) => Some(reply.written),
            Err(error) if super::plan::is_ended_already(&error) => Some(None),
            Err(error) => {
                tracing::debug!(cluster = %branch.cluster(), %error, "a prepared branch is left to recovery");
                None
            }
        }
    }
}

/// Rolls branches back, all at the same time.
pub(crate) async fn roll_back(engine: &Engine, branches: &[Branch]) {
    join_all(branches.iter().map(|branch| branch.roll_back(engine))).await;
}

/// A statement of ours before the decision has failed. In a transaction that had failed before, every statement does.
fn failed_before(branch: &Branch, error: crate::Error) -> Error {
    match &error {
        crate::Error::Server(report) if report.code == "25P02" => {
            Error::RolledBack(Arc::clone(branch.cluster()))
        }
        _ => Error::Database(error),
    }
}

/// Why branches could not be prepared.
fn why_not_prepared(prepared: &[(&Branch, &str)], endings: Vec<Ending>) -> Error {
    let mut failures = Vec::new();
    for ((branch, _), ending) in prepared.iter().zip(endings) {
        let cluster = Arc::clone(branch.cluster());
        match ending {
            Ending::Done => {}
            Ending::RolledBack(None) => return Error::RolledBack(cluster),
            Ending::RolledBack(Some(source)) | Ending::Unknown(source) => match &source {
                crate::Error::Server(report) if report.code == "0A000" => {
                    return Error::Unpreparable { cluster, source };
                }
                // The setting was changed since it was asked for.
                crate::Error::Server(report) if report.code == "55000" => {
                    return Error::PreparedDisabled(cluster);
                }
                _ => failures.push((cluster, source)),
            },
        }
    }
    Error::Prepare(failures)
}
