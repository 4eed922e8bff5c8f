//! Documents as rows of a SQL table: which fields have a column, and where the others go.

use data::Result;
use data::table::{ColumnType, Table, TableColumn};

use super::KeyPrefix;
use crate::snapshot::{CollectionPlan, End, RestOfDocuments};

/// The column that keeps the fields of a document which have none of their own.
const EXTRA: &str = "extra";
/// What stands for it where there is no such column at the target; no field is called so.
const UNKEPT: &str = "$rest";

/// Cuts a described collection to the fields that have columns at the target, and adds a column for the rest. With `grows`,
/// the target is given columns that it lacks.
pub(super) async fn shape(
    source: &mut Table,
    plan: &CollectionPlan,
    target: &End,
    grows: bool,
) -> Result<()> {
    let name = match plan.rest {
        RestOfDocuments::Column => EXTRA,
        _ => UNKEPT,
    };
    *source = std::mem::replace(source, empty()).with_rest(name);
    if plan.rest == RestOfDocuments::Fields {
        return Ok(());
    }
    let grows = grows && plan.rest == RestOfDocuments::Reported && target.follows_schema();
    let existing = target.tables()?.describe(&plan.target_table).await?;
    let declared = plan.source_schema.as_ref().or(plan.target_schema.as_ref());
    match (existing, declared) {
        (Some(existing), _) if !grows => source.retain_columns(|column| {
            let name = plan.columns.at_target(&column.name);
            let is_own = existing.columns.iter().any(|own| own.name.eq_ignore_ascii_case(name));
            // What is left out is none of the rest.
            is_own || !plan.columns.takes(&column.name) || column.column_type == ColumnType::Rest
        }),
        (None, Some(schema)) if plan.rest == RestOfDocuments::Column => source.retain_columns(|column| {
            let is_link = plan.links.iter().any(|link| link.field == column.name);
            is_link
                || !plan.columns.takes(&column.name)
                || schema.column(plan.columns.at_target(&column.name)).is_some()
                || column.column_type == ColumnType::Rest
        }),
        _ => {}
    }
    Ok(())
}

/// The table that the target is to have: without the columns that are left out, and under its own names.
pub(super) fn wanted(source: &Table, plan: &CollectionPlan, target_is_schemaless: bool) -> Table {
    let mut wanted = Table { name: plan.target_table.clone(), ..source.clone() };
    wanted.retain_columns(|column| match column.column_type {
        ColumnType::Rest => plan.columns.include.is_none(),
        _ => plan.columns.takes(&column.name),
    });
    for column in wanted.columns.iter_mut().filter(|column| column.column_type != ColumnType::Rest) {
        column.name = plan.columns.at_target(&column.name).to_owned();
    }
    match plan.rest {
        RestOfDocuments::Nothing | RestOfDocuments::Fields => {}
        RestOfDocuments::Reported => wanted.retain_columns(|column| column.column_type != ColumnType::Rest),
        RestOfDocuments::Column => {
            for column in wanted.columns.iter_mut().filter(|column| column.column_type == ColumnType::Rest) {
                column.column_type = ColumnType::Json;
            }
        }
    }
    if let Some(prefix) = &plan.shape.key_prefix {
        KeyPrefix::widen(prefix, &mut wanted, target_is_schemaless);
    }
    add_columns(&mut wanted, plan, target_is_schemaless);
    wanted
}

/// Adds the columns that are filled on the way.
fn add_columns(wanted: &mut Table, plan: &CollectionPlan, target_is_schemaless: bool) {
    let text = ColumnType::Text(None);
    let added = if target_is_schemaless { ColumnType::Any } else { text.clone() };
    let column = |name: &str, column_type: &ColumnType, nullable| TableColumn {
        name: name.to_owned(),
        column_type: column_type.clone(),
        nullable,
        generated: false,
    };
    wanted.columns.extend(plan.columns.add.iter().map(|name| column(name, &added, true)));
    if let Some(mark) = &plan.shape.source_column {
        wanted.key.push(wanted.columns.len());
        wanted.columns.push(column(&mark.column, &text, false));
    }
}

fn empty() -> Table {
    Table { name: String::new(), columns: Vec::new(), key: Vec::new(), references: Vec::new() }
}
