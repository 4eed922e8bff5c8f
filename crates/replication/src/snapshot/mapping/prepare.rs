//! Making a mapping: both catalogues are read, and what the target lacks is made.

use std::sync::Arc;

use data::schema::{Discriminator, EntitySchema, UPDATED_AT};
use data::table::{ColumnType, StoredForm, Table, TableColumn, overlay_schema};
use data::{DialectKind, Error, ErrorKind, Filter, Result, RowFilter};

use super::{KeyPrefix, Mapping, composite, rest};
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
        match plan.source_schema.as_ref().or(plan.target_schema.as_ref()) {
            Some(schema) => overlay_schema(&mut source_table, schema, source.is_schemaless()),
            None if source.is_schemaless() && !target.is_schemaless() => {
                composite::adopt_key(&mut source_table, plan, target).await?;
            }
            None => {}
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
        let target_is_schemaless = target.is_schemaless();
        let wanted = rest::wanted(&source_table, plan, target_is_schemaless);
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
        let schema = plan.target_schema.as_ref().or(plan.source_schema.as_ref());
        // The entity's key is of the type that it has at the source.
        if let Some(schema) = schema.filter(|_| plan.shape.key_prefix.is_none()) {
            overlay_schema(&mut target_table, schema, target_is_schemaless);
        }
        let mut mapping = Self::between(plan, source_table, target_table, source, target)?;
        mapping.find_spelling(source).await?;
        Ok(mapping)
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
        let mark = plan.shape.source_column.as_ref();
        let shared = shared_columns(&source_table, &target_table, &left_out, &plan.columns)?;
        let (target_table, positions) = shared.complete(plan, &source_table, &target_table, mark)?;
        let filter = plan.shape.filter.as_ref().map(|filter| row_filter(filter, &source_table, source));
        let further = source_table.columns.len() + plan.columns.add.len();
        let is_list = |name: &str| plan.links.iter().any(|link| link.field == name);
        let discriminator = |schema: &Option<Arc<EntitySchema>>| {
            schema.as_ref().filter(|_| plan.one_entity).and_then(|schema| schema.discriminator.clone())
        };
        let source_discriminator =
            discriminator(&plan.source_schema).or_else(|| discriminator(&plan.target_schema));
        let target_discriminator =
            discriminator(&plan.target_schema).or_else(|| discriminator(&plan.source_schema));
        let key_prefix = plan.shape.key_prefix.as_deref();
        if source_discriminator.is_some() && (mark.is_some() || key_prefix.is_some()) {
            let message = "sourceColumn and keyPrefix are not for entities that share a table";
            return Err(Error::new(ErrorKind::Schema, message));
        }
        let (forms, source_forms) =
            (stored_forms(target, &target_table)?, stored_forms(source, &source_table)?);
        require_comparable_key(&source_table, &target_table, &positions, &forms, &source_forms)?;
        Ok(Self {
            updated_at: target_table.position(UPDATED_AT),
            target_has_own_columns: target.is_schemaless() || written > target_table.columns.len(),
            lists: target_table.columns.iter().map(|column| is_list(&column.name)).collect(),
            forms,
            source_forms,
            left_out: match &plan.shape.transform {
                // What a transform returns besides stands behind what it adds.
                Some(_) if source_table.rest().is_none() => Some(further),
                _ => rest.filter(|_| plan.columns.include.is_none()),
            },
            columns: plan.columns.clone(),
            label: plan.label.clone(),
            filter: filter.transpose()?,
            transform: plan.shape.transform.clone(),
            added: plan.columns.add.clone(),
            mark_position: mark.and_then(|mark| own_position(&target_table, &mark.column)),
            source_mark: mark.cloned(),
            key_prefix: key_prefix.map(|text| KeyPrefix::new(text, &target_table)).transpose()?,
            transform_limit: plan.shape.transform_limit,
            deletes_dropped: plan.shape.deletes_dropped,
            source: Arc::new(source_table),
            target: Arc::new(target_table),
            positions,
            source_discriminator,
            target_discriminator,
            target_is_schemaless: target.is_schemaless(),
            target_holds_json_null: target.holds_json_null(),
            source_keeps_json_as_text: source
                .dialect()
                .is_some_and(|dialect| dialect.kind() == DialectKind::Sqlite),
            limits: target.tables()?.limits(),
            source_limits: source.tables()?.limits(),
        })
    }
}

/// In which form the columns of a table keep their values, unless its entity has given them another type.
fn stored_forms(end: &End, table: &Table) -> Result<Vec<StoredForm>> {
    let forms = end.tables()?.stored_forms(table);
    let own = |(form, column): (StoredForm, &TableColumn)| {
        let is_free = matches!(column.column_type, ColumnType::Any | ColumnType::Date | ColumnType::Time);
        match form {
            StoredForm::StorageClasses | StoredForm::NumericAffinity if !is_free => StoredForm::Same,
            form => form,
        }
    };
    Ok(forms.into_iter().zip(&table.columns).map(own).collect())
}

/// Fails if a part of the target's key has a type in which the keys of the source could not be found again.
fn require_comparable_key(
    source: &Table,
    target: &Table,
    positions: &[usize],
    forms: &[StoredForm],
    source_forms: &[StoredForm],
) -> Result<()> {
    let is_same = |own: usize, position: usize| {
        let types = source.columns.get(position).zip(target.columns.get(own));
        types.is_some_and(|(a, b)| a.column_type == b.column_type)
            && source_forms.get(position) == forms.get(own)
    };
    let problem = target.key.iter().find(|own| {
        let has_notations = forms.get(**own).is_some_and(StoredForm::has_notations);
        has_notations && !positions.get(**own).is_some_and(|position| is_same(**own, *position))
    });
    let Some(column) = problem.and_then(|own| target.columns.get(*own)) else { return Ok(()) };
    let declared = match &column.column_type {
        ColumnType::Native(name) => name,
        _ => "column",
    };
    let message = format!(
        "column \"{}\" of table \"{}\" cannot be compared with the source's primary key, since its type ({declared}) writes \
         values in its own way; give it the type that it has at the source",
        column.name, target.name
    );
    Err(Error::new(ErrorKind::Schema, message))
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

/// The columns that the target has in common with the source.
fn shared_columns(source: &Table, target: &Table, left_out: &[&str], names: &ColumnRule) -> Result<Shared> {
    let mut columns = Vec::new();
    let mut positions = Vec::new();
    for (position, column) in source.columns.iter().enumerate() {
        if left_out.contains(&column.name.as_str()) {
            continue;
        }
        let name = names.at_target(&column.name);
        let is_taken = |own: &TableColumn| {
            let taking = source.columns.iter().filter(|other| !left_out.contains(&other.name.as_str()));
            taking.map(|other| names.at_target(&other.name)).any(|other| other == own.name)
        };
        let Some(own) = column_called(target, name, is_taken)? else {
            let message = format!("table \"{}\" has no column \"{name}\" at the target", target.name);
            return Err(Error::new(ErrorKind::Schema, message));
        };
        if !own.generated {
            columns.push(own.clone());
            positions.push(position);
        }
    }
    let source_key: Vec<String> =
        key_names(source).into_iter().map(|name| names.at_target(&name).to_owned()).collect();
    Ok(Shared { columns, positions, source_key })
}

/// The column of this name, else the only one whose name differs from it by case alone, as SQLite takes `Email` and `email` for one
/// column. One that is taken by its exact name stands for no other.
fn column_called<'t>(
    target: &'t Table,
    name: &str,
    is_taken: impl Fn(&TableColumn) -> bool,
) -> Result<Option<&'t TableColumn>> {
    if let Some(exact) = target.columns.iter().find(|own| own.name == name) {
        return Ok(Some(exact));
    }
    let mut alike = target.columns.iter().filter(|own| own.name.eq_ignore_ascii_case(name) && !is_taken(own));
    match (alike.next(), alike.next()) {
        (Some(one), Some(other)) => Err(Error::new(
            ErrorKind::Schema,
            format!(
                "table \"{}\" has no column \"{name}\" at the target, but \"{}\" and \"{}\"; rename one of them",
                target.name, one.name, other.name
            ),
        )),
        (only, _) => Ok(only),
    }
}

/// The columns of a target that its source has too.
struct Shared {
    columns: Vec<TableColumn>,
    /// Where they stand in the source.
    positions: Vec<usize>,
    /// The primary key of the source, by the target's names.
    source_key: Vec<String>,
}

impl Shared {
    /// The table of these columns, and of those that are filled on the way, with the key of the target; and where each column
    /// stands in the source.
    fn complete(
        self,
        plan: &CollectionPlan,
        source: &Table,
        target: &Table,
        mark: Option<&Discriminator>,
    ) -> Result<(Table, Vec<usize>)> {
        let Self { mut columns, mut positions, mut source_key } = self;
        let further = plan.columns.add.iter().chain(mark.map(|mark| &mark.column));
        for (name, position) in further.zip(source.columns.len()..) {
            if own_position(source, name).is_some() || columns.iter().any(|own| own.name == *name) {
                let message = format!(
                    "column \"{name}\" is filled on the way, but table \"{}\" of the source has one",
                    source.name
                );
                return Err(Error::new(ErrorKind::Schema, message));
            }
            let own = own_position(target, name).and_then(|at| target.columns.get(at)).ok_or_else(|| {
                let message = format!("table \"{}\" has no column \"{name}\" at the target", target.name);
                Error::new(ErrorKind::Schema, message)
            })?;
            columns.push(own.clone());
            positions.push(position);
        }
        let target_key = key_names(target);
        // Where the name of the source stands in the key does not matter.
        if let Some(mark) = mark {
            let at = target_key.iter().position(|name| name.eq_ignore_ascii_case(&mark.column));
            source_key.insert(at.unwrap_or(source_key.len()).min(source_key.len()), mark.column.clone());
        }
        let is_same = source_key.len() == target_key.len()
            && source_key.iter().zip(&target_key).all(|(a, b)| a.to_lowercase() == b.to_lowercase());
        let position = |name: &String| {
            let exact = columns.iter().position(|column| column.name == *name);
            exact.or_else(|| columns.iter().position(|column| column.name.eq_ignore_ascii_case(name)))
        };
        match source_key.iter().map(position).collect::<Option<Vec<usize>>>() {
            Some(key) if is_same => {
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
}

fn key_names(table: &Table) -> Vec<String> {
    let column = |at: &usize| table.columns.get(*at).map(|column| column.name.clone());
    table.key.iter().filter_map(column).collect()
}

/// The position of a column, whatever the case of its name.
fn own_position(table: &Table, name: &str) -> Option<usize> {
    let by_case = || table.columns.iter().position(|own| own.name.eq_ignore_ascii_case(name));
    table.position(name).or_else(by_case)
}

/// The filter for the rows of a source.
fn row_filter(filter: &Filter, table: &Table, source: &End) -> Result<RowFilter> {
    let kind = source.dialect().map(|dialect| dialect.kind());
    let kind = kind.ok_or_else(|| Error::new(ErrorKind::Unsupported, "files are not filtered"))?;
    RowFilter::of(filter, table, kind)
}
