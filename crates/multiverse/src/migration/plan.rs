//! Plans: which migrations are to be applied, or taken back, where and in which order.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::checksum;
use super::definition::{Migration, Place, compare_versions};
use super::error::Error;
use super::history::History;
use super::host::Direction;
use super::settings::Settings;
use super::unit::Unit;

/// Which schemas and clusters a call is about.
pub(crate) struct Scope<'a> {
    schemas: Option<&'a [String]>,
    clusters: Option<&'a [String]>,
}

impl<'a> Scope<'a> {
    /// An empty list means all, as with pg-multiverse.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that no cluster has.
    pub(crate) fn new(
        settings: &Settings,
        schemas: Option<&'a [String]>,
        clusters: Option<&'a [String]>,
    ) -> Result<Self, Error> {
        let (schemas, clusters) =
            (schemas.filter(|list| !list.is_empty()), clusters.filter(|list| !list.is_empty()));
        let is_known = |name: &&String| settings.clusters.iter().any(|cluster| stands_for(name, &cluster.id));
        if let Some(unknown) = clusters.unwrap_or_default().iter().find(|id| !is_known(id)) {
            return Err(Error::Invalid(format!("Cluster not found: {unknown}")));
        }
        let has_home =
            |schema: &&String| settings.clusters.iter().any(|cluster| cluster.schemas.contains(schema));
        if let Some(homeless) = schemas.unwrap_or_default().iter().find(|schema| !has_home(schema)) {
            return Err(Error::Invalid(format!("No cluster configured for schema: {homeless}")));
        }
        Ok(Self { schemas, clusters })
    }

    #[cfg(test)]
    pub(crate) fn all() -> Self {
        Self { schemas: None, clusters: None }
    }

    pub(crate) fn has_cluster(&self, cluster: &str) -> bool {
        self.clusters.is_none_or(|list| list.iter().any(|name| stands_for(name, cluster)))
    }

    pub(crate) fn has(&self, place: &Place) -> bool {
        self.has_cluster(&place.cluster)
            && self.schemas.is_none_or(|list| list.iter().any(|each| **each == *place.schema))
    }
}

/// The places of a migration in the order of the clusters. A schema that no cluster has is looked for where the migration
/// itself says.
pub(crate) fn places_of(migration: &Migration, settings: &Settings) -> Vec<Place> {
    let wants = |id: &str| {
        let named = migration.target_clusters.as_deref().unwrap_or_default();
        named.is_empty() || named.iter().any(|name| stands_for(name, id))
    };
    let is_homeless = |schema: &String| !settings.clusters.iter().any(|each| each.schemas.contains(schema));
    let has_named = migration.target_clusters.as_ref().is_some_and(|list| !list.is_empty());
    let mut places = Vec::new();
    for cluster in settings.clusters.iter().filter(|cluster| wants(&cluster.id)) {
        for schema in &migration.target_schemas {
            if cluster.schemas.contains(schema) || (has_named && is_homeless(schema)) {
                let (schema, cluster) = (Arc::from(schema.as_str()), Arc::from(cluster.id.as_str()));
                let place = Place { schema, cluster };
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
    }
    places
}

/// Whether a name is that of a cluster, or of the cluster whose shard it is.
fn stands_for(name: &str, cluster: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let shard = || cluster.strip_prefix(name)?.strip_prefix('/');
    name == cluster || shard().is_some_and(is_number)
}

/// What plans are made from. The migrations stand in their order.
pub(crate) struct Planner<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) migrations: &'a [Migration],
    pub(crate) history: &'a History,
    pub(crate) scope: Scope<'a>,
}

/// Refuses a target that is none of the known versions, no time and not 0.
pub(super) fn refuse_unknown<'v>(
    target: &str,
    mut known: impl Iterator<Item = &'v str>,
) -> Result<(), Error> {
    let digits = target.bytes().enumerate().filter(|(at, byte)| (*at, *byte) != (DAY_DIGITS, b'T'));
    let is_time =
        digits.clone().count() == TIME_DIGITS && digits.into_iter().all(|(_, byte)| byte.is_ascii_digit());
    if target == "0" || is_time || known.any(|version| is_named(version, target)) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "Migration {target} not found: name a version, its time (YYYYMMDDHHMMSS), or 0 for before the first"
    )))
}

impl Planner<'_> {
    /// What is to be applied.
    ///
    /// # Errors
    /// Of the target, of the order, of dependencies, or of what stopped half-way.
    pub(crate) fn pending(
        &self,
        target: Option<&str>,
        force: bool,
        resume: bool,
    ) -> Result<Vec<Unit>, Error> {
        self.refuse_half_done(resume.then_some(Direction::Up))?;
        self.refuse_unknown(target)?;
        let mut units = Vec::new();
        for (at, migration) in self.migrations.iter().enumerate() {
            if target.is_some_and(|target| is_after(&migration.version, target)) {
                continue;
            }
            let places = places_of(migration, self.settings).into_iter();
            let is_pending = |place: &Place| !self.history.is_applied(place, &migration.version);
            let places: Vec<Place> =
                places.filter(|place| self.scope.has(place) && is_pending(place)).collect();
            for place in &places {
                self.check_order(at, migration, place)?;
            }
            units.extend(grouped(at, migration, places));
        }
        link_places(&mut units);
        if !force {
            self.link_dependencies(&mut units)?;
        }
        Ok(units)
    }

    /// A target is a version that is there or was applied, a time, or 0 for before the first. Of anything else, as a name with
    /// a slip in it, nobody knows which migrations are meant: compared as a text it could be before or after all of them.
    fn refuse_unknown(&self, target: Option<&str>) -> Result<(), Error> {
        let Some(target) = target else { return Ok(()) };
        let applied = self.history.applied.values().flatten().map(|applied| applied.version.as_str());
        refuse_unknown(target, self.migrations.iter().map(|each| each.version.as_str()).chain(applied))
    }

    /// What is to be taken back, last first.
    ///
    /// # Errors
    /// For a target or a migration that is not there, or one that others need, without `force`.
    pub(crate) fn rollback(
        &self,
        target: Option<&str>,
        steps: u32,
        force: bool,
        resume: bool,
    ) -> Result<Vec<Unit>, Error> {
        self.refuse_half_done(resume.then_some(Direction::Down))?;
        self.refuse_unknown(target)?;
        let numbers: HashMap<&str, usize> =
            self.migrations.iter().enumerate().map(|(at, each)| (each.version.as_str(), at)).collect();
        let mut chosen: HashMap<usize, Vec<Place>> = HashMap::new();
        for place in self.known_places() {
            let order = self.applied_in_order(&place, &numbers);
            let chosen_here =
                order.iter().rev().filter(|version| target.is_none_or(|target| is_after(version, target)));
            let limit = if target.is_some() { usize::MAX } else { steps as usize };
            for version in chosen_here.take(limit) {
                match numbers.get(version) {
                    Some(at) => {
                        // Once it is marked as being taken back, nothing but a repair would lead on.
                        self.migrations.get(*at).map_or(Ok(()), Migration::check_reversible)?;
                        chosen.entry(*at).or_default().push(place.clone());
                    }
                    None if force => {}
                    None => {
                        return Err(Error::Invalid(format!("Migration {version} not found for rollback")));
                    }
                }
            }
        }
        let mut units = Vec::new();
        for (at, migration) in self.migrations.iter().enumerate().rev() {
            units.extend(grouped(at, migration, chosen.remove(&at).unwrap_or_default()));
        }
        link_places(&mut units);
        if !force {
            self.refuse_needed(&units)?;
        }
        Ok(units)
    }

    /// The places in the scope at which something was applied, in the order of the clusters and of their schemas.
    fn known_places(&self) -> Vec<Place> {
        let mut places: Vec<Place> =
            self.history.applied.keys().filter(|place| self.scope.has(place)).cloned().collect();
        let rank =
            |place: &Place| self.settings.clusters.iter().position(|cluster| *cluster.id == *place.cluster);
        places.sort_by(|one, other| rank(one).cmp(&rank(other)).then_with(|| one.cmp(other)));
        places
    }

    /// The versions that were applied at a place, in the order of all migrations. Those of which nothing else is known
    /// stand where their version belongs.
    fn applied_in_order(&self, place: &Place, numbers: &HashMap<&str, usize>) -> Vec<&str> {
        let applied = self.history.applied.get(place).map(Vec::as_slice).unwrap_or_default();
        let (mut known, unknown): (Vec<&str>, Vec<&str>) = applied
            .iter()
            .map(|each| each.version.as_str())
            .partition(|version| numbers.contains_key(version));
        known.sort_by_key(|version| numbers.get(version));
        for version in unknown {
            let at = known.iter().position(|each| is_after(each, version)).unwrap_or(known.len());
            known.insert(at, version);
        }
        known
    }

    fn refuse_half_done(&self, resumed: Option<Direction>) -> Result<(), Error> {
        let mut found: Vec<_> =
            self.history.half_done().filter(|state| self.scope.has(&state.place)).collect();
        found.sort_by(|one, other| (&one.place, &one.version).cmp(&(&other.place, &other.version)));
        for state in found {
            let (version, place) = (state.version.clone(), state.place.clone());
            let migration = self.migrations.iter().find(|each| each.version == version);
            let Some(migration) = migration.filter(|_| Some(state.direction) == resumed) else {
                let (direction, what) = (state.direction, state.description());
                return Err(Error::HalfDone { version, place, direction, what });
            };
            let sql = migration.sql(state.direction)?;
            if sql.is_some_and(|sql| checksum::has_other_beginning(state, sql)) {
                return Err(Error::Invalid(format!(
                    "Migration {version} cannot be continued on {place}: the {} statement(s) that have run are not those with \
                     which it begins now. Put them back as they were, or settle it with repair (pgm repair)",
                    state.statement
                )));
            }
        }
        Ok(())
    }

    /// One that failed while others went on is no surprise.
    fn check_order(&self, at: usize, migration: &Migration, place: &Place) -> Result<(), Error> {
        if self.settings.allow_out_of_order || self.history.has_failed(place, &migration.version) {
            return Ok(());
        }
        let is_resumed = self.history.half_done_at(place, &migration.version, Direction::Up).is_some();
        let later = self.migrations.iter().skip(at + 1).rev();
        match later.map(|each| &each.version).find(|version| self.history.is_applied(place, version)) {
            Some(applied) if !is_resumed => Err(Error::OutOfOrder {
                version: migration.version.clone(),
                applied: applied.clone(),
                place: place.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Where a migration and what it depends on share a place, that place counts; else all places do.
    fn link_dependencies(&self, units: &mut [Unit]) -> Result<(), Error> {
        let by_version: HashMap<&str, usize> =
            self.migrations.iter().enumerate().map(|(at, each)| (each.version.as_str(), at)).collect();
        let planned: HashMap<(usize, Place), usize> = units
            .iter()
            .enumerate()
            .flat_map(|(number, unit)| {
                unit.places.iter().map(move |place| ((unit.migration, place.clone()), number))
            })
            .collect();
        for unit in units {
            let Some(migration) = self.migrations.get(unit.migration) else { continue };
            for dependency in &migration.dependencies {
                let version = || migration.version.clone();
                let needed =
                    by_version.get(dependency.as_str()).and_then(|at| Some((*at, self.migrations.get(*at)?)));
                let Some((at, needed)) = needed else {
                    return Err(Error::MissingDependency {
                        version: version(),
                        dependency: dependency.clone(),
                    });
                };
                for place in needed_places(unit, &places_of(needed, self.settings)) {
                    if self.history.is_applied(&place, dependency) {
                        continue;
                    }
                    match planned.get(&(at, place.clone())) {
                        Some(number) => unit.needs.push(*number),
                        None => {
                            let dependency = dependency.clone();
                            return Err(Error::UnappliedDependency { version: version(), dependency, place });
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Nothing that stays applied may need what is taken back.
    fn refuse_needed(&self, units: &[Unit]) -> Result<(), Error> {
        let taken: HashSet<(&str, &Place)> = units
            .iter()
            .filter_map(|unit| Some((self.migrations.get(unit.migration)?, unit)))
            .flat_map(|(migration, unit)| unit.places.iter().map(|place| (migration.version.as_str(), place)))
            .collect();
        for dependent in self.migrations {
            for place in places_of(dependent, self.settings) {
                let stays = self.history.is_applied(&place, &dependent.version)
                    && !taken.contains(&(dependent.version.as_str(), &place));
                let needed = |(version, at): &&(&str, &Place)| {
                    let is_named = dependent.dependencies.iter().any(|each| each == version);
                    is_named && (**at == place || !self.history.is_applied(&place, version))
                };
                if let Some((version, at)) = taken.iter().find(needed).filter(|_| stays) {
                    return Err(Error::Invalid(format!(
                        "Migration {version} cannot be taken back on {at}: {} on {place} depends on it",
                        dependent.version
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The digits of a time, with which versions begin.
const TIME_DIGITS: usize = 14;
/// The digits of the day, behind which a `T` may stand.
const DAY_DIGITS: usize = 8;

/// Whether a version is later than what somebody named.
pub(crate) fn is_after(version: &str, target: &str) -> bool {
    !is_named(version, target) && compare_versions(version, target).is_gt()
}

/// Whether somebody names this version: its time alone does so too.
pub(crate) fn is_named(version: &str, name: &str) -> bool {
    version.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

fn needed_places(unit: &Unit, places: &[Place]) -> Vec<Place> {
    let shared: Vec<Place> = places.iter().filter(|place| unit.places.contains(place)).cloned().collect();
    if shared.len() == unit.places.len() { shared } else { places.to_vec() }
}

/// A step for each place, or one for all of them.
fn grouped(at: usize, migration: &Migration, places: Vec<Place>) -> Vec<Unit> {
    let unit = |places| Unit { migration: at, places, needs: Vec::new(), follows: Vec::new() };
    if migration.atomic && !places.is_empty() {
        return vec![unit(places)];
    }
    places.into_iter().map(|place| unit(vec![place])).collect()
}

/// Each step follows the last one before it at each of its places.
fn link_places(units: &mut [Unit]) {
    let mut last: HashMap<Place, usize> = HashMap::new();
    for (number, unit) in units.iter_mut().enumerate() {
        for place in &unit.places {
            unit.follows.extend(last.insert(place.clone(), number).filter(|before| *before != number));
        }
    }
}

#[cfg(test)]
mod tests;
