//! What is known of single functions beyond what their declarations say.

/// Built-in functions that are declared volatile, and yet change nothing and may be asked of any server.
///
/// Every volatile function that is not in this list needs the primary. Functions about the server's own state that are
/// meant for a standby are in it, so that they can be asked of one.
pub(super) fn is_harmless_though_volatile(name: &str) -> bool {
    matches!(
        name,
        "random" | "random_normal" | "clock_timestamp" | "timeofday"
        | "gen_random_uuid" | "uuidv4" | "uuidv7"
        | "pg_sleep" | "pg_sleep_for" | "pg_sleep_until"
        | "pg_is_in_recovery" | "pg_last_wal_receive_lsn" | "pg_last_wal_replay_lsn"
        | "pg_last_xact_replay_timestamp" | "pg_get_wal_replay_pause_state" | "pg_is_wal_replay_paused"
        | "pg_database_size" | "pg_relation_size" | "pg_table_size" | "pg_total_relation_size" | "pg_indexes_size"
        | "pg_tablespace_size" | "pg_partition_tree" | "pg_partition_ancestors"
        | "pg_collation_actual_version" | "pg_database_collation_actual_version" | "pg_jit_available"
        | "current_query"
        // The methods of TABLESAMPLE.
        | "bernoulli" | "system"
    )
}

/// Built-in functions that are declared to read only, and yet are refused by a standby.
pub(super) const REFUSED_BY_STANDBY: [&str; 4] =
    ["txid_current", "pg_current_xact_id", "pg_walfile_name", "pg_walfile_name_offset"];

/// Functions of contributed extensions that are declared to read only, and yet run a text that is given to them as a
/// value, or ask another server.
pub(super) fn runs_given_text(name: &str) -> bool {
    let by_text =
        ["crosstab", "crosstab2", "crosstab3", "crosstab4", "crosstabn", "connectby", "xpath_table"];
    by_text.contains(&name) || name.starts_with("dblink")
}
