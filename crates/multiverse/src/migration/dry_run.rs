//! Trying a plan out: its SQL is run in transactions that are rolled back.

use std::collections::HashSet;
use std::sync::Arc;

use super::apply::{Task, Workshop};
use super::definition::{Migration, Source};
use super::error::{Error, Failure};
use super::host::Direction;
use super::migrator::Migrator;
use super::status::PlanStep;
use super::unit::Unit;

impl Migrator {
    /// Runs the steps of each cluster in one transaction, as far as they are SQL that can run in one. What comes after a
    /// step that was not run is not run either, as it may need that.
    pub(super) async fn try_out(
        &self,
        workshop: &Workshop<'_>,
        units: &[Unit],
        direction: Direction,
        steps: &mut [PlanStep],
    ) -> Result<(), Error> {
        let clusters: Vec<Arc<str>> =
            self.settings.clusters.iter().map(|each| Arc::from(each.id.as_str())).collect();
        for cluster in &clusters {
            let is_here = |unit: &&Unit| unit.places.iter().any(|place| place.cluster == *cluster);
            if units.iter().any(|unit| is_here(&unit)) {
                self.try_out_on(workshop, cluster, units, direction, steps).await?;
            }
        }
        Ok(())
    }

    async fn try_out_on(
        &self,
        workshop: &Workshop<'_>,
        cluster: &Arc<str>,
        units: &[Unit],
        direction: Direction,
        steps: &mut [PlanStep],
    ) -> Result<(), Error> {
        let (database, control) = workshop.take(cluster).await?;
        let mut has_begun = false;
        let mut left_out = HashSet::new();
        for unit in units {
            let Some(migration) = self.migrations.get(unit.migration) else { continue };
            for place in unit.places.iter().filter(|place| place.cluster == *cluster) {
                let step =
                    steps.iter_mut().find(|step| step.version == migration.version && step.place == *place);
                let is_tried = can_be_tried(migration) && !left_out.contains(place);
                if let Some(step) = step {
                    step.executed = Some(is_tried);
                }
                if !is_tried {
                    left_out.insert(place.clone());
                    continue;
                }
                let task = Task { migration, place, direction, batch: 0, resumed: None };
                let session = workshop.script_session(&database, control, task, false);
                let outcome = async {
                    if has_begun {
                        workshop.go_on(&session, task).await?;
                    } else {
                        workshop.begin(&session, task).await?;
                    }
                    workshop.run_body(&session, task).await
                };
                let outcome = outcome.await;
                has_begun = true;
                if let Err(error) = outcome {
                    database.run("ROLLBACK", &[]).await.ok();
                    let (version, name) = (migration.version.clone(), migration.name.clone());
                    return Err(Error::Failed(vec![Failure { version, name, place: place.clone(), error }]));
                }
            }
        }
        database.query("ending the dry run", "ROLLBACK", &[]).await.map(drop)
    }
}

/// Whether a migration can be tried out without effects outside of the database.
fn can_be_tried(migration: &Migration) -> bool {
    migration.transaction && matches!(migration.source, Source::Sql(_))
}
