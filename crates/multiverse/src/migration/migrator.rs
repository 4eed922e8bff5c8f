//! The door to migrations: applies them, takes them back, and tells where they stand.

use std::sync::{Arc, Mutex};

use super::apply::Workshop;
use super::definition::Migration;
use super::error::Error;
use super::graph;
use super::history::History;
use super::host::{Direction, Host};
use super::plan::{Planner, Scope};
use super::run::Run;
use super::settings::{DryRun, MigrateOptions, RollbackOptions, Settings};
use super::status::{Report, Status, reports};
use super::survey::Known;
use crate::engine::Engine;

/// Migrates the schemas of an engine's clusters.
pub struct Migrator {
    pub(super) engine: Arc<Engine>,
    pub(super) settings: Settings,
    /// In the order in which they are applied.
    pub(super) migrations: Vec<Migration>,
    pub(super) host: Arc<dyn Host>,
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
        let known = self.settled(known, &scope()?, options.dry_run).await?;
        self.check_sums(&known, options.dry_run).await?;
        self.warn_of_homeless();
        let planner = self.planner(&known.history, scope()?);
        let units = planner.pending(options.target_version.as_deref(), options.force, options.resume)?;
        self.lint_pending(&units).await?;
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
        let known = self.settled(known, &scope()?, options.dry_run).await?;
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

    pub(super) fn workshop<'a>(&'a self, known: &'a Known) -> Workshop<'a> {
        Workshop {
            engine: &self.engine,
            settings: &self.settings,
            host: &*self.host,
            controls: &known.controls,
            connections: Mutex::default(),
        }
    }
}
