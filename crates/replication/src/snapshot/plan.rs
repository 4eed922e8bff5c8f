//! From the names in a rule to the tables at both ends.

use std::collections::HashSet;
use std::sync::Arc;

use data::schema::JunctionNames;
use data::table::{ColumnType, OWN_TABLE_PREFIX, Table};
use data::{EntitySchema, Error, ErrorKind, Result};

use super::End;
use super::links::{Link, list_column};
use crate::column_rule::ColumnRule;
use crate::row_shape::RowShape;
use crate::rule::{Capture, ExtraFields, Mode, Rule};

/// A collection of a rule: what it is called at both ends, and the entities that describe it.
#[derive(Clone)]
pub(crate) struct CollectionPlan {
    /// The name in the rule, or the table for `*`.
    pub(crate) label: String,
    /// The table at the source.
    pub(crate) source_table: String,
    /// The table at the target.
    pub(crate) target_table: String,
    /// The entity at the source, if one is registered.
    pub(crate) source_schema: Option<Arc<EntitySchema>>,
    /// The entity at the target, if one is registered.
    pub(crate) target_schema: Option<Arc<EntitySchema>>,
    /// Whether only the rows of the entity are meant, where several share the table.
    pub(crate) one_entity: bool,
    /// The many-to-many relations whose links travel with the rows, as lists of ids.
    pub(crate) links: Vec<LinkPlan>,
    /// What becomes of the fields of documents that no column holds.
    pub(crate) rest: RestOfDocuments,
    /// Which columns are replicated, and under which names.
    pub(crate) columns: ColumnRule,
    /// Which rows are carried, and what is made of them.
    pub(crate) shape: RowShape,
}

/// What becomes of the fields of documents that no column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RestOfDocuments {
    /// There are none: every field has a column, or reading fails.
    Nothing,
    /// They are fields of the target's documents too.
    Fields,
    /// They are left out and counted, unless the target is given columns for them.
    Reported,
    /// They are kept together in one column.
    Column,
}

/// A many-to-many relation whose links travel with the rows.
#[derive(Clone)]
pub(crate) struct LinkPlan {
    /// The relation's name, and the field of a document that lists its ids.
    pub(crate) field: String,
    source: JunctionNames,
    target: JunctionNames,
    /// Whether another relation of the rule writes the same junction. Then the lists of documents are made from it, and
    /// are not written to it, or both sides of one relation could contradict each other for ever.
    pub(crate) is_inverse: bool,
}

impl CollectionPlan {
    /// The ends as this collection sees them.
    pub(crate) fn ends(&self, source: &End, target: &End) -> (End, End) {
        let links = |end: &End, junction: fn(&LinkPlan) -> &JunctionNames| -> Vec<Link> {
            let own = self.links.iter().filter(|_| end.has_junctions());
            own.map(|link| Link { field: link.field.clone(), junction: junction(link).clone() }).collect()
        };
        (
            source.with_links(&self.source_table, links(source, |link| &link.source)),
            target.with_links(&self.target_table, links(target, |link| &link.target)),
        )
    }

    /// The junctions at the source whose rows are links of this collection.
    pub(crate) fn source_junctions(&self) -> impl Iterator<Item = &JunctionNames> {
        self.links.iter().map(|link| &link.source)
    }

    /// Adds the columns of links that a catalogue made from sample documents has not seen, and gives all of them one type.
    pub(crate) fn add_list_columns(&self, table: &mut Table) {
        for link in &self.links {
            match table.columns.iter_mut().find(|column| column.name == link.field) {
                Some(column) => column.column_type = ColumnType::Json,
                None => table.columns.push(list_column(&link.field)),
            }
        }
    }

    /// The way back.
    pub(crate) fn reversed(&self) -> Self {
        let turned = |link: &LinkPlan| LinkPlan {
            source: link.target.clone(),
            target: link.source.clone(),
            ..link.clone()
        };
        Self {
            label: self.label.clone(),
            source_table: self.target_table.clone(),
            target_table: self.source_table.clone(),
            source_schema: self.target_schema.clone(),
            target_schema: self.source_schema.clone(),
            one_entity: self.one_entity,
            links: self.links.iter().map(turned).collect(),
            rest: RestOfDocuments::Nothing,
            columns: ColumnRule::default(),
            shape: RowShape::default(),
        }
    }
}

/// The collections that a rule names, each once. `*` is resolved against the source as it is now.
pub(crate) async fn resolve(rule: &Rule, source: &End, target: &End) -> Result<Vec<CollectionPlan>> {
    let mut everything = if names_everything(rule) { tables_of(source).await? } else { Vec::new() };
    let mut unfollowed = Vec::new();
    if names_everything(rule) || follows_changes(rule) {
        unfollowed = source.tables()?.list_unfollowed().await?;
    }
    if names_everything(rule) && !follows_changes(rule) {
        everything.extend(unfollowed.iter().cloned());
        everything.sort_unstable();
    }
    check_names(rule, &everything)?;
    everything.retain(|table| !rule.left_out.contains(table));
    let plans = plans(rule, &everything, source, target);
    if follows_changes(rule) {
        require_followed(rule, &plans, &unfollowed)?;
    }
    Ok(plans)
}

/// Whether a rule carries changes that the source tells of.
fn follows_changes(rule: &Rule) -> bool {
    match rule.mode {
        Mode::Snapshot => false,
        Mode::Cdc => rule.capture != Capture::Poll,
        Mode::Bidirectional => true,
    }
}

/// Fails if a rule names a table whose changes nobody tells; `*` leaves them out with a warning.
fn require_followed(rule: &Rule, plans: &[CollectionPlan], unfollowed: &[String]) -> Result<()> {
    if let Some(plan) = plans.iter().find(|plan| unfollowed.contains(&plan.source_table)) {
        let message = format!(
            "collection \"{}\" is a time series, of which the database tells no changes; copy it by a rule of mode snapshot",
            plan.label
        );
        return Err(Error::new(ErrorKind::Config, message));
    }
    let left_out = unfollowed.iter().filter(|table| names_everything(rule) && !rule.left_out.contains(table));
    for table in left_out {
        tracing::warn!(
            "rule \"{}\" leaves out \"{table}\": it is a time series, of which the database tells no changes",
            rule.name
        );
    }
    Ok(())
}

/// Fails if the rule says something of a collection by name that it does not have: all rows of the one that was meant would be
/// carried.
fn check_names(rule: &Rule, everything: &[String]) -> Result<()> {
    let settings = [
        ("where", rule.shape.filters.keys().collect::<Vec<_>>()),
        ("rename", rule.shape.rename.keys().collect()),
        ("columns", rule.columns.keys().collect()),
    ];
    for (setting, names) in settings {
        let is_known =
            |name: &String| name == "*" || rule.collections.contains(name) || everything.contains(name);
        if let Some(unknown) = names.into_iter().find(|name| !is_known(name)) {
            let message = format!("{setting}: the source has no table \"{unknown}\"");
            return Err(Error::new(ErrorKind::Config, message));
        }
    }
    Ok(())
}

/// The collections that a rule names, each once. `*` is resolved against both sides as they are now.
pub(crate) async fn resolve_both(rule: &Rule, source: &End, target: &End) -> Result<Vec<CollectionPlan>> {
    let mut everything = Vec::new();
    if names_everything(rule) {
        everything = tables_of(source).await?;
        let only_there = tables_of(target).await?;
        // SQL does not tell tables apart by the case of their names everywhere.
        let known: HashSet<String> = everything.iter().map(|name| name.to_lowercase()).collect();
        everything.extend(only_there.into_iter().filter(|name| !known.contains(&name.to_lowercase())));
    }
    Ok(plans(rule, &everything, source, target))
}

/// Whether the rule is about every table that there is.
pub(crate) fn names_everything(rule: &Rule) -> bool {
    rule.collections.iter().any(|name| name == "*")
}

async fn tables_of(end: &End) -> Result<Vec<String>> {
    let mut tables = end.tables()?.list_tables().await?;
    tables.retain(|table| !table.starts_with(OWN_TABLE_PREFIX));
    // PostgreSQL may have a table called a.b beside the table b of a schema a. The lists are sorted.
    if let Some([name, _]) = tables.windows(2).find(|pair| matches!(pair, [a, b] if a == b)) {
        let message = format!(
            "two tables are called \"{name}\", one by its name and one by its schema; name the collections of the rule, of which \
             \"{name}\" is the former, or rename it"
        );
        return Err(Error::new(ErrorKind::Schema, message));
    }
    Ok(tables)
}

fn plans(rule: &Rule, everything: &[String], source: &End, target: &End) -> Vec<CollectionPlan> {
    let mut plans: Vec<CollectionPlan> = Vec::new();
    let mut listed = HashSet::new();
    for name in &rule.collections {
        if name == "*" {
            listed.extend(everything.iter().cloned());
            plans.extend(everything.iter().map(|table| plan_table(table, source, target)));
        } else {
            plans.push(plan_name(name, source, target));
        }
    }
    for plan in &mut plans {
        plan.rename(rule, target);
        plan.shape.filter = rule.shape.filter_of(&plan.label);
        plan.shape.transform.clone_from(&rule.shape.transform);
    }
    add_links(rule, &mut plans, source, target);
    // A junction whose links travel with the rows of an entity is no collection beside it.
    let junctions: HashSet<String> =
        plans.iter().flat_map(|plan| &plan.links).map(|link| link.source.table.clone()).collect();
    plans.retain(|plan| !(junctions.contains(&plan.source_table) && listed.contains(&plan.label)));
    let rest = rest_of_documents(rule, source, target);
    for plan in &mut plans {
        plan.rest = rest;
        plan.columns = rule.columns.get(&plan.label).cloned().unwrap_or_default();
        plan.shape.key_prefix.clone_from(&rule.shape.key_prefix);
        plan.shape.transform_limit = rule.shape.transform_limit();
        plan.shape.source_column = rule.shape.mark_of(&rule.source);
        plan.shape.deletes_dropped = rule.mode == Mode::Cdc && rule.capture == Capture::Poll;
    }
    let mut seen = HashSet::new();
    plans.retain(|plan| {
        let entity = plan.one_entity.then(|| plan.label.clone());
        seen.insert((plan.source_table.clone(), entity))
    });
    plans
}

/// Documents that are read from a log may have fields that no other had when the collection was described.
fn rest_of_documents(rule: &Rule, source: &End, target: &End) -> RestOfDocuments {
    match rule.extra_fields {
        _ if !(rule.reads_log() && source.is_schemaless()) => RestOfDocuments::Nothing,
        _ if target.is_schemaless() => RestOfDocuments::Fields,
        ExtraFields::Report => RestOfDocuments::Reported,
        ExtraFields::Column => RestOfDocuments::Column,
    }
}

/// Adds what the many-to-many relations of the entities need. Between two SQL databases a snapshot copies the junction
/// as a table of its own, and so does whoever reads the changes of the junction from a log. Everywhere else links travel with the rows: as lists within documents and the rows of dialects
/// that applications bring, and so that a row that changed takes its links along.
fn add_links(rule: &Rule, plans: &mut Vec<CollectionPlan>, source: &End, target: &End) {
    let travel = match (source.has_junctions(), target.has_junctions()) {
        (true, true) => rule.mode != Mode::Snapshot && !rule.reads_log(),
        (true, false) => target.has_lists(),
        (false, true) => source.has_lists(),
        // Documents bring their lists along as the fields that they are.
        (false, false) => {
            (source.is_foreign() || target.is_foreign()) && source.has_lists() && target.has_lists()
        }
    };
    let beside = source.has_junctions() && target.has_junctions() && !travel;
    let mut claimed = HashSet::new();
    let mut junctions = Vec::new();
    for plan in plans.iter_mut() {
        let schemas = [plan.source_schema.clone(), plan.target_schema.clone()];
        let [source_schema, target_schema] = &schemas;
        let Some(schema) = source_schema.as_ref().or(target_schema.as_ref()) else { continue };
        for field in schema.relations.keys() {
            let names = |own: &Option<Arc<EntitySchema>>| own.as_ref().unwrap_or(schema).junction(field);
            let (Some(own), Some(other)) = (names(source_schema), names(target_schema)) else { continue };
            if travel {
                let is_inverse = !claimed.insert(own.table.clone());
                plan.links.push(LinkPlan { field: field.clone(), source: own, target: other, is_inverse });
            } else if beside && plan.label == schema.name {
                junctions.push(CollectionPlan {
                    label: format!("{}.{field}", schema.name),
                    ..CollectionPlan::of_tables(own.table, other.table)
                });
            }
        }
    }
    plans.extend(junctions);
}

fn plan_name(name: &str, source: &End, target: &End) -> CollectionPlan {
    let by_entity = |end: &End| end.schemas.iter().find(|schema| schema.name == name).cloned();
    let (source_schema, target_schema) = (by_entity(source), by_entity(target));
    let Some(schema) = source_schema.as_ref().or(target_schema.as_ref()) else {
        return plan_table(name, source, target);
    };
    let collection = |own: Option<&Arc<EntitySchema>>| own.unwrap_or(schema).collection.clone();
    CollectionPlan {
        label: name.to_owned(),
        source_table: collection(source_schema.as_ref()),
        target_table: collection(target_schema.as_ref()),
        one_entity: schema.discriminator.is_some(),
        source_schema,
        target_schema,
        links: Vec::new(),
        rest: RestOfDocuments::Nothing,
        columns: ColumnRule::default(),
        shape: RowShape::default(),
    }
}

fn plan_table(table: &str, source: &End, target: &End) -> CollectionPlan {
    let by_collection = |end: &End| end.schemas.iter().find(|schema| schema.collection == table).cloned();
    CollectionPlan {
        source_schema: by_collection(source),
        target_schema: by_collection(target),
        ..CollectionPlan::of_tables(table.to_owned(), table.to_owned())
    }
}

impl CollectionPlan {
    fn of_tables(source_table: String, target_table: String) -> Self {
        Self {
            label: source_table.clone(),
            source_table,
            target_table,
            source_schema: None,
            target_schema: None,
            one_entity: false,
            links: Vec::new(),
            rest: RestOfDocuments::Nothing,
            columns: ColumnRule::default(),
            shape: RowShape::default(),
        }
    }

    /// Gives the collection the name at the target that the rule says, and the entity of that name.
    fn rename(&mut self, rule: &Rule, target: &End) {
        let Some(name) = rule.shape.name_at_target(&self.label) else { return };
        let is_meant = |schema: &&Arc<EntitySchema>| schema.name == name || schema.collection == name;
        let schema = target.schemas.iter().find(is_meant).cloned();
        self.target_table = schema.as_ref().map_or(name, |schema| schema.collection.clone());
        self.target_schema = schema;
    }
}
