//! The row that makes a decision known: written by the deciding branch, there for all once that is committed.

use std::sync::Arc;
use std::time::Duration;

use super::prepared::{DatabaseId, is_transaction_id};
use crate::client::{PinnedClient, Rows};
use crate::error::Error;

/// The table. A row of it means that the transaction is committed; it is deleted when no branch needs it any more.
pub(crate) const TABLE: &str = "CREATE TABLE IF NOT EXISTS public.replicaverse_transaction (id text PRIMARY KEY, \
    participants text[] NOT NULL, decided_at timestamptz NOT NULL DEFAULT pg_catalog.now())";

/// Writes the row.
///
/// The commit behind it must be durable before anything is told of it, whatever the session has set. A server that hears
/// nothing of us any more gives up the transaction by itself, so that others need not wait for it for long.
const WRITE: &str = "INSERT INTO public.replicaverse_transaction (id, participants) SELECT $1::text, $2::text[] \
    FROM pg_catalog.set_config('synchronous_commit', CASE pg_catalog.current_setting('synchronous_commit') \
    WHEN 'off' THEN 'local' ELSE pg_catalog.current_setting('synchronous_commit') END, true) AS durable, \
    pg_catalog.set_config('idle_in_transaction_session_timeout', '30s', true) AS idle";

const IDENTITY: &str = "SELECT (SELECT system_identifier::text FROM pg_catalog.pg_control_system()), \
    (SELECT oid::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())";

const BEGIN_LOOK: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
const LOOK_LIMIT: &str = "SELECT pg_catalog.set_config('lock_timeout', '200ms', true)";
/// Finds nothing to do where the row is there; waits for whoever is writing it.
const TRY: &str = "INSERT INTO public.replicaverse_transaction (id, participants) VALUES ($1::text, '{}') \
    ON CONFLICT (id) DO NOTHING";
const TRIED: &str = "INSERT 0 1";
const FORGET: &str = "DELETE FROM public.replicaverse_transaction WHERE id = ANY($1::text[])";
const OLD: &str = "SELECT id, pg_catalog.to_json(participants)::text FROM public.replicaverse_transaction \
    WHERE decided_at < pg_catalog.now() - $1::interval ORDER BY decided_at LIMIT 1000";
const EXISTS: &str = "SELECT (pg_catalog.to_regclass('public.replicaverse_transaction') IS NOT NULL)::text";

/// What was decided about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Committed,
    /// The deciding branch has ended without a commit.
    Aborted,
    /// The deciding branch is still there.
    Open,
    /// Another database decides about it.
    Elsewhere,
}

/// A row that is older than its transaction can take.
#[derive(Debug)]
pub(crate) struct OldDecision {
    pub(crate) id: String,
    /// The clusters that were prepared, as they are called where the transaction ran.
    pub(crate) participants: Vec<String>,
}

/// Makes the table where it is missing. Where it is there, the role needs no right to make any.
pub(crate) async fn make_table(client: &PinnedClient) -> Result<(), Error> {
    if has_table(client).await? {
        return Ok(());
    }
    match client.run(TABLE, &[]).await {
        // Two who make it at the same time are not kept apart by IF NOT EXISTS.
        Err(Error::Server(report)) if matches!(report.code.as_str(), "23505" | "42P07") => {
            client.run(TABLE, &[]).await.map(drop)
        }
        made => made.map(drop),
    }
}

/// Writes the row in the transaction of the deciding branch, and gives the database it stands in.
pub(crate) async fn write(
    client: &PinnedClient,
    limit: Duration,
    id: &str,
    participants: &[Arc<str>],
) -> Result<DatabaseId, Error> {
    let participants = array(participants.iter().map(|cluster| &**cluster));
    client.run_within(Some(limit), WRITE, &[Some(id), Some(&participants)]).await?;
    match client.known_database() {
        Some(database) => Ok(database),
        None => identity_within(client, Some(limit)).await,
    }
}

/// The database that a client is connected to, as its server tells.
pub(crate) async fn identity(client: &PinnedClient) -> Result<DatabaseId, Error> {
    identity_within(client, None).await
}

async fn identity_within(client: &PinnedClient, limit: Option<Duration>) -> Result<DatabaseId, Error> {
    let database = identity_in(&client.run_within(limit, IDENTITY, &[]).await?.rows)?;
    client.note_database(database);
    Ok(database)
}

/// Looks what was decided. Whoever is still writing the row is waited for only a moment.
pub(crate) async fn look(client: &PinnedClient, id: &str) -> Result<Decision, Error> {
    client.run(BEGIN_LOOK, &[]).await?;
    client.run(LOOK_LIMIT, &[]).await?;
    let tried = client.run(TRY, &[Some(id)]).await;
    client.run("ROLLBACK", &[]).await?;
    match tried {
        Ok(reply) if reply.command_tag == TRIED => Ok(Decision::Aborted),
        Ok(_) => Ok(Decision::Committed),
        Err(Error::Server(report)) if report.code == "55P03" => Ok(Decision::Open),
        Err(error) => Err(error),
    }
}

/// Deletes rows that nobody needs any more.
pub(crate) async fn forget(client: &PinnedClient, ids: &[Arc<str>]) -> Result<(), Error> {
    let ids = array(ids.iter().map(|id| &**id));
    client.run(FORGET, &[Some(&ids)]).await.map(drop)
}

/// The rows that are older than an interval, such as `1 hour`. None where there is no table.
pub(crate) async fn old(client: &PinnedClient, age: &str) -> Result<Vec<OldDecision>, Error> {
    if !has_table(client).await? {
        return Ok(Vec::new());
    }
    let rows = client.run(OLD, &[Some(age)]).await?.rows;
    let old = rows.into_iter().filter_map(|row| {
        let mut cells = row.into_iter();
        let id = cells.next()??;
        let participants = serde_json::from_str(&cells.next()??).ok()?;
        is_transaction_id(&id).then_some(OldDecision { id, participants })
    });
    Ok(old.collect())
}

async fn has_table(client: &PinnedClient) -> Result<bool, Error> {
    Ok(cell(&client.run(EXISTS, &[]).await?.rows, 0) == Some("true"))
}

fn identity_in(rows: &Rows) -> Result<DatabaseId, Error> {
    let read = |at| cell(rows, at);
    let identity =
        read(0).and_then(|system| system.parse().ok()).zip(read(1).and_then(|oid| oid.parse().ok()));
    let (system, database) = identity.ok_or_else(|| {
        let problem = wire::Error::Protocol("the server does not say which database it is".to_owned());
        Error::Request(Arc::new(problem))
    })?;
    Ok(DatabaseId { system, database })
}

fn cell(rows: &Rows, at: usize) -> Option<&str> {
    rows.first()?.get(at)?.as_deref()
}

/// A list as PostgreSQL writes an array of texts.
fn array<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let quoted = texts.map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clusters_stay_what_they_are_in_an_array() {
        assert_eq!(array(["eu", "a \"b\" \\c", "x,y"].into_iter()), r#"{"eu","a \"b\" \\c","x,y"}"#);
    }
}
