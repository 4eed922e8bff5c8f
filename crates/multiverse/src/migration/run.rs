//! Carrying out a plan: as many steps at a time as may be, each told of, and what failed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Semaphore;

use super::apply::{Task, Workshop};
use super::definition::Place;
use super::error::{Error, Failure};
use super::host::{Direction, Event};
use super::lock::ClusterLock;
use super::migrator::Migrator;
use super::plan::Scope;
use super::status::Status;
use super::survey::Known;
use super::unit::{Schedule, Unit};

/// What has been decided about a run besides its steps.
pub(super) struct Run {
    pub(super) direction: Direction,
    pub(super) most_at_once: usize,
    pub(super) continue_on_error: bool,
}

impl Migrator {
    pub(super) async fn create_checkpoints(&self, known: &Known, units: &[Unit]) -> Result<(), Error> {
        const SQL: &str = "SELECT pg_catalog.pg_create_restore_point($1)::text";
        let clusters: BTreeSet<&Arc<str>> =
            units.iter().flat_map(|unit| unit.places.iter().map(|place| &place.cluster)).collect();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let name = format!("replicaverse_migrations_{}", now.as_millis());
        let workshop = self.workshop(known);
        for cluster in clusters {
            let (database, _) = workshop.take(cluster).await?;
            let rows = database.query("creating a checkpoint", SQL, &[Some(&name)]).await?;
            let position = super::database::first(&rows).unwrap_or_default().to_owned();
            let (cluster, name) = (Arc::clone(cluster), name.clone());
            self.host.tell(Event::CheckpointCreated { cluster, name, position });
        }
        Ok(())
    }

    /// Carries out the steps of a plan, as many at a time as may be. Gives what failed.
    pub(super) async fn carry_out(
        &self,
        known: &Known,
        units: &[Unit],
        run: &Run,
        locks: &[ClusterLock],
    ) -> Result<Vec<Failure>, Error> {
        let workshop = self.workshop(known);
        let room = self.room();
        let mut schedule = Schedule::new(units);
        let mut running = FuturesUnordered::new();
        let mut failures = Vec::new();
        let mut is_stopped = false;
        loop {
            while !is_stopped && running.len() < run.most_at_once {
                let Some(at) = schedule.next() else { break };
                let Some(unit) = units.get(at) else { break };
                let begun = u32::try_from(at).unwrap_or(u32::MAX);
                let step = self.step(
                    &workshop,
                    known,
                    unit,
                    run.direction,
                    begun / self.settings.batch_size.max(1),
                    locks,
                );
                let room = &room;
                running.push(async move {
                    let _permits = permits(room, unit).await;
                    (at, step.await)
                });
            }
            let Some((at, outcome)) = running.next().await else { break };
            schedule.ended(at, outcome.is_ok());
            if let Err(error) = outcome {
                is_stopped = !run.continue_on_error || matches!(error, Error::LockLost { .. });
                failures.extend(self.failures_of(units.get(at), &error));
            }
        }
        drop(running);
        if !is_stopped {
            self.note_barred(&workshop, &schedule, units, run.direction).await;
        }
        Ok(failures)
    }

    /// Notes what was not run because of a failure: others have passed it, and it may come after them.
    async fn note_barred(
        &self,
        workshop: &Workshop<'_>,
        schedule: &Schedule<'_>,
        units: &[Unit],
        direction: Direction,
    ) {
        let reason = Error::Invalid("it was not run, because one that it depends on has failed".to_owned());
        for unit in schedule.barred().filter_map(|at| units.get(at)) {
            let Some(migration) = self.migrations.get(unit.migration) else { continue };
            for place in &unit.places {
                let task = Task { migration, place, direction, batch: 0, resumed: None };
                workshop.note_unrun(task, &reason).await;
            }
        }
    }

    /// How many steps may use connections to each cluster at one time: one connection holds the lock.
    fn room(&self) -> HashMap<&str, Semaphore> {
        let clusters = self.settings.clusters.iter().map(|cluster| cluster.id.as_str());
        let most = |id| self.connections_of(id).saturating_sub(1).clamp(1, Semaphore::MAX_PERMITS);
        clusters.map(|id| (id, Semaphore::new(most(id)))).collect()
    }

    async fn step(
        &self,
        workshop: &Workshop<'_>,
        known: &Known,
        unit: &Unit,
        direction: Direction,
        batch: u32,
        locks: &[ClusterLock],
    ) -> Result<(), Error> {
        let Some(migration) = self.migrations.get(unit.migration) else { return Ok(()) };
        for lock in
            locks.iter().filter(|lock| unit.places.iter().any(|place| place.cluster == *lock.cluster()))
        {
            lock.check().await?;
        }
        let start = Instant::now();
        let (version, name) = (&migration.version, &migration.name);
        for place in &unit.places {
            let (version, name, place) = (version.clone(), name.clone(), place.clone());
            self.host.tell(Event::Started { direction, version, name, place });
        }
        let tasks: Vec<Task<'_>> = unit
            .places
            .iter()
            .map(|place| Task {
                migration,
                place,
                direction,
                batch: known.history.batches.get(&place.cluster).copied().unwrap_or_default()
                    + 1
                    + i64::from(batch),
                resumed: known.history.half_done_at(place, version, direction),
            })
            .collect();
        let outcome = workshop.carry_out(&tasks).await;
        let duration = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        for place in &unit.places {
            let (version, name, place) = (version.clone(), name.clone(), place.clone());
            self.host.tell(match &outcome {
                Ok(()) => Event::Completed { direction, version, name, place, duration },
                Err(error) => Event::Failed {
                    direction,
                    version,
                    name,
                    place,
                    duration,
                    message: error.to_string(),
                    code: error.code().to_owned(),
                    thrown: thrown_by(error),
                },
            });
        }
        outcome
    }

    fn failures_of(&self, unit: Option<&Unit>, error: &Error) -> Vec<Failure> {
        let Some((unit, migration)) =
            unit.and_then(|unit| Some((unit, self.migrations.get(unit.migration)?)))
        else {
            return Vec::new();
        };
        let failure = |place: &Place| Failure {
            version: migration.version.clone(),
            name: migration.name.clone(),
            place: place.clone(),
            error: error.clone(),
        };
        unit.places.iter().map(failure).collect()
    }

    /// Looks once more, while the locks are held.
    pub(super) async fn finish(
        &self,
        scope: &Scope<'_>,
        failures: Vec<Failure>,
        passes_over: bool,
        locks: Vec<ClusterLock>,
    ) -> Result<Status, Error> {
        let status = if failures.is_empty() || passes_over {
            let known = self.look(scope, false).await?;
            let mut status = Status::count(&self.migrations, &self.settings, &known.history, scope);
            status.failed_migrations = status.failed_migrations.max(failures.len());
            Ok(status)
        } else {
            Err(Error::Failed(failures))
        };
        for lock in locks {
            lock.release().await;
        }
        status
    }
}

/// The permits of a step; in the order of the clusters, so that steps never wait for each other in a circle.
async fn permits<'a>(
    room: &'a HashMap<&str, Semaphore>,
    unit: &Unit,
) -> Vec<tokio::sync::SemaphorePermit<'a>> {
    let clusters: BTreeSet<&str> = unit.places.iter().map(|place| &*place.cluster).collect();
    let mut permits = Vec::new();
    for semaphore in clusters.into_iter().filter_map(|id| room.get(id)) {
        // It is never closed.
        permits.extend(semaphore.acquire().await);
    }
    permits
}

fn thrown_by(error: &Error) -> Option<u32> {
    match error {
        Error::Script(script) => script.thrown,
        _ => None,
    }
}
