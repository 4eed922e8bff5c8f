//! The tables in which entities are kept: listing and emptying them.

use wire::{Connection, Param};

use super::encode::text_of;
use crate::error::{ErrorKind, Result};
use crate::table::OWN_TABLE_PREFIX;
use crate::value::Value;

/// The tables in the schema where unqualified names are created, without the library's own and those that belong to an
/// extension.
pub(super) async fn list(connection: &mut Connection) -> Result<Vec<String>> {
    let sql = "
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = (current_schemas(false))[1]
          AND NOT starts_with(c.relname, $1)
          AND NOT EXISTS (SELECT 1 FROM pg_depend d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
        ORDER BY 1";
    let result = connection.query(sql, &[Param::text(OWN_TABLE_PREFIX)]).await?;
    result.rows.iter().map(|row| Ok(row.get_str(0)?.unwrap_or_default().to_owned())).collect()
}

/// Empties tables. TRUNCATE is refused while others refer to a table, and with CASCADE empties those as well; DELETE
/// would change them as their foreign keys say. So the keys of the others are put aside meanwhile.
pub(super) async fn empty(connection: &mut Connection, quoted: &[String]) -> Result<()> {
    if quoted.is_empty() {
        return Ok(());
    }
    let keys = foreign_keys_of_others(connection, quoted).await?;
    for key in &keys {
        connection.simple_query(&format!("ALTER TABLE {} DROP CONSTRAINT {}", key.table, key.name)).await?;
    }
    connection.simple_query(&format!("TRUNCATE TABLE {}", quoted.join(", "))).await?;
    for key in &keys {
        key.restore(connection).await?;
    }
    Ok(())
}

/// A foreign key as the catalogue writes it, its names quoted.
struct ForeignKey {
    table: String,
    name: String,
    definition: String,
}

async fn foreign_keys_of_others(connection: &mut Connection, quoted: &[String]) -> Result<Vec<ForeignKey>> {
    let sql = "
        WITH named AS (SELECT to_regclass(name)::oid AS oid FROM unnest($1::text[]) AS name)
        SELECT k.conrelid::regclass::text, quote_ident(k.conname), pg_get_constraintdef(k.oid)
        FROM pg_constraint k
        WHERE k.contype = 'f' AND k.conparentid = 0
          AND k.confrelid IN (SELECT oid FROM named) AND k.conrelid NOT IN (SELECT oid FROM named WHERE oid IS NOT NULL)
        ORDER BY k.oid";
    let names = Value::Array(quoted.iter().map(|name| Value::Text(name.clone())).collect());
    let result = connection.query(sql, &[text_of(&names, None).into()]).await?;
    let mut keys = Vec::with_capacity(result.rows.len());
    for row in result.rows.iter() {
        let text =
            |column: usize| -> Result<String> { Ok(row.get_str(column)?.unwrap_or_default().to_owned()) };
        keys.push(ForeignKey { table: text(0)?, name: text(1)?, definition: text(2)? });
    }
    Ok(keys)
}

impl ForeignKey {
    /// Puts the key back. Rows that refer to what is gone stay as they are, which the key only allows as one that is
    /// not valid for the rows from before.
    async fn restore(&self, connection: &mut Connection) -> Result<()> {
        let Self { table, name, definition } = self;
        let add = format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}");
        connection.simple_query("SAVEPOINT replicaverse_foreign_key").await?;
        match connection.simple_query(&add).await.map_err(crate::Error::from) {
            Err(error) if error.kind() == ErrorKind::ForeignKeyViolation => {
                connection.simple_query("ROLLBACK TO SAVEPOINT replicaverse_foreign_key").await?;
                connection.simple_query(&format!("{add} NOT VALID")).await?;
            }
            result => drop(result?),
        }
        connection.simple_query("RELEASE SAVEPOINT replicaverse_foreign_key").await?;
        Ok(())
    }
}
