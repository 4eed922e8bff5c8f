//! Random entities, rows and operations: every dialect does what a model in memory does.
//!
//! `DIFFERENTIAL_SEED=n` repeats the round of that seed, `DIFFERENTIAL_ROUNDS=n` runs so many from there on.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails should panic")]

mod agreement;
mod databases;
mod filters;
mod generate;
mod handed_on;
mod limits;
mod model;
mod operations;
mod random;
mod schemas;
mod values;

use data::schema::ID;
use data::{Direction, EntitySchema, ErrorKind, Filter, FindOptions, Record, Value};

use crate::agreement::disagreement;
use crate::databases::{Target, View};
use crate::generate::{random_operation, random_row};
use crate::model::Model;
use crate::operations::Operation;
use crate::random::Random;
use crate::schemas::random_schema;

const FIRST_SEED: u64 = 1;
const ROUNDS: u64 = 35;
const ROWS: usize = 12;
const OPERATIONS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_dialect_does_what_the_model_does() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seed = number("DIFFERENTIAL_SEED");
    let rounds = number("DIFFERENTIAL_ROUNDS").unwrap_or(if seed.is_some() { 1 } else { ROUNDS });
    let first = seed.unwrap_or(FIRST_SEED);
    let targets = databases::targets().await;
    for seed in first..first + rounds {
        round(&targets, seed).await;
    }
    for target in targets {
        target.dialect.disconnect().await.unwrap();
    }
}

/// One entity with its rows and some operations on them.
async fn round(targets: &[Target], seed: u64) {
    let mut random = Random::new(seed);
    let schema = random_schema(&mut random, seed);
    for target in targets {
        let made = target.dialect.init_schema(std::slice::from_ref(&schema)).await;
        made.unwrap_or_else(|error| panic!("seed {seed}: {}: {error}\n{schema:#?}", target.kind.name()));
    }
    let others = rows_of_another_entity(&mut random, &schema);
    for target in targets {
        for (schema, row) in &others {
            target.dialect.create(schema, row.clone()).await.unwrap();
        }
    }
    let mut model = Model { schema: std::sync::Arc::clone(&schema), rows: Vec::new() };
    let dialects: Vec<_> = targets.iter().map(Target::view).collect();
    for number in 0..ROWS {
        let row = random_row(&mut random, &schema, number);
        step(&dialects, &mut model, seed, &Operation::Create(row)).await;
    }
    if random.percent(25) {
        in_transactions(targets, &mut model, seed, &mut random).await;
    } else {
        operations(&dialects, &mut model, seed, &mut random).await;
    }
    for target in targets {
        target.dialect.drop_schema(std::slice::from_ref(&schema)).await.unwrap();
    }
}

/// Rows in the same collection that are none of the entity's, which nothing may find or change.
fn rows_of_another_entity(random: &mut Random, schema: &EntitySchema) -> Vec<(EntitySchema, Record)> {
    let mut other = schema.clone();
    let Some(discriminator) = &mut other.discriminator else { return Vec::new() };
    discriminator.value = "another".to_owned();
    let row = |number| {
        let mut row = random_row(random, schema, number);
        row.insert(ID.to_owned(), Value::Text(format!("another {number}")));
        // What is unique is so for the whole collection.
        row.shift_remove("code");
        (other.clone(), row)
    };
    (0..3).map(row).collect()
}

/// The same within a transaction of each, which is committed or undone.
async fn in_transactions(targets: &[Target], model: &mut Model, seed: u64, random: &mut Random) {
    let before = model.rows.clone();
    let mut transactions = Vec::new();
    for target in targets {
        transactions.push((target.kind, target.dialect.begin(None).await.unwrap()));
    }
    let views: Vec<View<'_>> = transactions
        .iter()
        .map(|(kind, transaction)| View { kind: *kind, dialect: &**transaction, pinned: true })
        .collect();
    operations(&views, model, seed, random).await;
    let commits = random.percent(50);
    for (_, transaction) in &transactions {
        if commits { transaction.commit().await.unwrap() } else { transaction.rollback().await.unwrap() }
    }
    if !commits {
        model.rows = before;
    }
    let dialects: Vec<_> = targets.iter().map(Target::view).collect();
    step(&dialects, model, seed, &everything()).await;
}

async fn operations(views: &[View<'_>], model: &mut Model, seed: u64, random: &mut Random) {
    for _ in 0..OPERATIONS {
        let operation = random_operation(random, &model.schema, &model.rows);
        step(views, model, seed, &operation).await;
        if operation.writes() {
            step(views, model, seed, &everything()).await;
        }
    }
}

/// Reads every row, so that nothing else was changed.
fn everything() -> Operation {
    let sort = [(ID.to_owned(), Direction::Ascending)].into();
    Operation::Find(
        Filter::everything(),
        FindOptions { sort, include_deleted: true, ..FindOptions::default() },
    )
}

/// # Panics
/// A dialect disagrees with the model.
async fn step(views: &[View<'_>], model: &mut Model, seed: u64, operation: &Operation) {
    let before = model.rows.clone();
    let expected = model.apply(operation);
    let numbers = before.iter().flat_map(|row| row.values()).filter_map(Value::as_f64);
    let scale = 1.0 + numbers.map(f64::abs).sum::<f64>();
    if views.iter().any(|view| view.pinned) && matches!(expected, Err(ErrorKind::UniqueViolation)) {
        // The database would undo the whole transaction.
        return;
    }
    for view in views {
        let given = operation.run(view.dialect, &model.schema).await;
        if let Some(disagreement) = disagreement(&expected, &given, scale) {
            let rows: Vec<String> =
                before.iter().map(|row| data::json_text(&Value::Object(Box::new(row.clone())))).collect();
            panic!(
                "DIFFERENTIAL_SEED={seed}: {} disagrees on\n{operation:?}\n{disagreement}\nrows\n{}\n{:?}",
                view.kind.name(),
                rows.join("\n"),
                model.schema
            );
        }
    }
}
