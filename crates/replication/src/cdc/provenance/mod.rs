//! Which rows of a target a rule has brought there. When the log of its source is lost, because a standby that has no slot was
//! promoted, this tells rows that were deleted at the source unseen from rows that the source never had.
//!
//! The keys that the source held at the checkpoint are kept with it, as a few sums for each table: taken when a first copy was
//! whole, and changed with every insert and delete. Compared with the keys that the target holds they say which rows are the
//! rule's, as long as it lacks none of them and either few were deleted or few are the application's own.

mod key_sums;
mod survey;

use indexmap::IndexMap;

use super::coalesce::{Net, RowChanges};
use super::routes::Route;
pub(super) use key_sums::KeySums;
pub(super) use survey::{Orphan, Survey, survey};

/// The keys that the source held at a checkpoint, by the names of its tables; of those for which that is known.
pub(super) type OwnRows = IndexMap<String, KeySums>;

/// Whether the log tells which keys a collection has: not where rows are left out by what they hold.
pub(super) fn is_told(route: &Route) -> bool {
    let mapping = &route.collection.mapping;
    let has_entities = mapping.source_discriminator.is_some() || mapping.target_discriminator.is_some();
    !mapping.is_choosy() && !has_entities
}

/// Follows the changes of a table.
pub(super) fn follow(own: &mut KeySums, changes: &RowChanges) {
    if changes.truncated {
        *own = KeySums::default();
    }
    for (key, net) in &changes.nets {
        match net {
            Net::Write(written) if written.is_new => own.add(key),
            Net::Delete { was_new: false, .. } => own.remove(key),
            Net::Write(_) | Net::Delete { .. } => {}
        }
    }
}

/// The keys of a table of which so many rows have just been copied, if the target holds all of them and what it holds beyond them
/// are rows that the source does not have.
pub(super) fn copied(survey: &Survey, rows: u64) -> Option<KeySums> {
    let rows = i64::try_from(rows).ok()?;
    if survey.found.count() == rows {
        return Some(survey.found.clone());
    }
    let rest = survey.found.minus(&survey.orphaned);
    (rest.count() == rows).then_some(rest)
}

/// Which of the rows that the source does not have the rule has brought; `None` if that cannot be told.
pub(super) fn brought(own: &KeySums, survey: Survey) -> Option<Vec<Orphan>> {
    let orphans = survey.orphans?;
    let keys = || orphans.iter().map(|orphan| orphan.canonical.as_str());
    let deleted = own.minus(&survey.found.minus(&survey.orphaned));
    let is_brought: Vec<bool> = if let Some(found) = deleted.find(keys()) {
        (0..orphans.len()).map(|index| found.contains(&index)).collect()
    } else {
        let foreign = survey.orphaned.minus(&deleted).find(keys())?;
        (0..orphans.len()).map(|index| !foreign.contains(&index)).collect()
    };
    let brought = orphans.into_iter().zip(is_brought).filter(|(_, is_brought)| *is_brought);
    Some(brought.map(|(orphan, _)| orphan).collect())
}

#[cfg(test)]
mod tests {
    use data::Value;

    use super::*;

    fn set(keys: impl IntoIterator<Item = u32>) -> KeySums {
        let mut sums = KeySums::default();
        keys.into_iter().for_each(|key| sums.add(&key.to_string()));
        sums
    }

    /// What a target holds beside the keys that both sides have.
    fn surveyed(both: std::ops::Range<u32>, orphans: &[u32]) -> Survey {
        Survey {
            found: set(both.chain(orphans.iter().copied())),
            orphaned: set(orphans.iter().copied()),
            orphans: Some(
                orphans
                    .iter()
                    .map(|key| Orphan {
                        canonical: key.to_string(),
                        key: vec![Value::Int64(i64::from(*key))],
                    })
                    .collect(),
            ),
        }
    }

    fn told(own: &KeySums, survey: Survey) -> Option<Vec<String>> {
        brought(own, survey).map(|rows| rows.into_iter().map(|row| row.canonical).collect())
    }

    #[test]
    fn rows_that_were_deleted_unseen_are_told_from_rows_that_the_source_never_had() {
        let own = set(0..100);
        assert_eq!(told(&own, surveyed(0..100, &[])), Some(vec![]));
        assert_eq!(told(&own, surveyed(0..99, &[99])), Some(vec!["99".to_owned()]));
        assert_eq!(told(&own, surveyed(0..100, &[500])), Some(vec![]));
        assert_eq!(told(&own, surveyed(0..99, &[500, 99])), Some(vec!["99".to_owned()]));
    }

    #[test]
    fn many_deleted_rows_are_told_from_few_of_the_application_and_the_reverse() {
        let own = set(0..100);
        let many: Vec<u32> = (50..100).chain([500]).collect();
        assert_eq!(told(&own, surveyed(0..50, &many)).map(|rows| rows.len()), Some(50));
        let foreign: Vec<u32> = (500..600).chain([99]).collect();
        assert_eq!(told(&own, surveyed(0..99, &foreign)), Some(vec!["99".to_owned()]));
    }

    #[test]
    fn where_many_are_of_either_kind_or_the_target_lacks_a_row_nothing_is_told() {
        let own = set(0..100);
        let many: Vec<u32> = (50..100).chain(500..550).collect();
        assert_eq!(told(&own, surveyed(0..50, &many)), None);
        assert_eq!(told(&own, surveyed(1..99, &[99, 500])), None);
    }

    #[test]
    fn a_copy_counts_as_the_rules_own_only_where_every_row_is_accounted_for() {
        assert_eq!(copied(&surveyed(0..10, &[]), 10), Some(set(0..10)));
        assert_eq!(copied(&surveyed(0..10, &[500]), 10), Some(set(0..10)));
        assert_eq!(copied(&surveyed(0..8, &[]), 10), None);
    }
}
