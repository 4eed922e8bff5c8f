//! Both ways between two tables, and the columns that stand against each other.

use std::sync::Arc;

use data::schema::{DELETED_AT, UPDATED_AT};
use data::table::{Table, TableColumn, overlay_schema};
use data::{Error, ErrorKind, Result};

use crate::rule::{ConflictResolution, Rule};
use crate::snapshot::{Collection, CollectionPlan, End, Mapping};

/// A collection of a bidirectional rule, seen both ways.
pub(crate) struct Pair {
    /// From the source to the target.
    pub(crate) to_target: Arc<Collection>,
    /// From the target to the source.
    pub(crate) to_source: Arc<Collection>,
    /// The columns that are compared, by name; the key is not among them.
    pub(crate) columns: Vec<Column>,
    pub(crate) resolution: ConflictResolution,
    /// Positions of `updatedAt` in rows of the source and of the target.
    pub(crate) updated_at: Option<(usize, usize)>,
    /// Positions of `deletedAt`, which a soft delete sets and leaves `updatedAt` alone.
    pub(crate) deleted_at: Option<(usize, usize)>,
    /// Whether both sides keep microseconds; moments are compared by what both keep.
    pub(crate) microseconds: bool,
}

/// A column that both sides have and that can be written on both.
pub(crate) struct Column {
    pub(crate) name: String,
    /// Its position in rows of the source and of the target, as they are read.
    pub(crate) at_source: usize,
    pub(crate) at_target: usize,
    /// Its position in rows as they are written to the target and to the source.
    pub(crate) into_target: usize,
    pub(crate) into_source: usize,
}

impl Pair {
    /// Reads both catalogues, and makes on each side what it lacks of the other.
    pub(crate) async fn prepare(
        rule: &Rule,
        plan: &CollectionPlan,
        source: &End,
        target: &End,
    ) -> Result<Self> {
        let (source, target) = &plan.ends(source, target);
        let (source_table, target_table) = tables_with_all_columns(plan, source, target).await?;
        let back = plan.reversed();
        let forth = Mapping::between(plan, source_table.clone(), target_table.clone(), source, target)?;
        let back = Mapping::between(&back, target_table, source_table, target, source)?;
        let positions = |name| forth.source.position(name).zip(back.source.position(name));
        let (updated_at, deleted_at) = (positions(UPDATED_AT), positions(DELETED_AT));
        let columns = columns(&forth, &back);
        let microseconds = source.tables()?.limits().microseconds && target.tables()?.limits().microseconds;
        let collection = |source: &End, target: &End, mapping| {
            Arc::new(Collection {
                label: plan.label.clone(),
                source: source.clone(),
                target: target.clone(),
                mapping,
                resolution: rule.conflict_resolution,
                fresh: false,
                rewrites: false,
            })
        };
        Ok(Self {
            to_target: collection(source, target, forth),
            to_source: collection(target, source, back),
            columns,
            resolution: rule.conflict_resolution,
            updated_at,
            deleted_at,
            microseconds,
        })
    }

    /// Whether a row of the target belongs to the entity, where several share the table.
    pub(crate) fn is_of_entity_at_target(&self, own: &[data::Value]) -> bool {
        let table = &self.to_source.mapping.source;
        self.to_target.mapping.target_discriminator.as_ref().is_none_or(|entity| {
            let value = table.position(&entity.column).and_then(|position| own.get(position));
            value.is_none_or(|value| value.as_text() == Some(&entity.value))
        })
    }
}

/// The tables of both sides once each has every column of the other.
async fn tables_with_all_columns(
    plan: &CollectionPlan,
    source: &End,
    target: &End,
) -> Result<(Table, Table)> {
    let schemaless = |end: &End| end.is_schemaless();
    let describe = async |end: &End, name: &str| -> Result<Option<Table>> {
        let mut table = end.tables()?.describe(name).await?;
        let schema = plan.source_schema.as_ref().or(plan.target_schema.as_ref());
        if let (Some(table), Some(schema)) = (&mut table, schema) {
            overlay_schema(table, schema, schemaless(end));
            plan.add_list_columns(table);
        }
        Ok(table)
    };
    let own = describe(source, &plan.source_table).await?;
    let other = describe(target, &plan.target_table).await?;
    let (key_from, mut wanted) = match (&own, &other) {
        (None, None) => {
            let message = format!("collection \"{}\" exists on neither side", plan.label);
            return Err(Error::new(ErrorKind::UnknownTable, message));
        }
        // A schemaless side does not know by which columns of the other its rows are keyed.
        (Some(own), Some(other)) if schemaless(source) && !schemaless(target) => (other, other.clone()),
        (Some(own), _) => (own, own.clone()),
        (None, Some(other)) => (other, other.clone()),
    };
    key_from.require_key()?;
    let key: Vec<String> = key_from
        .key
        .iter()
        .filter_map(|position| key_from.columns.get(*position))
        .map(|key| key.name.clone())
        .collect();
    for (table, end) in own.iter().zip([source]).chain(other.iter().zip([target])) {
        for (position, column) in table.columns.iter().enumerate() {
            let known = wanted.columns.iter().any(|known| known.name.eq_ignore_ascii_case(&column.name));
            let stands_for_the_key = schemaless(end) && table.key.contains(&position);
            if !known && !stands_for_the_key {
                wanted.columns.push(TableColumn { nullable: true, generated: false, ..column.clone() });
            }
        }
    }
    wanted.key =
        key.iter().filter_map(|name| wanted.columns.iter().position(|column| column.name == *name)).collect();
    let make = async |end: &End, name: &str| -> Result<Table> {
        let wanted = Table { name: name.to_owned(), ..wanted.clone() };
        let mut table = end.tables()?.create_like(&wanted).await?;
        if let Some(schema) = plan.source_schema.as_ref().or(plan.target_schema.as_ref()) {
            overlay_schema(&mut table, schema, schemaless(end));
        }
        Ok(table)
    };
    Ok((make(source, &plan.source_table).await?, make(target, &plan.target_table).await?))
}

fn columns(forth: &Mapping, back: &Mapping) -> Vec<Column> {
    let (at_source, at_target) = (&forth.source, &back.source);
    let mut columns: Vec<Column> = Vec::with_capacity(forth.target.columns.len());
    for (into_target, written) in forth.target.columns.iter().enumerate() {
        if forth.target.key.contains(&into_target) {
            continue;
        }
        let source_position = forth.position(into_target);
        let Some(source_column) = at_source.columns.get(source_position) else { continue };
        let into_source = back.target.position(&source_column.name);
        if let (Some(into_source), Some(target_position)) = (into_source, at_target.position(&written.name)) {
            columns.push(Column {
                name: source_column.name.clone(),
                at_source: source_position,
                at_target: target_position,
                into_target,
                into_source,
            });
        }
    }
    // In one order whichever side is called the source, as ties are decided by the first that differs.
    columns.sort_by_cached_key(|column| column.name.to_lowercase());
    columns
}
