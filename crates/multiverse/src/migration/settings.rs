//! The settings of a migrator, and the options of its calls.

use serde::{Deserialize, Serialize};

/// What holds for all calls. Times are in milliseconds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// The table that records what was applied, as SQL names it.
    pub migrations_table: String,
    /// The table in which runners of pg-multiverse leave their locks, as SQL names it.
    pub lock_table: String,
    /// Whether these tables are made where they are missing.
    pub auto_create_migrations_table: bool,
    /// Whether a migration that was changed after it was applied is an error.
    pub validate_checksums: bool,
    /// Whether a migration may be applied after later ones.
    pub allow_out_of_order: bool,
    /// How long a lock that another runner holds is waited for.
    pub lock_timeout: u64,
    /// How many migrations are recorded under one number in the column `batch`.
    pub batch_size: u32,
    /// `lock_timeout` of the statements of migrations; the server's own when not given.
    pub ddl_lock_timeout: Option<u64>,
    /// `statement_timeout` of the statements of migrations; the server's own when not given.
    pub statement_timeout: Option<u64>,
    /// How often a migration in a transaction is tried again that failed because of a lock.
    pub lock_retries: Option<u32>,
    /// Whether a schema that does not exist is made.
    pub create_schemas: bool,
    /// What lint does before pending migrations run.
    pub lint: LintMode,
    /// Who this is, for others who wait for its locks.
    pub runner: String,
    /// The clusters in their order, with the schemas that live on them.
    pub clusters: Vec<ClusterSchemas>,
}

/// A cluster with its schemas.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ClusterSchemas {
    /// The cluster's id.
    pub id: String,
    /// Its schemas.
    pub schemas: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            migrations_table: "pg_multiverse_migrations".to_owned(),
            lock_table: "pg_multiverse_migration_locks".to_owned(),
            auto_create_migrations_table: true,
            validate_checksums: true,
            allow_out_of_order: false,
            lock_timeout: 60_000,
            batch_size: 100,
            ddl_lock_timeout: None,
            statement_timeout: None,
            lock_retries: None,
            create_schemas: false,
            lint: LintMode::Warn,
            runner: format!("process {}", std::process::id()),
            clusters: Vec::new(),
        }
    }
}

impl Settings {
    /// Further attempts after a failure because of a lock: three where waiting for locks is bounded.
    pub(crate) fn retries(&self) -> u32 {
        self.lock_retries.unwrap_or(if self.ddl_lock_timeout.is_some() { 3 } else { 0 })
    }
}

/// What lint does before pending migrations run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LintMode {
    /// Nothing.
    Off,
    /// It tells of errors.
    #[default]
    Warn,
    /// It lets nothing run that has errors.
    Refuse,
}

/// Whether a plan is only told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DryRun {
    /// It is carried out.
    #[default]
    No,
    /// It is only told.
    Plan,
    /// The SQL in it is run in transactions that are rolled back.
    Execute,
}

/// The options of applying migrations.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct MigrateOptions {
    /// The last version to apply.
    pub target_version: Option<String>,
    /// Only these schemas.
    pub target_schemas: Option<Vec<String>>,
    /// Only these clusters.
    pub target_clusters: Option<Vec<String>>,
    /// Whether the plan is only told.
    pub dry_run: DryRun,
    /// Whether dependencies need not be applied.
    pub force: bool,
    /// Whether places are migrated side by side.
    pub parallel: bool,
    /// The most migrations that run at one time, with `parallel`.
    pub max_parallel: usize,
    /// Whether others go on after one has failed.
    pub continue_on_error: bool,
    /// Whether a restore point is made on every cluster first.
    pub create_checkpoint: bool,
    /// Whether migrations that stopped half-way are continued.
    pub resume: bool,
}

impl Default for MigrateOptions {
    fn default() -> Self {
        Self {
            target_version: None,
            target_schemas: None,
            target_clusters: None,
            dry_run: DryRun::No,
            force: false,
            parallel: false,
            max_parallel: 5,
            continue_on_error: false,
            create_checkpoint: false,
            resume: false,
        }
    }
}

/// The options of taking migrations back.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RollbackOptions {
    /// All that is later is taken back.
    pub target_version: Option<String>,
    /// How many are taken back at each place, where no version is given.
    pub steps: u32,
    /// Only these schemas.
    pub target_schemas: Option<Vec<String>>,
    /// Only these clusters.
    pub target_clusters: Option<Vec<String>>,
    /// Whether the plan is only told.
    pub dry_run: DryRun,
    /// Whether migrations that are not there are left out, and others that need them are no obstacle.
    pub force: bool,
    /// Whether migrations that stopped half-way are continued.
    pub resume: bool,
}

impl Default for RollbackOptions {
    fn default() -> Self {
        Self {
            target_version: None,
            steps: 1,
            target_schemas: None,
            target_clusters: None,
            dry_run: DryRun::No,
            force: false,
            resume: false,
        }
    }
}

/// What a person found out about a migration that stopped half-way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Resolution {
    /// It is there as a whole.
    Applied,
    /// Nothing of it is there.
    Pending,
}

/// Which records are set right by hand.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct UpkeepOptions {
    /// Only this version.
    pub version: Option<String>,
    /// Only these schemas.
    pub target_schemas: Option<Vec<String>>,
    /// Only these clusters.
    pub target_clusters: Option<Vec<String>>,
    /// What it is set to; of those that stopped half-way.
    pub r#as: Option<Resolution>,
    /// Whether recorded checksums become those of the migrations as they are now.
    pub checksums: bool,
}
