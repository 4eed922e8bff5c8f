//! Sequences of PostgreSQL, which rows that were written with their numbers do not move.

use indexmap::IndexMap;

use crate::dialect::{Dialect, DialectKind};
use crate::error::Result;
use crate::value::Value;

/// The rising sequences from which columns of the current schema take their numbers, owned by them or named in their defaults.
const SEQUENCES: &str = "
    SELECT c.oid::regclass::text AS relation, quote_ident(a.attname) AS attribute, s.seqrelid::regclass::text AS sequence
    FROM (
        SELECT d.refobjid AS relation, d.refobjsubid::int AS number, d.objid AS sequence
        FROM pg_depend d
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        UNION
        SELECT f.adrelid, f.adnum::int, d.refobjid
        FROM pg_attrdef f
        JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
    ) AS used
    JOIN pg_sequence s ON s.seqrelid = used.sequence AND s.seqincrement > 0
    JOIN pg_class c ON c.oid = used.relation AND c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = used.number AND NOT a.attisdropped
    WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)";

/// Has the sequences of a database go on behind the numbers that its rows have, so that the next row gets one that is free.
/// Databases other than PostgreSQL see to that themselves.
///
/// # Errors
/// What the database reports: the user needs UPDATE on the sequences.
pub async fn advance_sequences(database: &dyn Dialect) -> Result<()> {
    if database.kind() != DialectKind::Postgres {
        return Ok(());
    }
    for used in database.execute_query(SEQUENCES, Vec::new()).await? {
        let (relation, attribute, sequence) =
            (text(&used, "relation"), text(&used, "attribute"), text(&used, "sequence"));
        let advance = format!(
            "SELECT setval($1::regclass, present.highest) \
             FROM (SELECT max({attribute})::bigint AS highest FROM {relation}) AS present, {sequence} AS sequence \
             WHERE present.highest > sequence.last_value \
                OR (present.highest = sequence.last_value AND NOT sequence.is_called)"
        );
        database.execute_query(&advance, vec![Value::from(sequence)]).await?;
    }
    Ok(())
}

fn text<'a>(row: &'a IndexMap<String, Value>, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_text).unwrap_or_default()
}
