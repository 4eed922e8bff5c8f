//! Which server's history takes a cluster's writes: told by the timeline, which every promotion of a standby raises.

use super::Role;

/// The timeline of a database system that was never promoted.
const FIRST: u32 = 1;

/// The history that takes the writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lineage {
    system: Option<i64>,
    timeline: Option<u32>,
}

impl Lineage {
    pub(crate) fn of(role: Role) -> Self {
        Self { system: role.system, timeline: role.timeline }
    }
}

/// What the role of a server means for its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It is the primary, and takes writes.
    Leads,
    /// It takes writes in place of the primary.
    Succeeds,
    /// It is the primary, and takes no writes.
    Demoted,
    /// It takes writes, and its history has ended: another server was promoted meanwhile.
    Outdated,
    /// It is a standby.
    Follows,
    /// It takes writes of its own, as a logical replica does.
    Apart,
}

/// Judges a server. `is_current` says that it is the cluster's primary so far, `is_in_doubt` that the primary cannot be used.
///
/// A server that was promoted is known by its timeline, which is higher than the one known. With an equal one it takes the
/// writes only where the primary is in doubt: it is the same server under another name. While nothing is known of the
/// cluster's history, only a server that was promoted once takes the place of a primary in doubt, as a logical replica
/// mostly was not.
pub(crate) fn judge(known: Option<Lineage>, is_current: bool, is_in_doubt: bool, role: Role) -> Finding {
    if role.in_recovery {
        return if is_current { Finding::Demoted } else { Finding::Follows };
    }
    let Some(known) = known else {
        return match (is_current, is_in_doubt) {
            (true, _) => Finding::Leads,
            (false, true) if role.timeline.is_some_and(|timeline| timeline > FIRST) => Finding::Succeeds,
            (false, _) => Finding::Apart,
        };
    };
    // A primary may be replaced by the database of another system as a whole.
    if known.system != role.system {
        return if is_current { Finding::Leads } else { Finding::Apart };
    }
    // A server that does not tell its timeline is taken at its word.
    let (Some(own), Some(highest)) = (role.timeline, known.timeline) else {
        return equal(is_current, is_in_doubt);
    };
    match own.cmp(&highest) {
        std::cmp::Ordering::Less => Finding::Outdated,
        std::cmp::Ordering::Equal => equal(is_current, is_in_doubt),
        std::cmp::Ordering::Greater if is_current => Finding::Leads,
        std::cmp::Ordering::Greater => Finding::Succeeds,
    }
}

fn equal(is_current: bool, is_in_doubt: bool) -> Finding {
    match (is_current, is_in_doubt) {
        (true, _) => Finding::Leads,
        (false, true) => Finding::Succeeds,
        (false, false) => Finding::Apart,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(system: i64, timeline: u32) -> Role {
        Role { in_recovery: false, timeline: Some(timeline), system: Some(system) }
    }

    fn known(system: i64, timeline: u32) -> Option<Lineage> {
        Some(Lineage::of(primary(system, timeline)))
    }

    #[test]
    fn a_server_of_a_higher_timeline_takes_the_writes_whether_or_not_the_primary_still_answers() {
        for is_in_doubt in [false, true] {
            assert_eq!(judge(known(7, 1), false, is_in_doubt, primary(7, 2)), Finding::Succeeds);
        }
    }

    #[test]
    fn a_primary_that_comes_back_with_a_lower_timeline_gets_no_writes() {
        assert_eq!(judge(known(7, 2), false, true, primary(7, 1)), Finding::Outdated);
        assert_eq!(judge(known(7, 2), true, true, primary(7, 1)), Finding::Outdated);
    }

    #[test]
    fn the_same_server_under_another_name_takes_the_writes_only_while_the_primary_is_in_doubt() {
        assert_eq!(judge(known(7, 1), false, false, primary(7, 1)), Finding::Apart);
        assert_eq!(judge(known(7, 1), false, true, primary(7, 1)), Finding::Succeeds);
    }

    #[test]
    fn a_logical_replica_never_takes_the_writes_of_a_cluster_whose_history_is_known() {
        assert_eq!(judge(known(7, 1), false, true, primary(8, 5)), Finding::Apart);
    }

    #[test]
    fn before_anything_is_known_only_a_promoted_server_replaces_a_primary_in_doubt() {
        assert_eq!(judge(None, false, true, primary(7, 2)), Finding::Succeeds);
        assert_eq!(judge(None, false, true, primary(7, 1)), Finding::Apart);
        assert_eq!(judge(None, false, false, primary(7, 2)), Finding::Apart);
        assert_eq!(judge(None, true, true, primary(7, 1)), Finding::Leads);
    }

    #[test]
    fn a_primary_in_recovery_is_demoted_and_another_server_in_recovery_is_a_standby() {
        let standby = Role { in_recovery: true, ..primary(7, 1) };
        assert_eq!(judge(known(7, 1), true, false, standby), Finding::Demoted);
        assert_eq!(judge(known(7, 1), false, true, standby), Finding::Follows);
    }

    #[test]
    fn servers_that_tell_no_timeline_are_taken_at_their_word() {
        let plain = Role { in_recovery: false, timeline: None, system: None };
        assert_eq!(judge(Some(Lineage::of(plain)), false, true, plain), Finding::Succeeds);
        assert_eq!(judge(Some(Lineage::of(plain)), false, false, plain), Finding::Apart);
    }
}
