//! The history of a cluster: which migrations were applied there, and what became of the others.

use std::collections::HashMap;
use std::sync::Arc;

use super::checksum;
use super::control::Control;
use super::database::{Database, text, time_in_utc};
use super::definition::{Migration, Place};
use super::error::Error;
use super::host::Direction;
use super::settings::Settings;
use super::state::{Standing, StateRow};

/// A migration that was applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Applied {
    pub(crate) version: String,
    pub(crate) name: String,
    pub(crate) checksum: String,
    /// When, in UTC, as ISO 8601 writes it.
    pub(crate) executed_at: String,
    /// Milliseconds.
    pub(crate) execution_time: i64,
    pub(crate) batch: Option<i64>,
}

/// What is known of all clusters.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) applied: HashMap<Place, Vec<Applied>>,
    pub(crate) states: HashMap<(Place, String), StateRow>,
    /// The greatest batch of each cluster.
    pub(crate) batches: HashMap<Arc<str>, i64>,
}

impl History {
    /// Adds what one cluster knows.
    pub(crate) async fn read(
        &mut self,
        database: &Database,
        control: &Control,
        settings: &Settings,
    ) -> Result<(), Error> {
        let cluster = database.cluster();
        let sql = format!(
            "SELECT version, name, schema_name, checksum, {}, execution_time::text, batch::text \
             FROM {} WHERE cluster_id = $1 ORDER BY version, schema_name",
            time_in_utc("executed_at"),
            control.history
        );
        let rows = database.query("reading the history", &sql, &[Some(cluster)]).await?;
        for row in rows {
            let place = Place { schema: Arc::from(text(&row, 2)), cluster: Arc::clone(cluster) };
            let batch = text(&row, 6).parse().ok();
            let greatest = self.batches.entry(Arc::clone(cluster)).or_default();
            *greatest = (*greatest).max(batch.unwrap_or_default());
            self.applied.entry(place).or_default().push(Applied {
                version: text(&row, 0).to_owned(),
                name: text(&row, 1).to_owned(),
                checksum: text(&row, 3).to_owned(),
                executed_at: text(&row, 4).to_owned(),
                execution_time: text(&row, 5).parse().unwrap_or_default(),
                batch,
            });
        }
        for state in StateRow::read_all(database, control, &settings.migrations_table).await? {
            self.states.insert((state.place.clone(), state.version.clone()), state);
        }
        Ok(())
    }

    pub(crate) fn is_applied(&self, place: &Place, version: &str) -> bool {
        self.find(place, version).is_some()
    }

    pub(crate) fn find(&self, place: &Place, version: &str) -> Option<&Applied> {
        self.applied.get(place)?.iter().find(|applied| applied.version == version)
    }

    pub(crate) fn state(&self, place: &Place, version: &str) -> Option<&StateRow> {
        self.states.get(&(place.clone(), version.to_owned()))
    }

    /// Whether a migration failed there and left nothing behind.
    pub(crate) fn has_failed(&self, place: &Place, version: &str) -> bool {
        self.state(place, version).is_some_and(|state| state.standing == Standing::Failed)
    }

    /// Migrations that stopped half-way.
    pub(crate) fn half_done(&self) -> impl Iterator<Item = &StateRow> {
        self.states.values().filter(|state| state.standing.is_half_done())
    }

    /// The half-done migration, which was being applied, or taken back.
    pub(crate) fn half_done_at(
        &self,
        place: &Place,
        version: &str,
        direction: Direction,
    ) -> Option<&StateRow> {
        self.state(place, version)
            .filter(|state| state.standing.is_half_done() && state.direction == direction)
    }

    /// Compares checksums. Gives those that nobody can compare, which are to be adopted.
    ///
    /// # Errors
    /// [`Error::Changed`] for the first that differs.
    pub(crate) fn check_sums<'a>(
        &'a self,
        migrations: &'a [Migration],
    ) -> Result<Vec<(&'a Place, &'a Migration)>, Error> {
        let by_version: HashMap<&str, &Migration> =
            migrations.iter().map(|migration| (migration.version.as_str(), migration)).collect();
        let mut unknown = Vec::new();
        for (place, applied) in &self.applied {
            for applied in applied {
                let Some(migration) = by_version.get(applied.version.as_str()) else { continue };
                match self.compare(place, applied, migration) {
                    Likeness::Same => {}
                    Likeness::Unknowable => unknown.push((place, *migration)),
                    Likeness::Changed(error) => return Err(error),
                }
            }
        }
        Ok(unknown)
    }

    /// What says that a migration was changed after it was applied at a place, if it was.
    pub(crate) fn change(&self, place: &Place, migration: &Migration) -> Option<Error> {
        match self.compare(place, self.find(place, &migration.version)?, migration) {
            Likeness::Changed(error) => Some(error),
            Likeness::Same | Likeness::Unknowable => None,
        }
    }

    fn compare(&self, place: &Place, applied: &Applied, migration: &Migration) -> Likeness {
        if checksum::fits(migration, &applied.checksum) {
            return Likeness::Same;
        }
        // One that stopped while it was taken back keeps the sum that was adopted before.
        let adopted = self
            .state(place, &applied.version)
            .and_then(|state| state.checksum.as_deref())
            .filter(|sum| checksum::is_adopted(sum));
        match adopted {
            Some(adopted) if checksum::fits(migration, adopted) => Likeness::Same,
            None if checksum::is_unknowable(migration, &applied.checksum) => Likeness::Unknowable,
            _ => Likeness::Changed(Error::Changed {
                version: applied.version.as_str().into(),
                file: migration.label().into(),
                recorded: adopted.unwrap_or(&applied.checksum).into(),
                found: checksum::of_migration(migration).into(),
                place: place.clone(),
            }),
        }
    }
}

/// How a migration compares with what was applied.
enum Likeness {
    Same,
    /// The checksum is of a kind that nobody can reproduce.
    Unknowable,
    Changed(Error),
}
