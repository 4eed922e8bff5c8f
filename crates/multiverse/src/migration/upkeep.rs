//! Setting records right without running anything: repair, baseline and mark.

use super::apply::Task;
use super::checksum;
use super::database::Database;
use super::definition::{Migration, Place};
use super::error::Error;
use super::host::Direction;
use super::migrator::Migrator;
use super::plan::{Scope, is_after, is_named, places_of, refuse_unknown};
use super::settings::{DryRun, Resolution, UpkeepOptions};
use super::state::StateRow;
use super::status::Status;
use super::survey::Known;

impl Migrator {
    /// Settles migrations that stopped half-way as somebody has found them, and takes checksums as they are now.
    ///
    /// # Errors
    /// [`Error::Invalid`] where half-done migrations are found and `as` is not given, or for a version that nobody knows.
    pub async fn repair(&self, options: &UpkeepOptions) -> Result<Status, Error> {
        let scope = self.scope_of(options)?;
        let locks = self.lock(&scope, false).await?;
        let known = self.settled(self.look(&scope, true).await?, &scope, DryRun::No).await?;
        let is_meant = |version: &str| options.version.as_deref().is_none_or(|name| is_named(version, name));
        if let Some(unknown) = options.version.as_deref().filter(|name| !self.is_known(&known, name)) {
            return Err(Error::Invalid(format!("Migration {unknown} not found")));
        }
        let states: Vec<StateRow> = known
            .history
            .states
            .values()
            .filter(|state| scope.has(&state.place) && is_meant(&state.version))
            .cloned()
            .collect();
        for state in states.iter().filter(|state| state.standing.is_half_done()) {
            let Some(resolution) = options.r#as else {
                return Err(Error::HalfDone {
                    version: state.version.clone(),
                    place: state.place.clone(),
                    direction: state.direction,
                    what: format!("{}; say what it is by --as applied or --as pending", state.description()),
                });
            };
            self.set(&known, &state.version, &state.place, resolution).await?;
        }
        if options.checksums {
            self.refresh_sums(&known, &scope, &is_meant).await?;
        }
        let status = self.status_of(&scope).await;
        drop(locks);
        status
    }

    /// Records all migrations up to a version as applied, where they are not, without running them.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a version, or where no migration is as early as that.
    pub async fn baseline(&self, options: &UpkeepOptions) -> Result<Status, Error> {
        let Some(version) = options.version.as_deref() else {
            return Err(Error::Invalid("a baseline needs the version up to which all is there".to_owned()));
        };
        refuse_unknown(version, self.migrations.iter().map(|each| each.version.as_str()))?;
        let scope = self.scope_of(options)?;
        let covered: Vec<&Migration> =
            self.migrations.iter().filter(|each| !is_after(&each.version, version)).collect();
        if covered.is_empty() {
            return Err(Error::Invalid(format!("there is no migration up to {version}")));
        }
        let locks = self.lock(&scope, false).await?;
        let known = self.settled(self.look(&scope, true).await?, &scope, DryRun::No).await?;
        for migration in covered {
            for place in places_of(migration, &self.settings).iter().filter(|place| scope.has(place)) {
                if !known.history.is_applied(place, &migration.version) {
                    self.set(&known, &migration.version, place, Resolution::Applied).await?;
                }
            }
        }
        let status = self.status_of(&scope).await;
        drop(locks);
        status
    }

    /// Records one migration as applied or as pending, without running it.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a known version or without `as`.
    pub async fn mark(&self, options: &UpkeepOptions) -> Result<Status, Error> {
        let (Some(name), Some(resolution)) = (options.version.as_deref(), options.r#as) else {
            return Err(Error::Invalid(
                "mark needs a version, and whether it is applied or pending".to_owned(),
            ));
        };
        let scope = self.scope_of(options)?;
        let locks = self.lock(&scope, false).await?;
        let known = self.settled(self.look(&scope, true).await?, &scope, DryRun::No).await?;
        let version = &*self.version_of(name)?;
        let migration = self.migrations.iter().find(|each| each.version == version);
        let mut places = migration.map(|migration| places_of(migration, &self.settings)).unwrap_or_default();
        places.extend(
            known.history.applied.keys().filter(|place| known.history.is_applied(place, version)).cloned(),
        );
        places.retain(|place| scope.has(place));
        places.sort();
        places.dedup();
        if places.is_empty() {
            return Err(Error::Invalid(format!("Migration {version} not found")));
        }
        for place in &places {
            self.set(&known, version, place, resolution).await?;
        }
        let status = self.status_of(&scope).await;
        drop(locks);
        status
    }

    /// Whether a migration is called so, or was.
    fn is_known(&self, known: &Known, name: &str) -> bool {
        let mut versions = self.migrations.iter().map(|each| each.version.as_str());
        let mut applied = known.history.applied.values().flatten().map(|each| each.version.as_str());
        let mut noted = known.history.states.keys().map(|(_, version)| version.as_str());
        let is_meant = |version: &str| is_named(version, name);
        versions.any(is_meant) || applied.any(is_meant) || noted.any(is_meant)
    }

    /// The version that is called so, in full or by its time alone; the name itself where no migration is.
    fn version_of(&self, name: &str) -> Result<String, Error> {
        let versions = || self.migrations.iter().map(|each| &each.version);
        if versions().any(|version| version == name) {
            return Ok(name.to_owned());
        }
        let found: Vec<&String> = versions().filter(|version| is_named(version, name)).collect();
        match *found.as_slice() {
            [] => Ok(name.to_owned()),
            [version] => Ok(version.clone()),
            [one, other, ..] => Err(Error::Invalid(format!("{name} may be {one} or {other}"))),
        }
    }

    fn scope_of<'a>(&self, options: &'a UpkeepOptions) -> Result<Scope<'a>, Error> {
        Scope::new(&self.settings, options.target_schemas.as_deref(), options.target_clusters.as_deref())
    }

    async fn status_of(&self, scope: &Scope<'_>) -> Result<Status, Error> {
        let known = self.look(scope, false).await?;
        Ok(Status::count(&self.migrations, &self.settings, &known.history, scope))
    }

    /// Enters a migration into the history or takes it out, and forgets what else was noted of it.
    async fn set(&self, known: &Known, version: &str, place: &Place, to: Resolution) -> Result<(), Error> {
        let unknown =
            Migration { version: version.to_owned(), name: version.to_owned(), ..Migration::default() };
        let migration = self.migrations.iter().find(|each| each.version == version).unwrap_or(&unknown);
        let direction = if to == Resolution::Applied { Direction::Up } else { Direction::Down };
        if direction == Direction::Up && known.history.is_applied(place, version) {
            return self.forget_state(known, version, place).await;
        }
        let batch = known.history.batches.get(&place.cluster).copied().unwrap_or_default() + 1;
        let task = Task { migration, place, direction, batch, resumed: None };
        let workshop = self.workshop(known);
        let (database, control) = workshop.take(&place.cluster).await?;
        let session = workshop.script_session(&database, control, task, false);
        workshop.record(&session, task, std::time::Instant::now()).await
    }

    async fn forget_state(&self, known: &Known, version: &str, place: &Place) -> Result<(), Error> {
        let Some(control) = known.controls.get(&place.cluster) else { return Ok(()) };
        let database = Database::open(&self.engine, &place.cluster).await?;
        let sql = format!(
            "DELETE FROM {} WHERE history = $1 AND version = $2 AND schema_name = $3 AND cluster_id = $4 \
             AND state <> 'adopted'",
            control.state
        );
        let values = [
            Some(&*self.settings.migrations_table),
            Some(version),
            Some(&*place.schema),
            Some(&*place.cluster),
        ];
        database.query("settling the migration", &sql, &values).await.map(drop)
    }

    async fn refresh_sums(
        &self,
        known: &Known,
        scope: &Scope<'_>,
        is_meant: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<(), Error> {
        for (cluster, control) in &known.controls {
            let database = Database::open(&self.engine, cluster).await?;
            for migration in self.migrations.iter().filter(|migration| is_meant(&migration.version)) {
                let places = places_of(migration, &self.settings);
                for place in places.iter().filter(|place| scope.has(place) && place.cluster == *cluster) {
                    let sql = format!(
                        "UPDATE {} SET checksum = $1 WHERE version = $2 AND schema_name = $3 AND cluster_id = $4",
                        control.history
                    );
                    let sum = checksum::of_migration(migration);
                    let values =
                        [Some(&*sum), Some(&*migration.version), Some(&*place.schema), Some(&**cluster)];
                    database.query("renewing a checksum", &sql, &values).await?;
                }
            }
        }
        Ok(())
    }
}
