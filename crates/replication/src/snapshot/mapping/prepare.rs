//! Making a mapping: both catalogues are read, and what the target lacks is made.

use std::sync::Arc;

use data::schema::{EntitySchema, UPDATED_AT};
use data::table::{ColumnType, Table, TableColumn, overlay_schema};
use data::{Error, ErrorKind, Result};

use super::{Mapping, rest};
use crate::column_rule::ColumnRule;
use crate::snapshot::{CollectionPlan, End, RestOfDocuments};

/// What happens where the target lacks a table or column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creation {
    /// It is an error.
    Nothing,
    /// It is made.
    Missing,
    /// It is taken to be there, with the types of the source.
    Imagined,
}

impl Mapping {
    /// Reads both catalogues; with `create`, makes what the target lacks.
    pub(crate) async fn prepare(
        plan: &CollectionPlan,
        source: &End,
        target: &End,
        create: bool,
    ) -> Result<Self> {
        let creation = if create { Creation::Missing } else { Creation::Nothing };
        Self::prepare_with(plan, source, target, creation).await
    }

    /// Reads both catalogues; what the target lacks is made, missed or imagined.
    pub(crate) async fn prepare_with(
        plan: &CollectionPlan,
        source: &End,
        target: &End,
        creation: Creation,
    ) -> Result<Self> {
        let (source_tables, target_tables) = (source.tables()?, target.tables()?);
        let unknown = |name: &str, end: &str| {
            Error::new(ErrorKind::UnknownTable, format!("collection \"{name}\" does not exist at the {end}"))
        };
        let mut source_table = source_tables
            .describe(&plan.source_table)
            .await?
            .ok_or_else(|| unknown(&plan.source_table, "source"))?;
        if let Some(schema) = plan.source_schema.as_ref().or(plan.target_schema.as_ref()) {
            overlay_schema(&mut source_table, schema, source.is_schemaless());
        }
        if source_tables.is_untyped() {
            adopt_target(&mut source_table, plan, target).await?;
        }
        if target_tables.needs_keys() {
            require_key(&source_table, source_tables.is_untyped())?;
        }
        plan.add_list_columns(&mut source_table);
        if plan.rest != RestOfDocuments::Nothing {
            rest::shape(&mut source_table, plan, target, creation == Creation::Missing).await?;
        }
        let wanted = rest::wanted(&source_table, plan);
        let target_is_schemaless = target.is_schemaless();
        let existing = match creation {
            Creation::Missing => None,
            Creation::Nothing | Creation::Imagined => target_tables.describe(&plan.target_table).await?,
        };
        let mut target_table = match (existing, creation) {
            (None, Creation::Nothing) => return Err(unknown(&plan.target_table, "target")),
            (Some(existing), Creation::Imagined) if !target_is_schemaless => {
                imagine_missing(existing, &wanted)
            }
            // A schemaless target does not know by which columns of the source its documents are keyed.
            (Some(existing), _) if !target_is_schemaless => existing,
            (_, Creation::Imagined) => wanted,
            _ => target_tables.create_like(&wanted).await?,
        };
        if let Some(schema) = plan.target_schema.as_ref().or(plan.source_schema.as_ref()) {
            overlay_schema(&mut target_table, schema, target_is_schemaless);
        }
        Self::between(plan, source_table, target_table, source, target)
    }

    /// The mapping between two tables as they are.
    pub(crate) fn between(
        plan: &CollectionPlan,
        source_table: Table,
        target_table: Table,
        source: &End,
        target: &End,
    ) -> Result<Self> {
        let into_junction = target.has_junctions();
        let left_out: Vec<&str> = plan
            .links
            .iter()
            .filter(|link| link.is_inverse && into_junction)
            .map(|link| link.field.as_str())
            .collect();
        let written = target_table.columns.iter().filter(|column| !column.generated).count();
        let rest = source_table.rest().filter(|_| plan.rest == RestOfDocuments::Reported);
        let is_unkept = |column: &TableColumn| match column.column_type {
            ColumnType::Rest => plan.columns.include.is_some() || plan.rest == RestOfDocuments::Reported,
            _ => !plan.columns.takes(&column.name),
        };
        let unkept = source_table.columns.iter().filter(|column| is_unkept(column));
        let left_out: Vec<&str> =
            left_out.into_iter().chain(unkept.map(|column| column.name.as_str())).collect();
        let (target_table, positions) =
            shared_columns(&source_table, &target_table, &left_out, &plan.columns)?;
        let is_list = |name: &str| plan.links.iter().any(|link| link.field == name);
        let discriminator = |schema: &Option<Arc<EntitySchema>>| {
            schema.as_ref().filter(|_| plan.one_entity).and_then(|schema| schema.discriminator.clone())
        };
        let source_discriminator =
            discriminator(&plan.source_schema).or_else(|| discriminator(&plan.target_schema));
        let target_discriminator =
            discriminator(&plan.target_schema).or_else(|| discriminator(&plan.source_schema));
        Ok(Self {
            updated_at: target_table.position(UPDATED_AT),
            target_has_own_columns: target.is_schemaless() || written > target_table.columns.len(),
            lists: target_table.columns.iter().map(|column| is_list(&column.name)).collect(),
            second_digits: target.tables()?.second_digits(&target_table),
            left_out: rest.filter(|_| plan.columns.include.is_none()),
            columns: plan.columns.clone(),
            source: Arc::new(source_table),
            target: Arc::new(target_table),
            positions,
            source_discriminator,
            target_discriminator,
            target_is_schemaless: target.is_schemaless(),
            target_holds_json_null: target.holds_json_null(),
            limits: target.tables()?.limits(),
            source_limits: source.tables()?.limits(),
        })
    }
}

/// Gives the columns of a source whose types are only found from its values those of an existing target, and its key.
async fn adopt_target(source: &mut Table, plan: &CollectionPlan, target: &End) -> Result<()> {
    // A schemaless target has no types either, but those of the rows that it happens to hold.
    if target.is_schemaless() {
        return Ok(());
    }
    let Some(mut existing) = target.tables()?.describe(&plan.target_table).await? else { return Ok(()) };
    if let Some(schema) = plan.target_schema.as_ref().or(plan.source_schema.as_ref()) {
        overlay_schema(&mut existing, schema, false);
    }
    for column in &mut source.columns {
        let own = existing.columns.iter().find(|own| own.name.eq_ignore_ascii_case(&column.name));
        if let Some(own) = own.filter(|own| own.column_type != ColumnType::Any) {
            column.column_type = own.column_type.clone();
        }
    }
    if source.key.is_empty() {
        let position = |at: &usize| {
            let name = existing.columns.get(*at).map(|column| column.name.as_str()).unwrap_or_default();
            source.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
        };
        source.key = existing.key.iter().map(position).collect::<Option<_>>().unwrap_or_default();
    }
    Ok(())
}

fn require_key(source: &Table, is_file: bool) -> Result<()> {
    if is_file && source.key.is_empty() {
        let message = format!(
            "no column of \"{}\" is known as its primary key; name it with the source's option key",
            source.name
        );
        return Err(Error::new(ErrorKind::NoPrimaryKey, message));
    }
    source.require_key()
}

/// An existing table with the columns that it would be given.
fn imagine_missing(mut existing: Table, wanted: &Table) -> Table {
    let lacks = |name: &str| !existing.columns.iter().any(|own| own.name.eq_ignore_ascii_case(name));
    let missing: Vec<_> = wanted.columns.iter().filter(|column| lacks(&column.name)).cloned().collect();
    existing.columns.extend(missing);
    existing
}

/// The target cut to the columns that the source has too, and where those stand in the source.
fn shared_columns(
    source: &Table,
    target: &Table,
    left_out: &[&str],
    names: &ColumnRule,
) -> Result<(Table, Vec<usize>)> {
    let mut columns = Vec::new();
    let mut positions = Vec::new();
    for (position, column) in source.columns.iter().enumerate() {
        if left_out.contains(&column.name.as_str()) {
            continue;
        }
        let name = names.at_target(&column.name);
        let exact = target.columns.iter().find(|own| own.name == name);
        // SQLite takes `Email` and `email` for one column.
        let Some(own) =
            exact.or_else(|| target.columns.iter().find(|own| own.name.eq_ignore_ascii_case(name)))
        else {
            let message = format!("table \"{}\" has no column \"{name}\" at the target", target.name);
            return Err(Error::new(ErrorKind::Schema, message));
        };
        if !own.generated {
            columns.push(own.clone());
            positions.push(position);
        }
    }
    let key_names =
        |table: &Table| table.key.iter().map(|at| table.columns[*at].name.clone()).collect::<Vec<_>>();
    let source_key: Vec<String> =
        key_names(source).iter().map(|name| names.at_target(name).to_owned()).collect();
    let target_key = key_names(target);
    let key: Option<Vec<usize>> = source_key
        .iter()
        .map(|name| columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)))
        .collect();
    match key {
        Some(key)
            if source_key
                .iter()
                .map(|name| name.to_lowercase())
                .eq(target_key.iter().map(|name| name.to_lowercase())) =>
        {
            let table =
                Table { name: target.name.clone(), columns, key, references: target.references.clone() };
            Ok((table, positions))
        }
        _ => Err(Error::new(
            ErrorKind::Schema,
            format!(
                "table \"{}\" has the primary key ({}) at the source and ({}) at the target; make them equal",
                target.name,
                source_key.join(", "),
                target_key.join(", ")
            ),
        )),
    }
}
