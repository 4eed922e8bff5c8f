//! What is known of the clusters before anything runs: their locks, histories and checksums, and what a plan comes to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::atomic::prepared_on;
use super::control::Control;
use super::database::Database;
use super::error::Error;
use super::history::History;
use super::host::{Direction, Event};
use super::lock::ClusterLock;
use super::migrator::Migrator;
use super::plan::{Scope, places_of};
use super::settings::DryRun;
use super::state::{Standing, StateRow};
use super::status::{PlanStep, Status};
use super::unit::Unit;

/// What a run knows of the clusters.
pub(super) struct Known {
    pub(super) controls: HashMap<Arc<str>, Control>,
    pub(super) history: History,
    /// Transactions that were prepared and not ended, with their clusters.
    prepared: Vec<(Arc<str>, String)>,
}

impl Migrator {
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
    pub(super) fn connections_of(&self, cluster: &str) -> usize {
        let metrics = self.engine.metrics();
        let figures = metrics.clusters.iter().find(|figures| &*figures.id == cluster);
        figures.and_then(|figures| figures.servers.first()).map_or(usize::MAX, |server| server.max)
    }

    /// Reads the history of all clusters: dependencies may lie outside of a scope.
    pub(super) async fn look(&self, scope: &Scope<'_>, creates: bool) -> Result<Known, Error> {
        let mut known = Known { controls: HashMap::new(), history: History::default(), prepared: Vec::new() };
        for cluster in &self.settings.clusters {
            let database = Database::open(&self.engine, &cluster.id).await?;
            let may_create =
                creates && (self.settings.auto_create_migrations_table || scope.has_cluster(&cluster.id));
            let control = Control::locate(&database, &self.settings, may_create).await?;
            if let Some(control) = control {
                known.history.read(&database, &control, &self.settings).await?;
                let prepared = prepared_on(&database, &self.settings).await?;
                known
                    .prepared
                    .extend(prepared.into_iter().map(|name| (Arc::clone(database.cluster()), name)));
                known.controls.insert(Arc::clone(database.cluster()), control);
            }
        }
        Ok(known)
    }

    /// What is known once the transactions of runners that have died are ended: they hold locks on what migrations change.
    pub(super) async fn settled(
        &self,
        known: Known,
        scope: &Scope<'_>,
        dry_run: DryRun,
    ) -> Result<Known, Error> {
        // Elsewhere others may be at work, whose locks are not looked at.
        let is_ours = |found: &&(Arc<str>, String)| scope.has_cluster(&found.0);
        let found: Vec<_> = known.prepared.iter().filter(is_ours).cloned().collect();
        let Some((cluster, _)) = found.first().filter(|_| dry_run != DryRun::Plan) else { return Ok(known) };
        if dry_run == DryRun::Execute {
            return Err(Error::Invalid(format!(
                "cluster {cluster} holds a transaction that a runner had prepared when it died, and with it locks: end it by \
                 migrating, before anything is tried out"
            )));
        }
        let workshop = self.workshop(&known);
        for (cluster, name) in &found {
            workshop.settle_prepared(cluster, name).await?;
        }
        self.look(scope, true).await
    }

    /// Refuses migrations that were changed, and adopts those of which nobody can tell.
    pub(super) async fn check_sums(&self, known: &Known, dry_run: DryRun) -> Result<(), Error> {
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
            let is_half_done = known
                .history
                .state(place, &migration.version)
                .is_some_and(|state| state.standing.is_half_done());
            let may_write = dry_run == DryRun::No && !is_half_done;
            let Some(control) = known.controls.get(&place.cluster).filter(|_| may_write) else {
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
    pub(super) fn warn_of_homeless(&self) {
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

    pub(super) async fn tell_plan(
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
}
