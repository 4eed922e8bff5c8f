//! Aggregations of the filter language as MongoDB's pipelines, stage by stage.
//!
//! Keys and results of groups have names of our own within the pipeline, so that an application may call them whatever
//! it likes; the records that come out bear its names.

use std::collections::BTreeSet;

use mongodb::bson::{Bson, Document, doc};

use super::MongoDialect;
use super::crud::sort_stage;
use super::fields::{Fields, Names, collect_names, first_segment};
use super::filter::{compile, nothing};
use super::group::Grouped;
use super::record::record;
use crate::aggregate::{Accumulator, Group, Pipeline, Stage};
use crate::error::Result;
use crate::filter::{FieldPath, Filter, FindOptions};
use crate::record::{Record, implied_filter};
use crate::schema::{DELETED_AT, EntitySchema};

impl MongoDialect {
    pub(super) async fn aggregate_records(
        &self,
        schema: &EntitySchema,
        pipeline: &Pipeline,
    ) -> Result<Vec<Record>> {
        let before_groups = rows_part(&pipeline.stages);
        let deleted_too = before_groups
            .iter()
            .any(|stage| matches!(stage, Stage::Match(filter) if filter.mentions(DELETED_AT)));
        let mut loan = self.lend().await?;
        let fields = Fields::resolve_names(self, &mut loan, schema, named_fields(before_groups)).await?;
        let implied = implied_filter(schema, Filter::everything(), deleted_too);
        let mut stages = Vec::with_capacity(pipeline.stages.len() + 1);
        push_match(&mut stages, &fields, &implied)?;
        let mut grouped: Option<Grouped> = None;
        for stage in &pipeline.stages {
            let names: &dyn Names = match &grouped {
                Some(grouped) => grouped,
                None => &fields,
            };
            match stage {
                Stage::Match(filter) => push_match(&mut stages, names, filter)?,
                Stage::Sort(sort) => stages.extend(sort_stage(names, sort)?),
                Stage::Limit(0) => stages.push(doc! {"$match": nothing()}),
                Stage::Limit(limit) => {
                    stages.push(doc! {"$limit": i64::try_from(*limit).unwrap_or(i64::MAX)});
                }
                Stage::Group(group) => {
                    let next = Grouped::of(schema, names, group)?;
                    stages.extend(next.stages());
                    grouped = Some(next);
                }
            }
        }
        let mut records = Vec::new();
        self.run_pipeline(&mut loan, &self.connection.collection_name(schema), stages, |document| {
            records.push(match &grouped {
                Some(grouped) => grouped.record(document)?,
                None => record(schema, document, &FindOptions::default())?,
            });
            Ok(())
        })
        .await?;
        Ok(records)
    }
}

fn push_match(stages: &mut Vec<Document>, names: &dyn Names, filter: &Filter) -> Result<()> {
    let query = compile(names, filter)?;
    if !query.is_empty() {
        stages.push(doc! {"$match": Bson::Document(query)});
    }
    Ok(())
}

/// The stages that name fields of the entity: those up to the first group.
fn rows_part(stages: &[Stage]) -> &[Stage] {
    let end = stages.iter().position(|stage| matches!(stage, Stage::Group(_)));
    end.and_then(|end| stages.get(..=end)).unwrap_or(stages)
}

fn named_fields(stages: &[Stage]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for stage in stages {
        match stage {
            Stage::Match(filter) => collect_names(filter, &mut names),
            Stage::Sort(sort) => names.extend(sort.keys().map(|path| first_segment(path))),
            Stage::Limit(_) => {}
            Stage::Group(group) => names.extend(group_paths(group).map(|path| path.field.as_str())),
        }
    }
    names
}

fn group_paths(group: &Group) -> impl Iterator<Item = &FieldPath> {
    let keys = group.by.named().into_iter().map(|(_, path)| path);
    let operands = group.fields.values().filter_map(|accumulator| match accumulator {
        Accumulator::Count | Accumulator::SumOf(_) => None,
        Accumulator::CountOf(path)
        | Accumulator::Sum(path)
        | Accumulator::Average(path)
        | Accumulator::Min(path)
        | Accumulator::Max(path) => Some(path),
    });
    keys.chain(operands)
}
