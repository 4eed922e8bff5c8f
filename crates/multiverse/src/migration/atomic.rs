//! Migrations that are applied on all of their clusters or on none, by two-phase commit.
//!
//! One cluster decides: its transaction is committed while those of the others are prepared, and its history tells
//! whoever finds a prepared transaction after a crash what was decided.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use super::apply::{LEAVE_NOTHING, Task, Workshop};
use super::database::{Database, failed, text};
use super::error::Error;
use super::host::Direction;
use super::script_session::ScriptSession;
use super::settings::Settings;
use crate::transaction::prepared::{self, Fate};
use crate::transaction::settle;

/// Transactions of ours begin so.
const PREFIX: &str = "replicaverse-migration";

/// The lock that the deciding transaction holds until it has ended.
const DECIDE: &str = "SELECT pg_catalog.pg_advisory_xact_lock($1::int8)::text";
const AWAITING: &str = "waiting for a decision";

/// The transaction of one cluster.
struct Branch<'t> {
    database: Arc<Database>,
    tasks: Vec<(Task<'t>, Arc<ScriptSession>)>,
}

impl Branch<'_> {
    /// Its name within a transaction: clusters may be databases of one server, where names are unique.
    fn name_in(&self, transaction: &str) -> String {
        format!("{transaction}:{}", short_hash(self.database.cluster()))
    }
}

impl Workshop<'_> {
    /// Tries tasks of one migration together.
    pub(super) async fn attempt_together(&self, tasks: &[Task<'_>]) -> Result<(), Error> {
        let mut branches = Vec::new();
        let outcome = match self.run_branches(tasks, &mut branches).await {
            Ok(()) => self.commit_branches(&branches, tasks).await,
            Err(error) => Err(error),
        };
        let begun: usize = branches.iter().map(|branch| branch.tasks.len()).sum();
        for branch in branches {
            match &outcome {
                Ok(()) => {
                    branch.database.run(LEAVE_NOTHING, &[]).await.ok();
                    self.give_back(branch.database);
                }
                Err(error) => {
                    for (task, session) in &branch.tasks {
                        self.note_failure(session, *task, error).await;
                    }
                }
            }
        }
        if let Err(error) = &outcome {
            for task in tasks.get(begun..).unwrap_or_default() {
                self.note_unrun(*task, error).await;
            }
        }
        outcome
    }

    /// Runs all tasks; those of one cluster share a transaction.
    async fn run_branches<'t>(
        &self,
        tasks: &[Task<'t>],
        branches: &mut Vec<Branch<'t>>,
    ) -> Result<(), Error> {
        for task in tasks {
            let known = branches.iter().position(|branch| *branch.database.cluster() == task.place.cluster);
            let at = match known {
                Some(at) => at,
                None => {
                    let (database, _) = self.take(&task.place.cluster).await?;
                    branches.push(Branch { database, tasks: Vec::new() });
                    branches.len() - 1
                }
            };
            let Some(branch) = branches.get_mut(at) else { continue };
            let control = self.controls.get(&task.place.cluster);
            let control = control.ok_or_else(|| Error::Invalid("no control tables".to_owned()))?;
            let session = self.script_session(&branch.database, control, *task, false);
            let is_first = branch.tasks.is_empty();
            branch.tasks.push((*task, Arc::clone(&session)));
            let start = Instant::now();
            if is_first {
                self.begin(&session, *task).await?;
            } else {
                self.go_on(&session, *task).await?;
            }
            self.run_body(&session, *task).await?;
            self.record(&session, *task, start).await?;
        }
        Ok(())
    }

    async fn commit_branches(&self, branches: &[Branch<'_>], tasks: &[Task<'_>]) -> Result<(), Error> {
        let (Some((decider, others)), Some(task)) = (branches.split_first(), tasks.first()) else {
            return Ok(());
        };
        let name = transaction_name(self.settings, *task, &decider.database);
        let decided = deciding_lock(&name);
        decider.database.query("preparing to commit", DECIDE, &[Some(&decided)]).await?;
        for (number, branch) in others.iter().enumerate() {
            let (prepare, _) = prepared::prepare(&branch.name_in(&name));
            if let Err(error) = branch.database.query("preparing to commit", &prepare, &[]).await {
                let prepared = others.get(..number).unwrap_or_default();
                self.end_prepared(prepared, Fate::RollBack, &name).await.ok();
                return Err(error);
            }
        }
        if let Err(error) = decider.database.query("committing", "COMMIT", &[]).await {
            // Only a refusal is certain to have rolled back; else the next run looks.
            if error.server_error().is_some() {
                self.end_prepared(others, Fate::RollBack, &name).await.ok();
            }
            return Err(error);
        }
        self.end_prepared(others, Fate::Commit, &name).await
    }

    async fn end_prepared(&self, branches: &[Branch<'_>], fate: Fate, name: &str) -> Result<(), Error> {
        for branch in branches {
            let name = branch.name_in(name);
            if end_one(&branch.database, fate, &name).await.is_err() {
                // The transaction outlives its connection.
                let (database, _) = self.take(branch.database.cluster()).await?;
                end_one(&database, fate, &name).await?;
                self.give_back(database);
            }
        }
        Ok(())
    }

    /// Ends a transaction that a runner prepared on a cluster before it died, as the deciding cluster's history says.
    pub(crate) async fn settle_prepared(&self, cluster: &Arc<str>, name: &str) -> Result<(), Error> {
        let (database, _) = self.take(cluster).await?;
        let fate = if self.was_committed(name).await? { Fate::Commit } else { Fate::RollBack };
        end_one(&database, fate, name).await?;
        self.give_back(database);
        Ok(())
    }

    async fn was_committed(&self, name: &str) -> Result<bool, Error> {
        let parts: Vec<&str> = name.split(':').collect();
        let [_, _, decider, direction, step, ..] = *parts.as_slice() else { return Ok(false) };
        let known = self.settings.clusters.iter().find(|cluster| short_hash(&cluster.id) == decider);
        let Some(known) = known else {
            return Err(Error::Invalid(format!(
                "the prepared transaction {name} was decided on a cluster that is not configured"
            )));
        };
        let (database, control) = self.take(&Arc::from(known.id.as_str())).await?;
        // A runner that is alive, or whose commit is still under way on the server, has yet to decide.
        let wait = format!("BEGIN; SET LOCAL lock_timeout = {}", self.settings.lock_timeout);
        database.query(AWAITING, &wait, &[]).await?;
        let transaction = name.rsplit_once(':').map_or(name, |(transaction, _)| transaction);
        database.query(AWAITING, DECIDE, &[Some(&deciding_lock(transaction))]).await?;
        let sql = format!("SELECT version, schema_name FROM {} WHERE cluster_id = $1", control.history);
        let rows = database.query("reading the history", &sql, &[Some(&known.id)]).await?;
        database.query(AWAITING, "COMMIT", &[]).await?;
        self.give_back(database);
        let applied: HashSet<String> = rows.iter().map(|row| step_hash(text(row, 0), text(row, 1))).collect();
        Ok(applied.contains(step) == (direction == "up"))
    }
}

/// The transactions of migrations that somebody prepared on a cluster and has not ended.
pub(crate) async fn prepared_on(database: &Database, settings: &Settings) -> Result<Vec<String>, Error> {
    let prefix = format!("{PREFIX}:{}:", short_hash(&settings.migrations_table));
    let found = prepared::list(database.client(), &prefix).await;
    let context = || format!("looking for prepared transactions on cluster {}", database.cluster());
    let found = found.map_err(|source| failed(&context(), source))?;
    Ok(found.into_iter().map(|found| found.name).collect())
}

async fn end_one(database: &Database, fate: Fate, name: &str) -> Result<(), Error> {
    let context = || format!("ending a prepared transaction on cluster {}", database.cluster());
    settle::end(database.client(), name, fate).await.map_err(|source| failed(&context(), source))
}

/// The name of a prepared transaction, from which can be read where and what was decided.
fn transaction_name(settings: &Settings, task: Task<'_>, decider: &Database) -> String {
    let direction = if task.direction == Direction::Up { "up" } else { "down" };
    let [table, cluster] = [&settings.migrations_table, &**decider.cluster()].map(short_hash);
    let step = step_hash(&task.migration.version, &task.place.schema);
    format!("{PREFIX}:{table}:{cluster}:{direction}:{step}:{}", decider.session().process_id)
}

/// The key of the lock under which a transaction is decided.
fn deciding_lock(transaction: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, transaction.as_bytes());
    let first = digest.as_ref().iter().take(8).fold(0_i64, |key, byte| (key << 8) | i64::from(*byte));
    first.to_string()
}

/// What the deciding cluster's history tells of a migration: it may have been applied to another schema long before.
fn step_hash(version: &str, schema: &str) -> String {
    short_hash(&format!("{version}\n{schema}"))
}

/// Names may be longer than the name of a transaction, and hold any sign.
fn short_hash(text: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
