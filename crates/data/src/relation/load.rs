//! Loading the other side of relations: one query for each relation and thousand rows, never one for each row.

use std::collections::{HashMap, HashSet};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::link::{Link, distinct_ids, key_of};
use super::mirror::linked_to;
use super::plan::Branch;
use super::projection::Projection;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::filter::{Condition, FieldPath, Filter, FindOptions};
use crate::record::Record;
use crate::schema::{EntitySchema, ID, RelationKind};
use crate::value::Value;

/// How many ids one query names.
pub(super) const IDS_PER_QUERY: usize = 1000;

/// Puts what the branches lead to into rows of an entity: a row or null, or a list of rows ordered by their ids. Rows
/// that are softly deleted are left out.
pub(super) fn fill<'f>(
    dialect: &'f dyn Dialect,
    schema: &'f EntitySchema,
    rows: &'f mut [Record],
    branches: &'f [Branch<'_>],
) -> BoxFuture<'f, Result<()>> {
    async move {
        if rows.is_empty() {
            return Ok(());
        }
        // Ids are read before any of them is replaced by the row that it names.
        let references: Vec<Vec<Option<String>>> =
            branches.iter().map(|branch| references(rows, branch)).collect();
        let named: Vec<Vec<Value>> = branches.iter().map(|branch| named_ids(rows, branch)).collect();
        for ((branch, references), ids) in branches.iter().zip(&references).zip(named) {
            match &branch.link {
                Link::Column(_) => {
                    let targets = Targets::by_id(dialect, branch, ids).await?;
                    for (row, reference) in rows.iter_mut().zip(references) {
                        let target = reference.as_ref().and_then(|key| targets.row(key));
                        row.insert(branch.name.to_owned(), target.unwrap_or_default());
                    }
                }
                Link::TargetColumn(column) => {
                    let mut children = children_of(dialect, branch, column, ids).await?;
                    for (row, reference) in rows.iter_mut().zip(references) {
                        let own = reference.as_ref().and_then(|key| children.remove(key)).unwrap_or_default();
                        row.insert(branch.name.to_owned(), shape(branch, own));
                    }
                }
                Link::List | Link::TargetList(_) => {
                    let lists = linked_ids(dialect, schema, branch, &ids).await?;
                    let linked = distinct_ids(lists.iter().map(|(_, other)| other));
                    let targets = Targets::by_id(dialect, branch, linked).await?;
                    let mut lists = targets.lists(&lists);
                    for (row, reference) in rows.iter_mut().zip(references) {
                        let own = reference.as_ref().and_then(|key| lists.remove(key)).unwrap_or_default();
                        row.insert(branch.name.to_owned(), Value::Array(own));
                    }
                }
            }
        }
        Ok(())
    }
    .boxed()
}

/// The field of this side that the link starts from.
fn start<'b>(branch: &'b Branch<'_>) -> &'b str {
    match &branch.link {
        Link::Column(column) => column,
        Link::TargetColumn(_) | Link::List | Link::TargetList(_) => ID,
    }
}

fn references(rows: &[Record], branch: &Branch<'_>) -> Vec<Option<String>> {
    rows.iter().map(|row| row.get(start(branch)).and_then(key_of)).collect()
}

fn named_ids(rows: &[Record], branch: &Branch<'_>) -> Vec<Value> {
    distinct_ids(rows.iter().filter_map(|row| row.get(start(branch))))
}

/// The pairs of ids that a many-to-many relation lists, this side first.
async fn linked_ids(
    dialect: &dyn Dialect,
    schema: &EntitySchema,
    branch: &Branch<'_>,
    ids: &[Value],
) -> Result<Vec<(Value, Value)>> {
    let mut pairs = Vec::new();
    for chunk in ids.chunks(IDS_PER_QUERY) {
        pairs.extend(match &branch.link {
            Link::TargetList(owner) => linked_to(dialect, branch.target, owner, schema, chunk).await?,
            _ => dialect.links(schema, branch.name, chunk).await?,
        });
    }
    Ok(pairs)
}

/// The rows of the other side whose column names one of these ids, by that id.
async fn children_of(
    dialect: &dyn Dialect,
    branch: &Branch<'_>,
    column: &str,
    ids: Vec<Value>,
) -> Result<HashMap<String, Vec<Value>>> {
    let projection = projection(branch, column);
    let mut rows = fetch(dialect, branch, &projection, column, &ids).await?;
    let parents: Vec<Option<String>> = rows.iter().map(|row| row.get(column).and_then(key_of)).collect();
    fill(dialect, branch.target, &mut rows, &branch.below).await?;
    let mut children: HashMap<String, Vec<Value>> = HashMap::new();
    for (mut row, parent) in rows.into_iter().zip(parents) {
        projection.strip(&mut row);
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(Value::Object(Box::new(row)));
        }
    }
    Ok(children)
}

/// Rows of the other side, ordered by their ids.
struct Targets {
    rows: Vec<Value>,
    places: HashMap<String, usize>,
}

impl Targets {
    async fn by_id(dialect: &dyn Dialect, branch: &Branch<'_>, ids: Vec<Value>) -> Result<Self> {
        let projection = projection(branch, ID);
        let mut rows = fetch(dialect, branch, &projection, ID, &ids).await?;
        fill(dialect, branch.target, &mut rows, &branch.below).await?;
        let keys = rows.iter().enumerate();
        let places = keys.filter_map(|(place, row)| Some((row.get(ID).and_then(key_of)?, place))).collect();
        let finish = |mut row| {
            projection.strip(&mut row);
            Value::Object(Box::new(row))
        };
        Ok(Self { rows: rows.into_iter().map(finish).collect(), places })
    }

    fn row(&self, key: &str) -> Option<Value> {
        self.places.get(key).and_then(|place| self.rows.get(*place)).cloned()
    }

    /// The rows that each of the left ids is paired with.
    fn lists(&self, pairs: &[(Value, Value)]) -> HashMap<String, Vec<Value>> {
        let mut places: HashMap<String, HashSet<usize>> = HashMap::new();
        for (own, other) in pairs {
            let place = key_of(other).and_then(|key| self.places.get(&key).copied());
            if let (Some(own), Some(place)) = (key_of(own), place) {
                places.entry(own).or_default().insert(place);
            }
        }
        let list = |places: HashSet<usize>| {
            let mut places: Vec<usize> = places.into_iter().collect();
            places.sort_unstable();
            places.into_iter().filter_map(|place| self.rows.get(place)).cloned().collect()
        };
        places.into_iter().map(|(own, places)| (own, list(places))).collect()
    }
}

/// What is read of the rows of the other side.
fn projection(branch: &Branch<'_>, column: &str) -> Projection {
    let options = FindOptions { select: branch.relation.select.clone(), ..FindOptions::default() };
    let columns: &[&str] = if column == ID { &[] } else { &[column] };
    Projection::new(branch.target, &options, &branch.below, columns)
}

async fn fetch(
    dialect: &dyn Dialect,
    branch: &Branch<'_>,
    projection: &Projection,
    column: &str,
    ids: &[Value],
) -> Result<Vec<Record>> {
    let mut rows = Vec::new();
    for chunk in ids.chunks(IDS_PER_QUERY) {
        rows.extend(dialect.find(branch.target, &one_of(column, chunk.to_vec()), &projection.options).await?);
    }
    // A database may order text in its own way, so the order is made here.
    rows.sort_by_cached_key(|row: &Record| row.get(ID).and_then(key_of));
    Ok(rows)
}

/// The filter that a field is one of these ids.
pub(super) fn one_of(field: &str, ids: Vec<Value>) -> Filter {
    let path = FieldPath { field: field.to_owned(), below: Vec::new() };
    Filter::Field(path, Condition::In(ids))
}

/// A one-to-many relation has a list, a one-to-one relation the only row.
fn shape(branch: &Branch<'_>, mut children: Vec<Value>) -> Value {
    match branch.relation.kind {
        RelationKind::OneToOne => children.drain(..).next().unwrap_or_default(),
        _ => Value::Array(children),
    }
}
