//! What tells a database from every other one, whatever address it is reached by.

use wire::{Connection, QueryResult};

use super::pool::Pool;
use crate::dialect::DialectKind;
use crate::error::{Error, ErrorKind, Result};

const CLUSTER: &str = "SELECT system_identifier, current_database() FROM pg_control_system()";
const COCKROACH_CLUSTER: &str = "SELECT crdb_internal.cluster_id(), current_database()";
const DATABASE: &str = "SELECT current_database()";

/// The identifier that the cluster was given when it was made, which its physical standbys share, and the database's name.
///
/// # Errors
/// [`ErrorKind::Permission`] if the server tells it neither by SQL nor on a connection of replication.
pub(super) async fn identity(pool: &Pool, kind: DialectKind) -> Result<String> {
    let mut connection = pool.get().await?;
    if kind == DialectKind::Cockroachdb {
        let told = connection.query(COCKROACH_CLUSTER, &[]).await?;
        return Ok(format!("cockroachdb:{}/{}", cell(&told, 0)?, cell(&told, 1)?));
    }
    match connection.query(CLUSTER, &[]).await {
        Ok(told) => Ok(format!("postgres:{}/{}", cell(&told, 0)?, cell(&told, 1)?)),
        Err(wire::Error::Server(_)) => {
            let cluster = identify(pool).await?;
            Ok(format!("postgres:{cluster}/{}", database(&mut connection).await?))
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks by the protocol of replication, which users may whom the function is not granted to.
async fn identify(pool: &Pool) -> Result<u64> {
    let asked = async {
        let mut connection = pool.connect_replication().await?;
        let identity = connection.identify_system().await?;
        connection.close().await?;
        Ok::<_, Error>(identity.system_id)
    };
    asked.await.map_err(|error| {
        let message = "the server does not tell which cluster it is; run GRANT EXECUTE ON FUNCTION pg_control_system() TO \
                       the user, or give the user the attribute REPLICATION";
        let kind = if error.kind().is_retryable() { error.kind() } else { ErrorKind::Permission };
        Error::new(kind, message).with_source(error)
    })
}

async fn database(connection: &mut Connection) -> Result<String> {
    cell(&connection.query(DATABASE, &[]).await?, 0)
}

fn cell(result: &QueryResult, column: usize) -> Result<String> {
    let text = result.rows.get(0).map(|row| row.get_str(column)).transpose()?.flatten();
    let unknown =
        || Error::new(ErrorKind::Internal, "the server told its identity in a form that is not known");
    text.map(str::to_owned).ok_or_else(unknown)
}
