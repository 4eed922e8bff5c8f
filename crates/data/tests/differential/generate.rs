//! Random operations.

use data::schema::{FieldType, ID};
use data::{
    Accumulator, Condition, Direction, EntitySchema, FieldPath, Filter, FindOptions, Group, GroupKey,
    Pipeline, Record, Stage, Value,
};

use crate::filters::{path, random_filter, random_path};
use crate::operations::Operation;
use crate::random::Random;
use crate::values::{TEXTS, random_given, random_json, random_number, random_value};

const IDS: [&str; 6] = ["plain", "é ü", "it's", "65a1f0c2d4e5b6a7988977", "%_", "日本"];
/// None of these is the name of a field, which a result cannot have as well.
const OUTPUTS: [&str; 6] = ["n", "total sum", "q\"t", "$where", "a.b", "é'"];

/// The next operation on rows that are there.
pub(crate) fn random_operation(random: &mut Random, schema: &EntitySchema, rows: &[Record]) -> Operation {
    let filter = |random: &mut Random| random_filter(random, schema, rows);
    match random.below(25) {
        0..=7 => Operation::Find(filter(random), random_options(random, schema)),
        8 | 9 => Operation::Count(filter(random), random.percent(30)),
        10 => Operation::Create(random_row(random, schema, rows.len())),
        11 | 12 => Operation::Update(random_id(random, rows), random_changes(random, schema)),
        13 => Operation::UpdateMany(filter(random), random_changes(random, schema)),
        14 => Operation::Delete(random_id(random, rows)),
        15 => Operation::DeleteMany(Filter::All(vec![filter(random), filter(random)])),
        16 | 17 => random_distinct(random, schema, rows),
        18 => Operation::Increment(random_id(random, rows), "amount".to_owned(), random_number(random)),
        19 => {
            let id = random_id(random, rows);
            let item = random_item(random, &id, rows);
            match random.percent(50) {
                true => Operation::AddToSet(id, "tags".to_owned(), item),
                false => Operation::Pull(id, "tags".to_owned(), item),
            }
        }
        20 => {
            let id = random_id(random, rows);
            let mut record = random_row(random, schema, rows.len());
            record.shift_remove(ID);
            Operation::Upsert(Filter::eq(ID, id), record)
        }
        21 => {
            let fields = if random.percent(50) { vec!["title".to_owned()] } else { Vec::new() };
            let options = FindOptions { sort: by_id(), ..FindOptions::default() };
            Operation::Search(random.pick(&TEXTS).to_string(), fields, options)
        }
        _ => Operation::Aggregate(random_pipeline(random, schema, rows)),
    }
}

/// A row with an id of its own.
pub(crate) fn random_row(random: &mut Random, schema: &EntitySchema, number: usize) -> Record {
    let id = match random.below(4) {
        // Such an id is like a number, or like one of MongoDB's own.
        0 => (1000 + number).to_string(),
        1 => format!("65a1f0c2d4e5b6a79889{number:04x}"),
        _ => format!("{}{number}", random.pick(&IDS)),
    };
    let mut row = Record::from_iter([(ID.to_owned(), Value::Text(id))]);
    for (name, field) in &schema.fields {
        if field.required {
            row.insert(name.clone(), random_given(random, field.field_type));
        } else if random.percent(80) {
            row.insert(name.clone(), random_value(random, field.field_type));
        }
    }
    row
}

fn random_changes(random: &mut Random, schema: &EntitySchema) -> Record {
    let names: Vec<&String> = schema.fields.keys().collect();
    let mut changes = Record::new();
    for name in random.some(&names, 3) {
        let field = &schema.fields[name];
        let value = match field.required {
            true => random_given(random, field.field_type),
            false => random_value(random, field.field_type),
        };
        changes.insert(name.clone(), value);
    }
    changes
}

fn random_id(random: &mut Random, rows: &[Record]) -> Value {
    match rows {
        [] => "nobody".into(),
        _ if random.percent(10) => "nobody".into(),
        rows => random.pick(rows)[ID].clone(),
    }
}

/// Often one of the items that the row has.
fn random_item(random: &mut Random, id: &Value, rows: &[Record]) -> Value {
    match rows.iter().find(|row| row[ID] == *id).map(|row| &row["tags"]) {
        Some(Value::Array(items)) if !items.is_empty() && random.percent(60) => random.pick(items).clone(),
        _ => random_json(random, 1),
    }
}

fn random_distinct(random: &mut Random, schema: &EntitySchema, rows: &[Record]) -> Operation {
    let names: Vec<&String> = schema.fields.keys().collect();
    let name = *random.pick(&names);
    let below = match schema.fields[name].field_type {
        FieldType::Json | FieldType::Array if random.percent(40) => random_path(random, name, rows),
        _ => Vec::new(),
    };
    let field = FieldPath { field: name.clone(), below }.to_string();
    Operation::Distinct(field, random_filter(random, schema, rows))
}

fn by_id() -> indexmap::IndexMap<String, Direction> {
    [(ID.to_owned(), Direction::Ascending)].into()
}

/// Fields whose values have the same order everywhere.
fn plain_fields(schema: &EntitySchema) -> Vec<String> {
    let plain = schema
        .fields
        .iter()
        .filter(|(_, field)| !matches!(field.field_type, FieldType::Json | FieldType::Array));
    plain.map(|(name, _)| name.clone()).collect()
}

fn random_direction(random: &mut Random) -> Direction {
    if random.percent(50) { Direction::Ascending } else { Direction::Descending }
}

/// An order that leaves no two rows in either order.
fn random_sort(random: &mut Random, schema: &EntitySchema) -> indexmap::IndexMap<String, Direction> {
    let mut sort: indexmap::IndexMap<_, _> = random
        .some(&plain_fields(schema), 2)
        .into_iter()
        .map(|name| (name, random_direction(random)))
        .collect();
    sort.insert(ID.to_owned(), random_direction(random));
    sort
}

fn random_options(random: &mut Random, schema: &EntitySchema) -> FindOptions {
    let names: Vec<String> = schema.fields.keys().cloned().collect();
    let count = |random: &mut Random, times: usize| random.percent(times).then(|| random.below(8) as u64);
    FindOptions {
        sort: random_sort(random, schema),
        skip: count(random, 30),
        limit: count(random, 40),
        select: if random.percent(25) { random.some(&names, 3) } else { Vec::new() },
        exclude: if random.percent(25) { random.some(&names, 3) } else { Vec::new() },
        include_deleted: random.percent(25),
        lock: false,
    }
}

fn random_pipeline(random: &mut Random, schema: &EntitySchema, rows: &[Record]) -> Pipeline {
    let mut stages = Vec::new();
    if random.percent(60) {
        stages.push(Stage::Match(random_filter(random, schema, rows)));
    }
    if random.percent(30) {
        stages.push(Stage::Sort(random_sort(random, schema)));
        stages.push(Stage::Limit(random.below(6) as u64));
    }
    if random.percent(10) {
        stages.push(Stage::Sort(random_sort(random, schema)));
        return Pipeline { stages };
    }
    let group = random_group(random, schema, rows);
    let keys: Vec<String> = group.by.named().into_iter().map(|(name, _)| name).collect();
    let counts: Vec<String> = group
        .fields
        .iter()
        .filter(|(_, accumulator)| matches!(accumulator, Accumulator::Count | Accumulator::CountOf(_)))
        .map(|(name, _)| name.clone())
        .collect();
    stages.push(Stage::Group(group));
    if random.percent(40) && !counts.is_empty() {
        let name = random.pick(&counts).clone();
        let condition = Condition::Gte(Value::from(1 + i32::try_from(random.below(3)).unwrap()));
        stages.push(Stage::Match(Filter::Field(path(&name), condition)));
    }
    let mut sort = indexmap::IndexMap::new();
    for name in random.some(&counts, 1).into_iter().chain(keys) {
        sort.insert(name, random_direction(random));
    }
    stages.push(Stage::Sort(sort));
    if random.percent(30) {
        stages.push(Stage::Limit(random.below(4) as u64));
    }
    Pipeline { stages }
}

fn random_group(random: &mut Random, schema: &EntitySchema, rows: &[Record]) -> Group {
    let plain = plain_fields(schema);
    let by = match random.below(4) {
        0 => GroupKey::Nothing,
        1 | 2 => GroupKey::Field(path(random.pick::<String>(&plain))),
        _ => GroupKey::Fields(
            random.some(&plain, 2).into_iter().map(|name| (name.clone(), path(&name))).collect(),
        ),
    };
    let by = match by {
        GroupKey::Fields(fields) if fields.is_empty() => GroupKey::Nothing,
        by => by,
    };
    let mut fields = indexmap::IndexMap::new();
    for name in random.some(&OUTPUTS, 4) {
        let any = || schema.fields.keys().map(|name| path(name)).collect::<Vec<_>>();
        let plain_path = path(random.pick::<String>(&plain));
        let number = match random.percent(30) {
            true => FieldPath { field: "extra".to_owned(), below: random_path(random, "extra", rows) },
            false => path("amount"),
        };
        let accumulator = match random.below(7) {
            0 => Accumulator::Count,
            1 => Accumulator::CountOf(random.pick(&any()).clone()),
            2 => Accumulator::Sum(number),
            3 => Accumulator::SumOf(2.5),
            4 => Accumulator::Average(number),
            5 => Accumulator::Min(plain_path),
            _ => Accumulator::Max(plain_path),
        };
        fields.insert(name.to_owned(), accumulator);
    }
    Group { by, fields }
}
