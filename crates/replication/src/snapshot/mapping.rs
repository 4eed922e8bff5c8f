//! How the rows of a source table become rows of its target table.

use std::sync::Arc;

use data::schema::{Discriminator, EntitySchema, UPDATED_AT};
use data::table::{
    Coerced, ColumnType, Limits, Loss, Row, Table, coerce, cut_second, json_loss, overlay_schema,
};
use data::{Error, ErrorKind, Result, Timestamp, Value, json_text, plain_value};

use super::links::{list_of, same_links};
use super::{CollectionPlan, End, canonical_key};
use crate::stats::CollectionStats;

/// A source table, its target table cut to the columns they share, and the way from one to the other.
pub(crate) struct Mapping {
    /// The source table.
    pub(crate) source: Arc<Table>,
    /// The target table, with only the columns that the source has and that can be written.
    pub(crate) target: Arc<Table>,
    /// For each column of `target`, its position in `source`.
    positions: Vec<usize>,
    /// The rows meant at the source, where entities share its table.
    pub(crate) source_discriminator: Option<Discriminator>,
    /// The rows meant at the target.
    pub(crate) target_discriminator: Option<Discriminator>,
    /// Position of `updatedAt` in `target`.
    updated_at: Option<usize>,
    target_is_schemaless: bool,
    target_holds_json_null: bool,
    /// For each column of `target`, whether it lists the links of a many-to-many relation.
    lists: Vec<bool>,
    limits: Limits,
    source_limits: Limits,
    /// For each column of `target`, how many digits of a second it keeps.
    second_digits: Vec<Option<u32>>,
}

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

/// A row in the types of the target, with the columns whose conversion gave something up.
pub(crate) type Converted = (Row, Vec<(usize, Loss)>);

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
        let wanted = Table { name: plan.target_table.clone(), ..source_table.clone() };
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
        let (target_table, positions) = shared_columns(&source_table, &target_table, &left_out)?;
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
            lists: target_table.columns.iter().map(|column| is_list(&column.name)).collect(),
            second_digits: target.tables()?.second_digits(&target_table),
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

    /// Brings rows into the types of the target; those that do not fit are counted as failed.
    pub(crate) fn convert(&self, rows: Vec<Row>, stats: &mut CollectionStats) -> Vec<Row> {
        let mut converted = Vec::with_capacity(rows.len());
        for row in rows {
            let key = self.source.key_of(&row);
            match self.convert_whole(row) {
                Ok((row, losses)) => {
                    self.count_losses(losses, stats);
                    converted.push(row);
                }
                Err(error) => stats.fail_row(key, error.to_string()),
            }
        }
        converted
    }

    /// Brings a row into the types of the target.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] or [`ErrorKind::NotNullViolation`] naming the column that cannot hold its value.
    pub(crate) fn convert_whole(&self, row: Row) -> Result<Converted> {
        let key = self.source.key_of(&row);
        self.convert_row(row).and_then(|converted| self.check_key(&key, converted))
    }

    /// Counts what conversions gave up.
    pub(crate) fn count_losses(&self, losses: Vec<(usize, Loss)>, stats: &mut CollectionStats) {
        for (column, loss) in losses {
            stats.convert(&self.target.columns[column].name, loss.describe(), 1);
        }
    }

    /// A key must come out of the conversion whole, or two rows of the source could become one.
    fn check_key(&self, key: &[Value], (row, losses): Converted) -> Result<Converted> {
        if key.iter().any(Value::is_null) {
            return Err(Error::new(ErrorKind::NotNullViolation, "the primary key holds NULL"));
        }
        let target_key = self.target.key_of(&row);
        let is_whole = target_key == key
            || self.source_key(&target_key).is_some_and(|back| canonical_key(&back) == canonical_key(key));
        if is_whole {
            return Ok((row, losses));
        }
        Err(Error::new(ErrorKind::Value, "the target cannot hold this primary key as it is"))
    }

    fn convert_row(&self, mut row: Row) -> Result<Converted> {
        let mut losses = Vec::new();
        let mut converted = Vec::with_capacity(self.positions.len());
        for (column, position) in self.positions.iter().enumerate() {
            let value = row.get_mut(*position).map(std::mem::take).unwrap_or_default();
            let Coerced { value, loss } = self.convert_value(column, value)?;
            losses.extend(loss.map(|loss| (column, loss)));
            converted.push(value);
        }
        Ok((converted, losses))
    }

    /// Brings the value for a column of `target` into its type.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] naming the column.
    pub(crate) fn convert_value(&self, column: usize, value: Value) -> Result<Coerced> {
        let target = &self.target.columns[column];
        if self.lists[column] {
            return Ok(list_of(value, self.target_is_schemaless).into());
        }
        let source_type = &self.source.columns[self.positions[column]].column_type;
        let coerced = match self.json_for(source_type, &target.column_type, value) {
            Ok(json) => json,
            Err(value) => coerce(value, &target.column_type, &self.limits)
                .map_err(|error| error.in_context(format!("column \"{}\"", target.name)))?,
        };
        Ok(match self.second_digits.get(column).copied().flatten() {
            Some(digits) => cut_second(coerced, digits),
            None => coerced,
        })
    }

    /// Where the value for a column of `target` stands in `source`.
    pub(crate) fn position(&self, column: usize) -> usize {
        self.positions[column]
    }

    /// Whether a row that was converted is what the target holds. The key is left out: the row was found by it, and a
    /// database may give it in another type.
    pub(crate) fn is_same(&self, row: &[Value], own: &[Value]) -> bool {
        self.differing_columns(row, own).next().is_none()
    }

    /// The columns of `target` in which a row that was converted differs from what the target holds.
    pub(crate) fn differing_columns(&self, row: &[Value], own: &[Value]) -> impl Iterator<Item = usize> {
        let columns = row.iter().zip(own).enumerate();
        columns
            .filter(|(column, (value, own))| {
                !self.target.key.contains(column) && !self.same_value(*column, value, own)
            })
            .map(|(column, _)| column)
    }

    /// Whether two values of a column of `target` mean the same.
    pub(crate) fn same_value(&self, column: usize, a: &Value, b: &Value) -> bool {
        if self.lists.get(column) == Some(&true) { same_links(a, b) } else { a.same_as(b) }
    }

    /// The key of a source row as the target would hold it; `None` if the target cannot hold it whole.
    pub(crate) fn target_key(&self, source_key: &[Value]) -> Option<Vec<Value>> {
        let columns = self.target.key.iter().map(|position| &self.target.columns[*position]);
        let coerced = source_key.iter().zip(columns).map(|(value, column)| {
            let whole = coerce(value.clone(), &column.column_type, &self.limits).ok()?;
            (whole.loss.is_none() && !whole.value.is_null()).then_some(whole.value)
        });
        let key: Vec<Value> = coerced.collect::<Option<_>>()?;
        let back = self.source_key(&key)?;
        (canonical_key(&back) == canonical_key(source_key)).then_some(key)
    }

    /// JSON in the form in which the target keeps it, so that it compares equal with what the target gives back: the text
    /// of a JSON string has its quotes, and what only BSON knows becomes JSON. A value that is no JSON is handed back.
    fn json_for(&self, source: &ColumnType, target: &ColumnType, value: Value) -> Result<Coerced, Value> {
        let is_document = matches!(value, Value::Array(_) | Value::Object(_));
        let loss = if self.target_is_schemaless { None } else { json_loss(&value) };
        let value = match (source, target) {
            _ if value.is_null() => return Err(value),
            _ if value == Value::JsonNull && !self.target_holds_json_null => return Err(Value::Null),
            (ColumnType::Json, ColumnType::Json) if self.target_is_schemaless => value,
            _ if self.target_is_schemaless => return Err(value),
            (ColumnType::Json, ColumnType::Text(_)) => Value::Text(json_text(&value)),
            (ColumnType::Json, ColumnType::Json) => plain_value(value),
            (_, ColumnType::Json) if is_document => plain_value(value),
            // A column of any type has no place for a document but as text.
            (_, ColumnType::Any | ColumnType::Text(_)) if is_document => Value::Text(json_text(&value)),
            _ => return Err(value),
        };
        Ok(Coerced { value, loss })
    }

    /// The key of a target row as the source would hold it; `None` if the source cannot hold such a key.
    pub(crate) fn source_key(&self, target_key: &[Value]) -> Option<Vec<Value>> {
        let columns = self.source.key.iter().map(|position| &self.source.columns[*position]);
        let coerced = target_key.iter().zip(columns).map(|(value, column)| {
            coerce(value.clone(), &column.column_type, &self.source_limits)
                .ok()
                .filter(|coerced| coerced.loss.is_none())
        });
        coerced.map(|coerced| coerced.map(|coerced| coerced.value)).collect()
    }

    /// What no two collections of a run may share: the target's rows.
    pub(crate) fn target_identity(&self) -> (String, Option<String>) {
        (self.target.name.clone(), self.target_discriminator.as_ref().map(|own| own.value.clone()))
    }

    /// Whether a row of the target belongs to the entity that is mirrored.
    pub(crate) fn is_of_entity(&self, row: &[Value]) -> bool {
        self.target_discriminator.as_ref().is_none_or(|own| {
            let value = self.target.position(&own.column).and_then(|position| row.get(position));
            value.is_none_or(|value| value.as_text() == Some(&own.value))
        })
    }

    /// Whether the row of the source was written later than that of the target; rows without `updatedAt` count as so.
    pub(crate) fn is_newer(&self, source: &[Value], target: &[Value]) -> bool {
        let Some(position) = self.updated_at else {
            return true;
        };
        match (source.get(position).and_then(moment), target.get(position).and_then(moment)) {
            // Rows that differ under the same time are the source's, or they would differ for ever.
            (Some(source), Some(target)) => source >= target,
            _ => true,
        }
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

/// The moment of a value; SQLite keeps it as text.
pub(crate) fn moment(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Timestamp(moment) => Some(*moment),
        Value::Text(text) => Timestamp::parse_iso(text),
        _ => None,
    }
}

/// The target cut to the columns that the source has too, and where those stand in the source.
fn shared_columns(source: &Table, target: &Table, left_out: &[&str]) -> Result<(Table, Vec<usize>)> {
    let mut columns = Vec::new();
    let mut positions = Vec::new();
    for (position, column) in source.columns.iter().enumerate() {
        if left_out.contains(&column.name.as_str()) {
            continue;
        }
        let exact = target.columns.iter().find(|own| own.name == column.name);
        // SQLite takes `Email` and `email` for one column.
        let Some(own) =
            exact.or_else(|| target.columns.iter().find(|own| own.name.eq_ignore_ascii_case(&column.name)))
        else {
            let message =
                format!("table \"{}\" has no column \"{}\" at the target", target.name, column.name);
            return Err(Error::new(ErrorKind::Schema, message));
        };
        if !own.generated {
            columns.push(own.clone());
            positions.push(position);
        }
    }
    let key_names =
        |table: &Table| table.key.iter().map(|at| table.columns[*at].name.clone()).collect::<Vec<_>>();
    let (source_key, target_key) = (key_names(source), key_names(target));
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
