//! The order of migrations: that of their versions, but each after those it depends on.

use std::collections::{BTreeSet, HashMap};

use super::definition::{Migration, compare_versions};
use super::error::Error;

/// Puts migrations into the order in which they are applied.
///
/// # Errors
/// [`Error::Invalid`] for a version that comes twice, [`Error::Cycle`].
pub(crate) fn ordered(mut migrations: Vec<Migration>) -> Result<Vec<Migration>, Error> {
    migrations.sort_by(|one, other| compare_versions(&one.version, &other.version));
    let twins =
        migrations.iter().zip(migrations.iter().skip(1)).find(|(one, other)| one.version == other.version);
    if let Some((one, other)) = twins {
        let (one_file, other_file) = (one.label(), other.label());
        let problem = format!("Migration {} is there twice: in {one_file} and in {other_file}", one.version);
        return Err(Error::Invalid(problem));
    }
    let order = order_of(&migrations)?;
    let mut places: Vec<Option<Migration>> = migrations.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|at| places.get_mut(at).and_then(Option::take)).collect())
}

fn order_of(migrations: &[Migration]) -> Result<Vec<usize>, Error> {
    let places: HashMap<&str, usize> =
        migrations.iter().enumerate().map(|(at, migration)| (migration.version.as_str(), at)).collect();
    // What does not exist is refused when it is needed.
    let needs: Vec<BTreeSet<usize>> = migrations
        .iter()
        .map(|migration| {
            migration
                .dependencies
                .iter()
                .filter_map(|version| places.get(version.as_str()).copied())
                .collect()
        })
        .collect();
    let mut open: BTreeSet<usize> = (0..migrations.len()).collect();
    let mut order = Vec::with_capacity(migrations.len());
    while let Some(next) = first_free(&open, &needs) {
        open.remove(&next);
        order.push(next);
    }
    if open.is_empty() { Ok(order) } else { Err(Error::Cycle(circle_in(&open, &needs, migrations))) }
}

/// The first that needs nothing that is still open.
fn first_free(open: &BTreeSet<usize>, needs: &[BTreeSet<usize>]) -> Option<usize> {
    let is_free = |at: &&usize| needs.get(**at).is_none_or(|needs| needs.is_disjoint(open));
    open.iter().find(is_free).copied()
}

/// Goes from one migration to what it needs until it comes back.
fn circle_in(open: &BTreeSet<usize>, needs: &[BTreeSet<usize>], migrations: &[Migration]) -> Vec<String> {
    let mut way: Vec<usize> = Vec::new();
    let mut at = open.first().copied();
    while let Some(here) = at {
        if let Some(start) = way.iter().position(|passed| *passed == here) {
            way.push(here);
            let circle = way.get(start..).unwrap_or_default().iter();
            return circle.filter_map(|at| migrations.get(*at)).map(|each| each.version.clone()).collect();
        }
        way.push(here);
        at = needs.get(here).and_then(|needs| needs.intersection(open).next().copied());
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migration(version: &str, dependencies: &[&str]) -> Migration {
        Migration {
            version: version.to_owned(),
            dependencies: dependencies.iter().map(|each| (*each).to_owned()).collect(),
            ..Migration::default()
        }
    }

    #[test]
    fn dependencies_come_first_and_else_versions_decide() {
        let found = ordered(vec![
            migration("3", &[]),
            migration("1", &["4"]),
            migration("2", &[]),
            migration("4", &[]),
        ]);
        let versions: Vec<_> = found.unwrap().into_iter().map(|each| each.version).collect();
        assert_eq!(versions, ["2", "3", "4", "1"]);
    }

    #[test]
    fn a_circle_is_named() {
        let error = ordered(vec![migration("1", &["3"]), migration("2", &["1"]), migration("3", &["2"])])
            .unwrap_err();
        assert_eq!(error.to_string(), "Migrations depend on each other in a circle: 1 -> 3 -> 2 -> 1");
    }

    #[test]
    fn a_version_that_comes_twice_is_refused() {
        assert!(ordered(vec![migration("1", &[]), migration("1", &[])]).is_err());
    }
}
