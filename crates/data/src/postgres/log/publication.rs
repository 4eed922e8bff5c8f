//! The publication of a reader: which tables' changes its slot sends.

use std::collections::HashSet;

use wire::Connection;

use super::failure;
use super::requirement::{ForeignOwner, Server, may_create, may_publish, name_parameter};
use crate::error::Result;
use crate::log::LogReader;
use crate::postgres::catalog::{Relation, quoted, split_name};
use crate::postgres::encode::text_of;
use crate::value::Value;

/// A table that a reader wants, and where the catalogue has it.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) relation: Relation,
}

/// A publication as it is to be.
pub(super) struct Publication<'a> {
    pub(super) name: &'a str,
    pub(super) server: &'a Server,
    pub(super) wanted: &'a [Wanted],
    pub(super) owners: &'a [ForeignOwner],
}

/// A publication as it is.
#[derive(Debug)]
pub(super) struct Standing {
    /// The oids of its tables.
    tables: HashSet<u32>,
    /// Whether it has always told every change of these tables, as far as can be seen.
    pub(super) is_whole: bool,
}

impl Publication<'_> {
    /// Reads it, if it exists.
    pub(super) async fn read(&self, connection: &mut Connection) -> Result<Option<Standing>> {
        let sql = "
            SELECT p.pubinsert AND p.pubupdate AND p.pubdelete AND NOT p.puballtables
                   AND coalesce((to_jsonb(p) ->> 'pubtruncate')::boolean, true)
                   AND coalesce((to_jsonb(p) ->> 'pubviaroot')::boolean, true),
                   r.prrelid
            FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE p.pubname = $1";
        let result = connection.query(sql, &name_parameter(self.name)).await?;
        let mut standing = None;
        for row in result.rows.iter() {
            let is_whole = row.get_str(0)? == Some("t");
            let known = standing.get_or_insert_with(|| Standing { tables: HashSet::new(), is_whole });
            known.tables.extend(row.get_str(1)?.and_then(|oid| oid.parse::<u32>().ok()));
        }
        Ok(standing)
    }

    /// Makes it publish the wanted tables and no other, and names those that it has not published before.
    pub(super) async fn bring_up(
        &self,
        connection: &mut Connection,
        standing: &Standing,
    ) -> Result<Vec<String>> {
        let added = self.wanted.iter().filter(|table| !standing.tables.contains(&table.relation.oid()));
        let added: Vec<String> = added.map(|table| table.name.clone()).collect();
        let wanted: HashSet<u32> = self.wanted.iter().map(|table| table.relation.oid()).collect();
        if wanted != standing.tables {
            may_publish(self.server, self.owners)?;
            let statement =
                format!("ALTER PUBLICATION {} SET TABLE {}", quoted(self.name), self.table_list());
            connection.simple_query(&statement).await?;
        }
        Ok(added)
    }

    /// Creates it, in place of one that stands there.
    pub(super) async fn create(
        &self,
        connection: &mut Connection,
        standing: Option<&Standing>,
    ) -> Result<()> {
        may_create(self.server)?;
        may_publish(self.server, self.owners)?;
        if standing.is_some() {
            drop_existing(connection, self.name).await?;
        }
        let roots = if self.server.publishes_partition_roots() {
            " WITH (publish_via_partition_root = true)"
        } else {
            ""
        };
        let statement =
            format!("CREATE PUBLICATION {} FOR TABLE {}{roots}", quoted(self.name), self.table_list());
        connection.simple_query(&statement).await.map_err(failure::of_creating)?;
        Ok(())
    }

    fn table_list(&self) -> String {
        let tables: Vec<_> = self.wanted.iter().map(|table| table.relation.own_rows()).collect();
        tables.join(", ")
    }
}

/// Drops it if it exists.
pub(super) async fn drop_existing(connection: &mut Connection, name: &str) -> Result<()> {
    connection.simple_query(&format!("DROP PUBLICATION IF EXISTS {}", quoted(name))).await?;
    Ok(())
}

/// Whether there is a publication of this name.
pub(super) async fn exists(connection: &mut Connection, name: &str) -> Result<bool> {
    let sql = "SELECT 1 FROM pg_publication WHERE pubname = $1";
    Ok(!connection.query(sql, &name_parameter(name)).await?.rows.is_empty())
}

/// Whether it publishes the tables that bear the names of the reader's; those of names that nothing bears are no matter.
pub(super) async fn has_all(connection: &mut Connection, reader: &LogReader) -> Result<bool> {
    let sql = "
        SELECT 1 FROM unnest($2::text[]) AS wanted (name)
        WHERE to_regclass(name) IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid
            WHERE p.pubname = $1 AND r.prrelid = to_regclass(name)) LIMIT 1";
    let names = reader.tables.iter().map(|table| {
        let (schema, relation) = split_name(&table.name);
        let schema = schema.map(|schema| format!("{}.", quoted(schema))).unwrap_or_default();
        Value::from(format!("{schema}{}", quoted(relation)))
    });
    let names = text_of(&Value::Array(names.collect()), None).into();
    let [publication] = name_parameter(&reader.name);
    Ok(connection.query(sql, &[publication, names]).await?.rows.is_empty())
}

/// Why the log is lost when the publication is.
pub(super) fn gone(name: &str) -> String {
    format!("the publication \"{name}\" was dropped, so that changes are missing from the log")
}
