//! What PostgreSQL's catalogue says of tables.

use std::sync::Arc;

use wire::{Connection, Param};

use super::types::{MONEY_OID, column_type, stored_form};
use crate::error::{Error, ErrorKind, Result};
use crate::table::{ColumnType, OWN_TABLE_PREFIX, StoredForm, Table, TableColumn};

/// The oid of `json`.
const JSON_OID: u32 = 114;

/// A table's schema and name, quoted for use in statements.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    oid: u32,
    /// `"schema"."table"`.
    pub(super) quoted: String,
    /// Whether tables may inherit from it, whose rows are not its own.
    is_plain: bool,
    /// The name as [`Table`] has it: bare in the connection's own schema, else `schema.table`.
    name: String,
    /// The schema and the table, without quotes.
    names: (String, String),
}

impl Relation {
    pub(super) fn oid(&self) -> u32 {
        self.oid
    }

    /// The schema and the table, without quotes.
    pub(super) fn names(&self) -> (&str, &str) {
        (&self.names.0, &self.names.1)
    }

    /// What stands after FROM to read or delete the table's own rows, and not those of tables that inherit from it.
    pub(super) fn own_rows(&self) -> String {
        if self.is_plain { format!("ONLY {}", self.quoted) } else { self.quoted.clone() }
    }
}

/// An identifier in quotes.
pub(super) fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// The schema and table that a name stands for where it does not exist yet: before and after its first dot.
pub(super) fn split_name(name: &str) -> (Option<&str>, &str) {
    match name.split_once('.') {
        Some((schema, table)) if !schema.is_empty() && !table.is_empty() => (Some(schema), table),
        _ => (None, name),
    }
}

/// The tables of the application: ordinary ones and the roots of partitioned ones, in every schema but the system's,
/// without those that belong to an extension.
pub(super) async fn list_tables(connection: &mut Connection) -> Result<Vec<String>> {
    let sql = "
        SELECT CASE WHEN n.nspname = (current_schemas(false))[1] THEN c.relname
                    ELSE n.nspname || '.' || c.relname END AS name
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'crdb_internal', 'pg_extension')
          AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
          AND NOT starts_with(c.relname, $1)
          AND NOT EXISTS (SELECT 1 FROM pg_depend d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
        ORDER BY 1";
    let result = connection.query(sql, &[Param::text(OWN_TABLE_PREFIX)]).await?;
    result.rows.iter().map(|row| Ok(row.get_str(0)?.unwrap_or_default().to_owned())).collect()
}

/// The table of this name: in the connection's search path, else in the schema before its first dot.
pub(super) async fn find(connection: &mut Connection, name: &str) -> Result<Option<Relation>> {
    let (schema, table) = split_name(name);
    let sql = "
        SELECT c.oid, n.nspname, c.relname, n.nspname = (current_schemas(false))[1], c.relkind = 'r'
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm')
          AND (c.oid = to_regclass(quote_ident($1)) OR (n.nspname = $2 AND c.relname = $3))
        ORDER BY c.oid = to_regclass(quote_ident($1)) DESC NULLS LAST LIMIT 1";
    let result = connection.query(sql, &[Param::text(name), schema.into(), Param::text(table)]).await?;
    let Some(row) = result.rows.get(0) else { return Ok(None) };
    let text = |column: usize| -> Result<&str> { Ok(row.get_str(column)?.unwrap_or_default()) };
    let (schema, table) = (text(1)?, text(2)?);
    Ok(Some(Relation {
        oid: text(0)?.parse().unwrap_or_default(),
        quoted: format!("{}.{}", quoted(schema), quoted(table)),
        is_plain: text(4)? == "t",
        names: (schema.to_owned(), table.to_owned()),
        name: if text(3)? == "t" { table.to_owned() } else { format!("{schema}.{table}") },
    }))
}

/// Fails if row-level security hides rows of the table from this user: a mirror would take them for deleted.
pub(super) async fn require_all_rows(connection: &mut Connection, relation: &Relation) -> Result<()> {
    let oid = relation.oid.to_string();
    let result = connection.query("SELECT row_security_active($1::oid)", &[Param::text(oid)]).await?;
    match result.rows.get(0).map(|row| row.get_str(0)).transpose()?.flatten() {
        Some("t") => Err(Error::new(
            ErrorKind::Permission,
            format!(
                "row-level security hides rows of table \"{}\" from this user; grant it BYPASSRLS, or use another",
                relation.name
            ),
        )),
        _ => Ok(()),
    }
}

/// A table as the catalogue has it.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) table: Table,
    /// In which form each of its columns keeps its values.
    pub(super) forms: Vec<StoredForm>,
    /// Whether it holds `json`, which is read as `jsonb` but has another binary form.
    pub(super) has_plain_json: bool,
}

/// The description of a table.
pub(super) async fn describe(connection: &mut Connection, relation: &Relation) -> Result<Described> {
    let oid = relation.oid.to_string();
    let Columns { columns, forms, attribute_numbers, has_plain_json } =
        describe_columns(connection, &oid).await?;
    let key_numbers = numbers(
        connection,
        "SELECT k.attnum FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, place)
         WHERE i.indrelid = $1::oid AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place",
        &oid,
    )
    .await?;
    let key = key_numbers
        .iter()
        .filter_map(|number| attribute_numbers.iter().position(|own| own == number))
        .collect();
    let references = references(connection, &oid).await?;
    let table = Table { name: relation.name.clone(), columns, key, references };
    Ok(Described { table, forms, has_plain_json })
}

/// The columns of a table, and their attribute numbers.
struct Columns {
    columns: Vec<TableColumn>,
    forms: Vec<StoredForm>,
    attribute_numbers: Vec<i64>,
    has_plain_json: bool,
}

/// Reads the columns. A domain counts as its base type, and a list is one of its elements' type.
async fn describe_columns(connection: &mut Connection, oid: &str) -> Result<Columns> {
    let sql = "
        SELECT a.attname, b.oid, a.modifier, format_type(b.oid, a.modifier), a.attnotnull, a.attgenerated <> '', a.attnum,
               CASE WHEN b.typcategory = 'A' AND b.typlen = -1 THEN b.typelem ELSE 0 END,
               CASE WHEN b.typcategory = 'A' AND b.typlen = -1 THEN format_type(b.typelem, NULL) END
        FROM (SELECT a.*, CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END AS base,
                     CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier
              FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
              WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped) a
        JOIN pg_type b ON b.oid = a.base ORDER BY a.attnum";
    let result = connection.query(sql, &[Param::text(oid)]).await?;
    let mut columns = Vec::with_capacity(result.rows.len());
    let mut forms = Vec::with_capacity(result.rows.len());
    let mut attribute_numbers = Vec::with_capacity(result.rows.len());
    let mut has_plain_json = false;
    let types = result.rows.iter().map(|row| row.get_str(1)).collect::<Result<Vec<_>, _>>()?;
    let money = money_sample(connection, types.contains(&Some(MONEY_OID.to_string().as_str()))).await?;
    for row in result.rows.iter() {
        let text = |column: usize| -> Result<&str> { Ok(row.get_str(column)?.unwrap_or_default()) };
        let (type_oid, modifier) = (text(1)?.parse().unwrap_or_default(), text(2)?.parse().unwrap_or(-1));
        let element_oid = text(7)?.parse::<u32>().unwrap_or_default();
        has_plain_json |= type_oid == JSON_OID || element_oid == JSON_OID;
        let own_type = match element_oid {
            0 => column_type(type_oid, modifier, text(3)?),
            element => ColumnType::Array(Box::new(column_type(element, modifier, text(8)?))),
        };
        columns.push(TableColumn {
            name: text(0)?.to_owned(),
            column_type: own_type,
            nullable: text(4)? != "t",
            generated: text(5)? == "t",
        });
        forms.push(stored_form(type_oid, modifier, &money));
        attribute_numbers.push(text(6)?.parse().unwrap_or_default());
    }
    Ok(Columns { columns, forms, attribute_numbers, has_plain_json })
}

/// How the server writes an amount of money, if a table has any.
async fn money_sample(connection: &mut Connection, is_needed: bool) -> Result<Arc<str>> {
    if !is_needed {
        return Ok(Arc::from(""));
    }
    let result = connection.query("SELECT (-1234.5)::numeric::money::text", &[]).await?;
    let sample = result.rows.get(0).map(|row| row.get_str(0)).transpose()?.flatten();
    Ok(Arc::from(sample.unwrap_or_default()))
}

async fn numbers(connection: &mut Connection, sql: &str, oid: &str) -> Result<Vec<i64>> {
    let result = connection.query(sql, &[Param::text(oid)]).await?;
    let number =
        |row: wire::Row<'_>| Ok(row.get_str(0)?.and_then(|text| text.parse().ok()).unwrap_or_default());
    result.rows.iter().map(number).collect()
}

/// The other tables that foreign keys of this one point to.
async fn references(connection: &mut Connection, oid: &str) -> Result<Vec<String>> {
    let sql = "
        SELECT DISTINCT CASE WHEN n.nspname = (current_schemas(false))[1] THEN c.relname
                             ELSE n.nspname || '.' || c.relname END
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE k.conrelid = $1::oid AND k.contype = 'f' AND k.confrelid <> k.conrelid";
    let result = connection.query(sql, &[Param::text(oid)]).await?;
    result.rows.iter().map(|row| Ok(row.get_str(0)?.unwrap_or_default().to_owned())).collect()
}
