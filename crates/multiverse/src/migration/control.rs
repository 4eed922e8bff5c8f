//! The control tables of a cluster: the history, the locks of pg-multiverse, and the state of what did not end well.

use super::database::{Database, quoted, text};
use super::error::Error;
use super::settings::Settings;

/// Holds what the history has no columns for.
pub(crate) const STATE_TABLE: &str = "replicaverse_migration_state";

/// Two runners may create a table at one time; one of them is told so.
const CREATED_BY_OTHERS: [&str; 3] = ["42P07", "23505", "42710"];

/// The names of the control tables, with their schema and in quotes, so that they are found on every search path.
#[derive(Debug, Clone)]
pub(crate) struct Control {
    pub(crate) history: String,
    pub(crate) locks: String,
    pub(crate) state: String,
}

/// A table that was looked for on the connection's own search path.
struct Found {
    name: String,
    exists: bool,
}

impl Control {
    /// Finds the tables, and makes those that are missing. `None` if there is no history and none may be made.
    pub(crate) async fn locate(
        database: &Database,
        settings: &Settings,
        creates: bool,
    ) -> Result<Option<Self>, Error> {
        let history = find(database, &settings.migrations_table).await?;
        let locks = find(database, &settings.lock_table).await?;
        let state = find(database, STATE_TABLE).await?;
        let control = Self { history: history.name, locks: locks.name, state: state.name };
        if history.exists && locks.exists && state.exists {
            return Ok(Some(control));
        }
        if !creates {
            return Ok(history.exists.then_some(control));
        }
        if !(settings.auto_create_migrations_table || history.exists && locks.exists) {
            return Err(Error::Invalid(format!(
                "cluster {} lacks the control table {} or {}, and autoCreateMigrationsTable is off",
                database.cluster(),
                control.history,
                control.locks
            )));
        }
        control.create(database, [!history.exists, !locks.exists, !state.exists]).await?;
        Ok(Some(control))
    }

    async fn create(&self, database: &Database, is_missing: [bool; 3]) -> Result<(), Error> {
        for (sql, _) in self.definitions().iter().zip(is_missing).filter(|(_, is_missing)| *is_missing) {
            match database.run(sql, &[]).await {
                Err(crate::Error::Server(error)) if CREATED_BY_OTHERS.contains(&error.code.as_str()) => {}
                Err(source) => {
                    let context = format!("creating the control tables on cluster {}", database.cluster());
                    return Err(super::database::failed(&context, source));
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    /// The first two are as pg-multiverse makes them.
    fn definitions(&self) -> [String; 3] {
        let Self { history, locks, state } = self;
        [
            format!(
                "CREATE TABLE IF NOT EXISTS {history} (id SERIAL PRIMARY KEY, version VARCHAR(255) NOT NULL, \
                 name VARCHAR(255) NOT NULL, schema_name VARCHAR(255) NOT NULL, cluster_id VARCHAR(255) NOT NULL, \
                 executed_at TIMESTAMP DEFAULT NOW(), execution_time INTEGER NOT NULL, checksum VARCHAR(255) NOT NULL, \
                 batch INTEGER, UNIQUE (version, schema_name, cluster_id))"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {locks} (id SERIAL PRIMARY KEY, lock_key VARCHAR(255) UNIQUE NOT NULL, \
                 locked_at TIMESTAMP DEFAULT NOW(), locked_by VARCHAR(255) NOT NULL, expires_at TIMESTAMP NOT NULL)"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {state} (history TEXT NOT NULL, version TEXT NOT NULL, \
                 schema_name TEXT NOT NULL, cluster_id TEXT NOT NULL, state TEXT NOT NULL, direction TEXT NOT NULL, \
                 statement INTEGER NOT NULL DEFAULT 0, checksum TEXT, message TEXT, runner TEXT, \
                 changed_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), \
                 PRIMARY KEY (history, version, schema_name, cluster_id))"
            ),
        ]
    }
}

/// Finds a table by its name as SQL writes it: without quotes, capitals do not count.
async fn find(database: &Database, name: &str) -> Result<Found, Error> {
    const SQL: &str = "SELECT found.nspname::text, found.relname::text, \
        (pg_catalog.parse_ident($1))[1], (pg_catalog.parse_ident($1))[2], pg_catalog.current_schema()::text \
        FROM (SELECT 1) AS one LEFT JOIN LATERAL (SELECT n.nspname, c.relname FROM pg_catalog.pg_class AS c \
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
        WHERE c.oid = pg_catalog.to_regclass($1)) AS found ON true";
    let rows = database.query("looking for the control tables", SQL, &[Some(name)]).await?;
    let row = rows.first().map(Vec::as_slice).unwrap_or_default();
    let exists = !text(row, 1).is_empty();
    let (schema, table) = match (exists, text(row, 3)) {
        (true, _) => (text(row, 0), text(row, 1)),
        (false, "") => (text(row, 4), text(row, 2)),
        (false, table) => (text(row, 2), table),
    };
    if schema.is_empty() {
        return Err(Error::Invalid(format!(
            "no schema of the search path exists on cluster {}, so that {name} cannot be made there",
            database.cluster()
        )));
    }
    Ok(Found { name: format!("{}.{}", quoted(schema), quoted(table)), exists })
}
