//! Parts of a table by key: where they begin and end, and in which of them keys lie.

use wire::{Connection, QueryOptions};

use crate::error::{Error, ErrorKind, Result};
use crate::postgres::catalog::{self, Relation, quoted};
use crate::postgres::decode::decode;
use crate::postgres::encode::text_of;
use crate::postgres::stored::StoredTypes;
use crate::table::{Row, Table};
use crate::value::Value;

/// So many rows are looked at for each bound; fewer would make parts of very different sizes.
const SAMPLED_PER_PART: u64 = 200;
/// A table has no more parts than this.
const MOST_PARTS: u64 = 4096;

/// The last keys of all parts but the last one, from a sample of the table's pages.
pub(in crate::postgres) async fn split(
    connection: &mut Connection,
    table: &Table,
    rows_per_part: u64,
) -> Result<Vec<Vec<Value>>> {
    let relation = find(connection, table).await?;
    let rows = estimated_rows(connection, &relation).await?;
    let parts = rows.div_ceil(rows_per_part.max(1)).min(MOST_PARTS);
    if parts < 2 || table.key.is_empty() {
        return Ok(Vec::new());
    }
    let key = key_table(table);
    let catalogued = catalog::describe(connection, &relation).await?.table;
    let stored = StoredTypes::of(&catalogued, &key);
    let names: Vec<_> = key.columns.iter().map(|column| quoted(&column.name)).collect();
    let names = names.join(", ");
    let sampled = parts.saturating_mul(SAMPLED_PER_PART);
    #[expect(clippy::cast_precision_loss, reason = "a percentage of a sample need not be exact")]
    let percent = (sampled as f64 / rows as f64 * 100.0).min(100.0);
    let sample = if percent < 100.0 { format!(" TABLESAMPLE SYSTEM ({percent:.6})") } else { String::new() };
    let statement = format!(
        "SELECT {} FROM (SELECT {names}, row_number() OVER (ORDER BY {names}) AS \"replicaverse place\",
                count(*) OVER () AS \"replicaverse total\" FROM {}{sample}) AS s
         WHERE \"replicaverse place\" < \"replicaverse total\"
           AND \"replicaverse place\" * {parts} / \"replicaverse total\"
               <> (\"replicaverse place\" - 1) * {parts} / \"replicaverse total\"
         ORDER BY \"replicaverse place\"",
        stored.selection(),
        relation.own_rows()
    );
    let options = QueryOptions { cache: false, ..QueryOptions::binary() };
    let result = connection.query_with(&statement, &[], &options).await?;
    let mut bounds = Vec::with_capacity(result.rows.len());
    for row in result.rows.iter() {
        let values = row
            .iter()
            .zip(&stored.table().columns)
            .map(|(field, column)| field.map_or(Ok(Value::Null), |field| decode(&column.column_type, field)));
        bounds.push(values.collect::<Result<Row>>()?);
    }
    Ok(stored.declare(bounds))
}

/// In which part each key lies: as many parts end before it.
pub(in crate::postgres) async fn locate(
    connection: &mut Connection,
    table: &Table,
    bounds: &[Vec<Value>],
    keys: &[Vec<Value>],
) -> Result<Vec<usize>> {
    if bounds.is_empty() || keys.is_empty() {
        return Ok(vec![0; keys.len()]);
    }
    let relation = find(connection, table).await?;
    let types = key_types(connection, &relation, table).await?;
    let width = types.len();
    let side = |first: usize| {
        let lists: Vec<_> = (first..first + width).map(|number| format!("${number}::text[]")).collect();
        let names: Vec<_> = (0..width).map(|number| format!("v{number}")).collect();
        let casts: Vec<_> = types
            .iter()
            .enumerate()
            .map(|(number, cast)| format!("v{number}::{cast} AS k{number}"))
            .collect();
        format!(
            "(SELECT {}, place FROM unnest({}) WITH ORDINALITY AS u({}, place))",
            casts.join(", "),
            lists.join(", "),
            names.join(", ")
        )
    };
    let row = |alias: &str| {
        let names: Vec<_> = (0..width).map(|number| format!("{alias}.k{number}")).collect();
        format!("({})", names.join(", "))
    };
    let statement = format!(
        "SELECT (SELECT count(*) FROM {} AS b WHERE {} < {}) FROM {} AS k ORDER BY k.place",
        side(1),
        row("b"),
        row("k"),
        side(width + 1)
    );
    let mut parameters = Vec::with_capacity(width * 2);
    for rows in [bounds, keys] {
        for (place, position) in table.key.iter().enumerate() {
            let own_type = table.columns.get(*position).map(|column| &column.column_type);
            let text = |key: &Vec<Value>| key.get(place).and_then(|value| text_of(value, own_type)).into();
            parameters.push(text_of(&Value::Array(rows.iter().map(text).collect()), None).into());
        }
    }
    let result = connection.query(&statement, &parameters).await?;
    let parts: Result<Vec<usize>> = result
        .rows
        .iter()
        .map(|row| Ok(row.get_str(0)?.and_then(|count| count.parse().ok()).unwrap_or_default()))
        .collect();
    parts.and_then(|parts| {
        let message = "the server compared another number of keys than it was given";
        if parts.len() == keys.len() { Ok(parts) } else { Err(Error::new(ErrorKind::Internal, message)) }
    })
}

async fn find(connection: &mut Connection, table: &Table) -> Result<Relation> {
    let unknown = || Error::new(ErrorKind::UnknownTable, format!("table \"{}\" does not exist", table.name));
    catalog::find(connection, &table.name).await?.ok_or_else(unknown)
}

fn key_table(table: &Table) -> Table {
    Table {
        name: table.name.clone(),
        columns: table.key.iter().filter_map(|position| table.columns.get(*position)).cloned().collect(),
        key: (0..table.key.len()).collect(),
        references: Vec::new(),
    }
}

/// About how many rows there are, by the density that the planner knows and the present size, or by a common density
/// where the table was never analysed.
async fn estimated_rows(connection: &mut Connection, relation: &Relation) -> Result<u64> {
    let sql = "
        SELECT coalesce(sum(CASE WHEN c.relpages > 0 AND c.reltuples >= 0
                                 THEN c.reltuples / c.relpages ELSE 60 END
                            * (pg_relation_size(c.oid) / current_setting('block_size')::int)), 0)::bigint
        FROM pg_class c
        WHERE c.oid = $1::oid
           OR c.oid IN (SELECT p.relid FROM pg_partition_tree($1::oid) p WHERE p.isleaf)";
    let result = connection.query(sql, &[relation.oid().to_string().into()]).await?;
    let rows = result.rows.get(0).map(|row| row.get_str(0)).transpose()?.flatten();
    Ok(rows.and_then(|rows| rows.parse().ok()).unwrap_or(0))
}

/// The types of the key's columns, each with the collation by which it is ordered.
async fn key_types(connection: &mut Connection, relation: &Relation, table: &Table) -> Result<Vec<String>> {
    let sql = "
        SELECT format_type(a.atttypid, -1)
               || CASE WHEN a.attcollation NOT IN (0, t.typcollation)
                       THEN ' COLLATE ' || quote_ident(n.nspname) || '.' || quote_ident(c.collname) ELSE '' END
        FROM unnest($2::text[]) WITH ORDINALITY AS k(name, place)
        JOIN pg_attribute a ON a.attrelid = $1::oid AND a.attname = k.name
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_collation c ON c.oid = a.attcollation LEFT JOIN pg_namespace n ON n.oid = c.collnamespace
        ORDER BY k.place";
    let names = key_table(table).columns.into_iter().map(|column| Value::Text(column.name)).collect();
    let parameters = [relation.oid().to_string().into(), text_of(&Value::Array(names), None).into()];
    let result = connection.query(sql, &parameters).await?;
    let types: Result<Vec<String>> =
        result.rows.iter().map(|row| Ok(row.get_str(0)?.unwrap_or_default().to_owned())).collect();
    types.and_then(|types| {
        let message = format!("the primary key of table \"{}\" is another than it was", table.name);
        if types.len() == table.key.len() { Ok(types) } else { Err(Error::new(ErrorKind::Conflict, message)) }
    })
}
