//! The door to migrations: applies them, takes them back, and tells where they stand.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Semaphore;

use super::apply::{Task, Workshop};
use super::control::Control;
use super::database::Database;
use super::definition::{Migration, Source};
use super::error::{Error, Failure};
use super::graph;
use super::history::History;
use super::host::{Direction, Event, Host};
use super::lock::ClusterLock;
use super::plan::{Planner, Scope, places_of};
use super::settings::{DryRun, MigrateOptions, RollbackOptions, Settings};
use super::state::{Standing, StateRow};
use super::status::{PlanStep, Report, Status, reports};
use super::unit::{Schedule, Unit};
use crate::engine::Engine;

/// Migrates the schemas of an engine's clusters.
pub struct Migrator {
    pub(super) engine: Arc<Engine>,
    pub(super) settings: Settings,
    /// In the order in which they are applied.
    pub(super) migrations: Vec<Migration>,
    pub(super) host: Arc<dyn Host>,
}

/// What a run knows of the clusters.
pub(super) struct Known {
    pub(super) controls: HashMap<Arc<str>, Control>,
    pub(super) history: History,
}

/// What has been decided about a run besides its steps.
struct Run {
    direction: Direction,
    most_at_once: usize,
    continue_on_error: bool,
}

impl Migrator {
    /// Takes migrations in any order.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a migration that is incomplete or there twice, [`Error::Cycle`].
    pub fn new(
        engine: Arc<Engine>,
        settings: Settings,
        migrations: Vec<Migration>,
        host: Arc<dyn Host>,
    ) -> Result<Self, Error> {
        for migration in &migrations {
            let named = |error: Error| match error {
                Error::Invalid(problem) if migration.file.is_some() => {
                    Error::Invalid(format!("{}: {problem}", migration.label()))
                }
                error => error,
            };
            migration.check().map_err(named)?;
        }
        Ok(Self { engine, settings, migrations: graph::ordered(migrations)?, host })
    }

    /// The migrations in the order in which they are applied.
    pub fn migrations(&self) -> &[Migration] {
        &self.migrations
    }

    /// Applies what is pending.
    ///
    /// # Errors
    /// Before anything has run where the plan is not sound; [`Error::Failed`] where migrations failed and not all errors
    /// are to be passed over.
    pub async fn migrate(&self, options: &MigrateOptions) -> Result<Status, Error> {
        let scope = || {
            Scope::new(&self.settings, options.target_schemas.as_deref(), options.target_clusters.as_deref())
        };
        let locks = self.lock(&scope()?, options.dry_run != DryRun::No).await?;
        let known = self.look(&scope()?, true).await?;
        self.settle_prepared(&known, options.dry_run).await?;
        let known = if self.has_atomic() { self.look(&scope()?, true).await? } else { known };
        self.check_sums(&known, options.dry_run).await?;
        self.warn_of_homeless();
        let planner = self.planner(&known.history, scope()?);
        let units = planner.pending(options.target_version.as_deref(), options.force, options.resume)?;
        if options.dry_run != DryRun::No {
            let executes = options.dry_run == DryRun::Execute;
            return self.tell_plan(&known, &scope()?, &units, Direction::Up, executes).await;
        }
        if options.create_checkpoint {
            self.create_checkpoints(&known, &units).await?;
        }
        let run = Run {
            direction: Direction::Up,
            most_at_once: if options.parallel { options.max_parallel.max(1) } else { 1 },
            continue_on_error: options.continue_on_error,
        };
        let failures = self.carry_out(&known, &units, &run, &locks).await?;
        self.finish(&scope()?, failures, options.continue_on_error, locks).await
    }

    /// Takes back what was applied, last first.
    ///
    /// # Errors
    /// As of [`Self::migrate`].
    pub async fn rollback(&self, options: &RollbackOptions) -> Result<Status, Error> {
        let scope = || {
            Scope::new(&self.settings, options.target_schemas.as_deref(), options.target_clusters.as_deref())
        };
        let locks = self.lock(&scope()?, options.dry_run != DryRun::No).await?;
        let known = self.look(&scope()?, true).await?;
        self.settle_prepared(&known, options.dry_run).await?;
        let known = if self.has_atomic() { self.look(&scope()?, true).await? } else { known };
        self.check_sums(&known, options.dry_run).await?;
        let planner = self.planner(&known.history, scope()?);
        let target = options.target_version.as_deref();
        let units = planner.rollback(target, options.steps, options.force, options.resume)?;
        if options.dry_run != DryRun::No {
            let executes = options.dry_run == DryRun::Execute;
            return self.tell_plan(&known, &scope()?, &units, Direction::Down, executes).await;
        }
        let run = Run { direction: Direction::Down, most_at_once: 1, continue_on_error: options.force };
        let failures = self.carry_out(&known, &units, &run, &locks).await?;
        self.finish(&scope()?, failures, false, locks).await
    }

    /// Counts what is applied and pending, without changing anything.
    ///
    /// # Errors
    /// [`Error::Invalid`] for unknown names, [`Error::Database`].
    pub async fn status(
        &self,
        schemas: Option<&[String]>,
        clusters: Option<&[String]>,
    ) -> Result<Status, Error> {
        let scope = Scope::new(&self.settings, schemas, clusters)?;
        let known = self.look(&scope, false).await?;
        Ok(Status::count(&self.migrations, &self.settings, &known.history, &scope))
    }

    /// Tells of each migration at each place, without changing anything.
    ///
    /// # Errors
    /// As of [`Self::status`].
    pub async fn reports(
        &self,
        schemas: Option<&[String]>,
        clusters: Option<&[String]>,
    ) -> Result<Vec<Report>, Error> {
        let scope = Scope::new(&self.settings, schemas, clusters)?;
        let known = self.look(&scope, false).await?;
        Ok(reports(&self.migrations, &self.settings, &known.history, &scope))
    }

    pub(super) fn planner<'a>(&'a self, history: &'a History, scope: Scope<'a>) -> Planner<'a> {
        Planner { settings: &self.settings, migrations: &self.migrations, history, scope }
    }

    /// Locks the clusters of a scope, always in the same order, so that runners never wait for each other in a circle.
    pub(super) async fn lock(&self, scope: &Scope<'_>, is_dry: bool) -> Result<Vec<ClusterLock>, Error> {
        let ids: BTreeSet<&str> = self.settings.clusters.iter().map(|cluster| cluster.id.as_str()).collect();
        let mut locks = Vec::new();
        for id in ids.into_iter().filter(|id| !is_dry && scope.has_cluster(id)) {
            if self.connections_of(id) < 2 {
                let problem = "migrations need two connections: one holds the lock, the other migrates";
                return Err(Error::Invalid(format!("cluster {id}: connectionPool.max is 1, and {problem}")));
            }
            locks.push(ClusterLock::acquire(&self.engine, id, &self.settings, &*self.host).await?);
        }
        Ok(locks)
    }

    /// The most connections to the primary of a cluster.
    fn connections_of(&self, cluster: &str) -> usize {
        let metrics = self.engine.metrics();
        let figures = metrics.clusters.iter().find(|figures| &*figures.id == cluster);
        figures.and_then(|figures| figures.servers.first()).map_or(usize::MAX, |server| server.max)
    }

    /// Reads the history of all clusters: dependencies may lie outside of a scope.
    pub(super) async fn look(&self, scope: &Scope<'_>, creates: bool) -> Result<Known, Error> {
        let mut known = Known { controls: HashMap::new(), history: History::default() };
        for cluster in &self.settings.clusters {
            let database = Database::open(&self.engine, &cluster.id).await?;
            let may_create =
                creates && (self.settings.auto_create_migrations_table || scope.has_cluster(&cluster.id));
            let control = Control::locate(&database, &self.settings, may_create).await?;
            if let Some(control) = control {
                known.history.read(&database, &control, &self.settings).await?;
                known.controls.insert(Arc::clone(database.cluster()), control);
            }
        }
        Ok(known)
    }

    fn has_atomic(&self) -> bool {
        self.migrations.iter().any(|migration| migration.atomic)
    }

    async fn settle_prepared(&self, known: &Known, dry_run: DryRun) -> Result<(), Error> {
        if dry_run != DryRun::No || !self.has_atomic() {
            return Ok(());
        }
        let workshop = self.workshop(known);
        for cluster in known.controls.keys() {
            workshop.settle_prepared(cluster).await?;
        }
        Ok(())
    }

    /// Refuses migrations that were changed, and adopts those of which nobody can tell.
    async fn check_sums(&self, known: &Known, dry_run: DryRun) -> Result<(), Error> {
        if !self.settings.validate_checksums {
            return Ok(());
        }
        for (place, migration) in known.history.check_sums(&self.migrations)? {
            let message = format!(
                "Migration {} was applied on {place} by pg-multiverse, whose checksum of a TypeScript file cannot be \
                 computed again: {} is taken to be unchanged",
                migration.version,
                migration.label()
            );
            self.host.tell(Event::Warning { message });
            let Some(control) = known.controls.get(&place.cluster).filter(|_| dry_run == DryRun::No) else {
                continue;
            };
            let mut row = StateRow::new(&migration.version, place, Standing::Adopted, Direction::Up);
            row.checksum = Some(super::checksum::of_migration(migration));
            let database = Database::open(&self.engine, &place.cluster).await?;
            let (history, runner) = (&self.settings.migrations_table, &self.settings.runner);
            let written = row.write(&database, control, history, runner).await;
            written.map_err(|source| super::database::failed("adopting a checksum", source))?;
        }
        Ok(())
    }

    /// Schemas that no cluster has are left out, as with pg-multiverse, but not in silence.
    fn warn_of_homeless(&self) {
        for migration in &self.migrations {
            if places_of(migration, &self.settings).is_empty() {
                let message = format!(
                    "Migration {} belongs to no configured cluster: {}",
                    migration.version,
                    migration.target_schemas.join(", ")
                );
                self.host.tell(Event::Warning { message });
            }
        }
    }

    pub(super) fn workshop<'a>(&'a self, known: &'a Known) -> Workshop<'a> {
        Workshop {
            engine: &self.engine,
            settings: &self.settings,
            host: &*self.host,
            controls: &known.controls,
            connections: Mutex::default(),
        }
    }

    async fn tell_plan(
        &self,
        known: &Known,
        scope: &Scope<'_>,
        units: &[Unit],
        direction: Direction,
        executes: bool,
    ) -> Result<Status, Error> {
        let mut status = Status::count(&self.migrations, &self.settings, &known.history, scope);
        let mut steps = Vec::new();
        for unit in units {
            let Some(migration) = self.migrations.get(unit.migration) else { continue };
            steps.extend(unit.places.iter().map(|place| PlanStep {
                version: migration.version.clone(),
                name: migration.name.clone(),
                place: place.clone(),
                direction,
                transaction: migration.transaction,
                executed: None,
            }));
        }
        if executes {
            self.try_out(&self.workshop(known), units, direction, &mut steps).await?;
        }
        status.plan = Some(steps);
        Ok(status)
    }

    async fn create_checkpoints(&self, known: &Known, units: &[Unit]) -> Result<(), Error> {
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
    async fn carry_out(
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
        Ok(failures)
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
        let outcome = match tasks.as_slice() {
            [task] => workshop.carry_out(*task).await,
            tasks => workshop.carry_out_together(tasks).await,
        };
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
        let failure = |place: &super::definition::Place| Failure {
            version: migration.version.clone(),
            name: migration.name.clone(),
            place: place.clone(),
            error: error.clone(),
        };
        unit.places.iter().map(failure).collect()
    }

    /// Looks once more, while the locks are held.
    async fn finish(
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

pub(super) fn thrown_by(error: &Error) -> Option<u32> {
    match error {
        Error::Script(script) => script.thrown,
        _ => None,
    }
}

/// Whether a migration can be tried out without effects outside of the database.
pub(super) fn can_be_tried(migration: &Migration) -> bool {
    migration.transaction && matches!(migration.source, Source::Sql(_))
}
