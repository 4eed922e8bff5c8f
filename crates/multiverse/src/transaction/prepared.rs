//! Prepared transactions on one server: their names, and the statements about them.
//!
//! Everything that this crate prepares goes through here. A name is text of SQL, as the statements take no parameters;
//! so names are made of letters, digits, colons and hyphens only.

use crate::client::PinnedClient;
pub(crate) use crate::engine::DatabaseId;
use crate::error::Error;

/// Prepared transactions of this database whose names begin with `$1`: name, and age in seconds.
const LIST: &str = "SELECT gid, pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - prepared)::text \
    FROM pg_catalog.pg_prepared_xacts \
    WHERE database = pg_catalog.current_database() AND pg_catalog.starts_with(gid, $1) ORDER BY prepared, gid";

/// The name of a prepared branch. It tells whom to ask for the decision, whatever clusters are called in the process that
/// finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BranchName {
    /// The transaction's id.
    pub(crate) transaction: String,
    /// The number of the branch: two branches may be on one server, where names are unique.
    pub(crate) branch: usize,
    /// Where the decision stands.
    pub(crate) decider: DatabaseId,
}

impl BranchName {
    /// All names begin so.
    pub(crate) const PREFIX: &'static str = "replicaverse:";

    /// Reads a name; `None` for one that is not of this form.
    pub(crate) fn read(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(Self::PREFIX)?.split(':');
        let transaction = parts.next().filter(|id| is_transaction_id(id))?.to_owned();
        let branch = parts.next()?.parse().ok()?;
        let decider =
            DatabaseId { system: parts.next()?.parse().ok()?, database: parts.next()?.parse().ok()? };
        parts.next().is_none().then_some(Self { transaction, branch, decider })
    }

    /// The name as the server keeps it.
    pub(crate) fn text(&self) -> String {
        let Self { transaction, branch, decider: DatabaseId { system, database } } = self;
        format!("{}{transaction}:{branch}:{system}:{database}", Self::PREFIX)
    }
}

/// Whether a text may stand in a name as the id of a transaction.
pub(crate) fn is_transaction_id(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_hexdigit() || letter == '-';
    (1..=64).contains(&text.len()) && text.chars().all(is_plain)
}

/// What becomes of a prepared transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Commit,
    RollBack,
}

/// The statement that prepares the transaction of a session, and the command tag of success.
pub(crate) fn prepare(name: &str) -> (String, &'static str) {
    (format!("PREPARE TRANSACTION {}", literal(name)), "PREPARE TRANSACTION")
}

/// The statement that ends a prepared transaction.
pub(crate) fn end(name: &str, fate: Fate) -> String {
    match fate {
        Fate::Commit => format!("COMMIT PREPARED {}", literal(name)),
        Fate::RollBack => format!("ROLLBACK PREPARED {}", literal(name)),
    }
}

/// A prepared transaction that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    /// Seconds since it was prepared, by the server's clock.
    pub(crate) age: f64,
}

/// The prepared transactions of a database whose names begin with `prefix`, oldest first.
pub(crate) async fn list(client: &PinnedClient, prefix: &str) -> Result<Vec<Found>, Error> {
    let rows = client.run(LIST, &[Some(prefix)]).await?.rows;
    let found = rows.into_iter().filter_map(|row| {
        let mut cells = row.into_iter();
        let name = cells.next()??;
        let age = cells.next().flatten().and_then(|age| age.parse().ok()).unwrap_or_default();
        Some(Found { name, age })
    });
    Ok(found.collect())
}

fn literal(name: &str) -> String {
    format!("'{}'", name.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_transaction_and_where_its_decision_stands() {
        let name = BranchName {
            transaction: "0b5ef2a5-9a3e-4c1a-8a80-6f1d3f1f2b11".to_owned(),
            branch: 2,
            decider: DatabaseId { system: u64::MAX, database: u32::MAX },
        };
        let text = name.text();
        assert!(text.len() < 200, "the server takes no longer names");
        assert_eq!(BranchName::read(&text), Some(name));
    }

    #[test]
    fn names_of_others_are_left_alone() {
        for other in [
            "replicaverse-migration:a:b:up:c:1",
            "replicaverse:",
            "replicaverse:0b5e:1:2",
            "replicaverse:0b5e:1:2:3:4",
            "replicaverse:0b5e':1:2:3",
            "mine",
        ] {
            assert_eq!(BranchName::read(other), None, "{other}");
        }
    }
}
