//! What a server says of itself: whether it is in recovery, on which timeline, and of which database system.

/// The question. The timeline of a primary is the one it writes; that of a standby the one it receives, else that of its last
/// restart point.
pub(crate) const ROLE: &str = "SELECT pg_catalog.pg_is_in_recovery()::text, \
     CASE WHEN pg_catalog.pg_is_in_recovery() \
     THEN pg_catalog.lpad(pg_catalog.to_hex(COALESCE((SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver), \
     (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint()))), 8, '0') \
     ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8) END, \
     (SELECT system_identifier::text FROM pg_catalog.pg_control_system())";
/// The question for servers on which the other functions are not there or not allowed.
pub(crate) const PLAIN_ROLE: &str = "SELECT pg_catalog.pg_is_in_recovery()::text";

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Role {
    /// It is a standby and takes no writes.
    pub(crate) in_recovery: bool,
    /// `None` where the server does not tell.
    pub(crate) timeline: Option<u32>,
    /// The number that a primary shares with its physical standbys and with nobody else.
    pub(crate) system: Option<i64>,
}

impl Role {
    /// Reads a row of the answer.
    pub(crate) fn read<T: AsRef<str>>(row: &[Option<T>]) -> Option<Self> {
        let cell = |position: usize| row.get(position).and_then(Option::as_ref).map(AsRef::as_ref);
        let in_recovery = match cell(0)? {
            "true" => true,
            "false" => false,
            _ => return None,
        };
        let timeline = cell(1).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        Some(Self { in_recovery, timeline, system: cell(2).and_then(|number| number.parse().ok()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_as_the_server_tells_it_also_where_it_tells_little() {
        let role = Role::read(&[Some("false"), Some("0000000A"), Some("7301234567890123456")]);
        let system = Some(7_301_234_567_890_123_456);
        assert_eq!(role, Some(Role { in_recovery: false, timeline: Some(10), system }));
        assert_eq!(
            Role::read(&[Some("true")]),
            Some(Role { in_recovery: true, timeline: None, system: None })
        );
        assert_eq!(Role::read::<&str>(&[None]), None);
        assert_eq!(Role::read::<&str>(&[]), None);
    }
}
