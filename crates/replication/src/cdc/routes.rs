//! From the tables whose changes are read to the collections that they belong to.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use data::Value;
use data::log::{LogReader, Operation};
use data::table::{ColumnType, Row, Table, TableColumn, declared_value};

use crate::error::{Error, Result};
use crate::rule::{ExtraFields, Rule};
use crate::snapshot::{Collection, CollectionPlan, End, RestOfDocuments, parents_first, prepare_one};
use crate::stats::CollectionStats;

/// A collection of the rule with the table whose changes make its rows.
pub(super) struct Route {
    pub(super) plan: CollectionPlan,
    pub(super) collection: Arc<Collection>,
    /// The table as its changes were last described.
    pub(super) captured: Arc<Table>,
    /// Where its stats stand.
    pub(super) stats: usize,
    /// Whether the target has proved so far not to have the rows that the source inserts.
    pub(super) takes_inserts: AtomicBool,
    /// Fields of documents that have no column, and that no document has any more.
    pub(super) vanished: Mutex<HashSet<String>>,
    /// The table as the log told it last with another key, though the source has the one that was captured.
    pub(super) told_otherwise: Mutex<Option<Arc<Table>>>,
}

/// A junction whose changes concern the rows of a collection.
pub(super) struct Junction {
    pub(super) captured: Arc<Table>,
    /// The collection whose rows list its links.
    pub(super) route: usize,
    /// The column that holds the key of such a row.
    own: String,
}

/// The collections of a rule, parents before children.
pub(super) struct Routes {
    pub(super) list: Vec<Route>,
    pub(super) junctions: Vec<Junction>,
    /// The names of the collections, in the order of the rule.
    pub(super) labels: Vec<String>,
}

impl Route {
    /// The rows of the source under these keys, as they are now.
    pub(super) async fn rows_of_source(&self, keys: &[Vec<Value>]) -> data::Result<Vec<Row>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.collection.source.tables()?.fetch(&self.collection.mapping.source, keys).await?;
        Ok(rows.into_iter().filter(|row| self.is_meant(row)).collect())
    }
}

impl Routes {
    /// Whether rows pass through a function of the application.
    pub(super) fn transform(&self) -> bool {
        self.list.iter().any(|route| route.collection.mapping.transforms())
    }

    /// Finds the tables at both ends, and makes what the target lacks.
    ///
    /// # Errors
    /// Of any collection: a part of the changes is of no use.
    pub(super) async fn prepare(
        rule: &Rule,
        plans: Vec<CollectionPlan>,
        source: &End,
        target: &End,
    ) -> Result<Self> {
        let in_rule = || Error::database_in(format!("rule \"{}\"", rule.name));
        refuse_extra_column(rule, source, target)?;
        let labels = plans.iter().map(|plan| plan.label.clone()).collect();
        let mut list = Vec::with_capacity(plans.len());
        let mut junctions = Vec::new();
        for (stats, plan) in plans.into_iter().enumerate() {
            let in_collection = || Error::database_in(format!("collection \"{}\"", plan.label));
            let collection = prepare_one(rule, &plan, source, target).await.map_err(in_collection())?;
            let captured = match plan.rest {
                RestOfDocuments::Nothing => {
                    describe(source, &plan.source_table).await.map_err(in_collection())?
                }
                // The log brings documents into the shape in which they are read.
                _ => Arc::clone(&collection.mapping.source),
            };
            refuse_lists(&plan, source, &collection.target)?;
            let (collection, vanished, told_otherwise) =
                (Arc::new(collection), Mutex::default(), Mutex::default());
            let takes_inserts = AtomicBool::new(true);
            list.push(Route { plan, collection, captured, stats, takes_inserts, vanished, told_otherwise });
        }
        refuse_shared_rows(rule, &list)?;
        let list = parents_first(list, |route| &route.collection.mapping);
        for (route, Route { plan, .. }) in list.iter().enumerate() {
            for junction in plan.source_junctions().filter(|_| source.has_junctions()) {
                let captured = describe(source, &junction.table).await.map_err(in_rule())?;
                junctions.push(Junction { captured, route, own: junction.own.clone() });
            }
        }
        Ok(Self { list, junctions, labels })
    }

    /// The tables whose changes are read, each once.
    pub(super) fn tables(&self) -> Vec<Arc<Table>> {
        let mut tables: Vec<Arc<Table>> = Vec::new();
        let captured = self.list.iter().map(|route| &route.captured);
        for table in captured.chain(self.junctions.iter().map(|junction| &junction.captured)) {
            if !tables.iter().any(|known| known.name == table.name) {
                tables.push(Arc::clone(table));
            }
        }
        tables
    }

    /// The reader of these tables.
    pub(super) fn reader(&self, name: &str) -> LogReader {
        LogReader { name: name.to_owned(), tables: self.tables() }
    }

    /// The collections that a table's rows belong to.
    pub(super) fn of_table<'a>(&'a self, table: &'a str) -> impl Iterator<Item = (usize, &'a Route)> {
        self.list.iter().enumerate().filter(move |(_, route)| route.captured.name == table)
    }

    /// The junctions that a table is.
    pub(super) fn junctions_of<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a Junction> {
        self.junctions.iter().filter(move |junction| junction.captured.name == table)
    }

    /// Stats without anything in them, one for each collection.
    pub(super) fn no_stats(&self) -> Vec<CollectionStats> {
        self.labels.iter().map(CollectionStats::new).collect()
    }
}

impl Route {
    /// The name of the collection.
    pub(super) fn label(&self) -> &str {
        &self.collection.label
    }

    /// Whether its rows have links, so that they are read anew at the source when they change.
    pub(super) fn is_linked(&self) -> bool {
        !self.plan.links.is_empty() && self.collection.source.has_junctions()
    }

    /// Whether a row of the source belongs to the entity that is meant, where several share the table.
    pub(super) fn is_meant(&self, row: &[Value]) -> bool {
        let mapping = &self.collection.mapping;
        mapping.source_discriminator.as_ref().is_none_or(|meant| {
            let value = mapping.source.position(&meant.column).and_then(|position| row.get(position));
            value.is_some_and(|value| value.as_text() == Some(&meant.value))
        })
    }

    /// Whether a change only adds a row that the target is not to have.
    pub(super) fn leaves_out(&self, layout: &Layout, operation: &Operation) -> bool {
        let mapping = &self.collection.mapping;
        match operation {
            Operation::Insert { row } if mapping.is_choosy() => {
                mapping.is_wanted(&layout.row(row.clone()), &[]) == Some(false)
            }
            _ => false,
        }
    }

    /// How rows with these columns are brought into the order of the collection's source table. A column that had another
    /// type then is one that the log does not tell, unless it is of the key.
    pub(super) fn layout(&self, table: &Table) -> Layout {
        let source = &self.collection.mapping.source;
        let told = |(at, column): (usize, &TableColumn)| {
            let position = table.position(&column.name)?;
            let captured = self.captured.position(&column.name).and_then(|at| self.captured.columns.get(at));
            let is_same = captured.is_none_or(|captured| {
                table.columns.get(position).is_some_and(|then| then.column_type == captured.column_type)
            });
            (is_same || source.key.contains(&at)).then_some(position)
        };
        let positions: Vec<Option<usize>> = source.columns.iter().enumerate().map(told).collect();
        let same = positions.len() == table.columns.len()
            && positions.iter().enumerate().all(|(at, position)| *position == Some(at));
        let declared =
            source.columns.iter().zip(&positions).enumerate().filter_map(|(at, (column, told))| {
                let stored = &table.columns.get((*told)?)?.column_type;
                (*stored != column.column_type).then(|| (at, column.column_type.clone()))
            });
        Layout { declared: declared.collect(), positions: if same { None } else { Some(positions) } }
    }
}

impl Junction {
    /// The key of the row whose links a row of the junction, or its key, is one of.
    pub(super) fn parent_of_row(&self, table: &Table, row: &[Value]) -> Option<Vec<Value>> {
        Some(vec![row.get(table.position(&self.own)?)?.clone()])
    }

    /// As [`parent_of_row`](Self::parent_of_row), by the key of the junction.
    pub(super) fn parent_of_key(&self, table: &Table, key: &[Value]) -> Option<Vec<Value>> {
        let own = table.position(&self.own)?;
        let at = table.key.iter().position(|position| *position == own)?;
        Some(vec![key.get(at)?.clone()])
    }
}

/// How rows of a log are brought into the order of a collection's source table, and into the types that its entity declares.
pub(super) struct Layout {
    /// None if they are in that order.
    positions: Option<Vec<Option<usize>>>,
    /// The columns of the source table that are stored in another type than the declared one, as the log tells them.
    declared: Vec<(usize, ColumnType)>,
}

impl Layout {
    /// The row in the order of the source table. Columns that a log does not tell hold NULL.
    pub(super) fn row(&self, mut row: Row) -> Row {
        if let Some(positions) = &self.positions {
            let value = |position: &Option<usize>| {
                position.and_then(|at| row.get_mut(at)).map(std::mem::take).unwrap_or_default()
            };
            row = positions.iter().map(value).collect();
        }
        for (at, declared) in &self.declared {
            if let Some(value) = row.get_mut(*at) {
                *value = declared_value(std::mem::take(value), declared);
            }
        }
        row
    }

    /// The positions in the source table of columns whose values a change does not tell, in ascending order: those of the
    /// log that are given, and those that the log does not have.
    pub(super) fn untold(&self, columns: impl Iterator<Item = usize>) -> Vec<usize> {
        let Some(positions) = &self.positions else { return columns.collect() };
        let unchanged: Vec<usize> = columns.collect();
        let is_untold = |position: &Option<usize>| position.is_none_or(|at| unchanged.contains(&at));
        let untold = positions.iter().enumerate().filter(|(_, position)| is_untold(position));
        untold.map(|(at, _)| at).collect()
    }
}

async fn describe(source: &End, table: &str) -> data::Result<Arc<Table>> {
    let described = source.tables()?.describe(table).await?;
    described.map(Arc::new).ok_or_else(|| {
        data::Error::new(
            data::ErrorKind::UnknownTable,
            format!("table \"{table}\" does not exist at the source"),
        )
    })
}

/// A column for further fields only makes sense between documents and rows.
fn refuse_extra_column(rule: &Rule, source: &End, target: &End) -> Result<()> {
    if rule.extra_fields == ExtraFields::Report || (source.is_schemaless() && !target.is_schemaless()) {
        return Ok(());
    }
    let problem = "'column' is for documents that become rows of a SQL database";
    Err(Error::config(format!("rule \"{}\".extraFields", rule.name), problem))
}

/// Lists of documents are not made rows of a junction while they are captured.
fn refuse_lists(plan: &CollectionPlan, source: &End, target: &End) -> Result<()> {
    let Some(link) = plan.links.first().filter(|_| source.is_schemaless() && target.has_junctions()) else {
        return Ok(());
    };
    let message = format!(
        "the lists of \"{}\" cannot be captured into a junction table; use mode snapshot, or capture: 'poll'",
        link.field
    );
    let error = data::Error::new(data::ErrorKind::Capture, message);
    Err(Error::database_in(format!("collection \"{}\"", plan.label))(error))
}

/// Two collections of a rule must not stand for the same rows of the target.
fn refuse_shared_rows(rule: &Rule, list: &[Route]) -> Result<()> {
    let mut taken = HashMap::new();
    for route in list {
        if let Some(other) = taken.insert(route.collection.mapping.target_identity(), route.label()) {
            let problem = format!(
                "\"{other}\" and \"{}\" are both \"{}\" at the target",
                route.label(),
                route.plan.target_table
            );
            return Err(Error::config(format!("rule \"{}\".collections", rule.name), problem));
        }
    }
    Ok(())
}
