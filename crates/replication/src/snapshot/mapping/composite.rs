//! Keys of several columns in documents, which do not tell by themselves that they have them.

use data::Result;
use data::table::{ColumnType, Table, TableColumn};

use crate::snapshot::{CollectionPlan, End};

/// Gives a collection the key of several columns that its rows have at an existing target. Such rows are documents whose `_id` is a
/// document of those columns, which they have as fields besides. Nothing is changed where the documents lack one of the fields.
pub(super) async fn adopt_key(source: &mut Table, plan: &CollectionPlan, target: &End) -> Result<()> {
    let Some(existing) = target.tables()?.describe(&plan.target_table).await? else { return Ok(()) };
    let ([own_key], [_, _, ..]) = (source.key.as_slice(), existing.key.as_slice()) else { return Ok(()) };
    let own_key = *own_key;
    // Of a collection without documents nothing but the key is known.
    let is_empty = source.columns.len() == 1;
    let mut columns = source.columns.clone();
    columns.remove(own_key);
    let mut key = Vec::with_capacity(existing.key.len());
    for part in existing.key.iter().filter_map(|at| existing.columns.get(*at)) {
        let is_part =
            |column: &TableColumn| plan.columns.at_target(&column.name).eq_ignore_ascii_case(&part.name);
        match columns.iter_mut().enumerate().find(|(_, column)| is_part(column)) {
            Some((position, column)) => {
                column.nullable = false;
                key.push(position);
            }
            None if is_empty => {
                key.push(columns.len());
                columns.push(TableColumn { column_type: ColumnType::Any, nullable: false, ..part.clone() });
            }
            None => return Ok(()),
        }
    }
    (source.columns, source.key) = (columns, key);
    Ok(())
}
