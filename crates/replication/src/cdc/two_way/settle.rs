//! A round: keys are read on both sides, decided, and written.

use std::collections::HashMap;

use data::table::Row;
use data::{ErrorKind, Value};
use indexmap::IndexMap;

use super::Exchange;
use super::decide::{Decision, Held, Met, decide};
use super::dirty::{Dirty, Touched};
use super::merge::Asked;
use super::side::Which;
use super::version::{Version, id_of};
use super::work::{Job, Work};
use crate::bidirectional::Pair;
use crate::error::{Error, Result};
use crate::snapshot::canonical_key;
use crate::stats::Winner;

/// What a round is to do.
#[derive(Default)]
struct Round {
    at_source: Vec<Work>,
    at_target: Vec<Work>,
    /// Keys about which the application is asked.
    asked: Vec<(usize, Touched, Met)>,
    /// Keys of which the log is still to tell when a side lost its row, with that side.
    awaiting: Vec<(usize, Touched, Which)>,
    /// Keys that have no row any more on either side, and the versions that are kept of them.
    forgotten: Vec<(String, Option<u64>, Option<u64>)>,
}

impl Round {
    fn works(&mut self, which: Which) -> &mut Vec<Work> {
        match which {
            Which::Source => &mut self.at_source,
            Which::Target => &mut self.at_target,
        }
    }
}

impl Exchange {
    /// Settles keys. What is left in `dirty` afterwards is to be settled once more. `is_last` if the time of a deletion that is
    /// not known will not be told either.
    pub(super) async fn settle(&mut self, dirty: &mut Dirty, is_last: bool) -> Result<()> {
        let taken = std::mem::replace(dirty, Dirty::none(self.pairs.len()));
        let mut round = Round::default();
        self.read_anew();
        for (index, keys) in taken.pairs.into_iter().enumerate().filter(|(_, keys)| !keys.is_empty()) {
            let Some(label) = self.pairs.get(index).map(|pair| pair.to_target.label.clone()) else {
                continue;
            };
            let in_collection = Error::database_in(format!("collection \"{label}\""));
            let met = match self.meet(index, &keys).await {
                // It may be one of them that a server cannot read.
                Err(error) if error.kind() == ErrorKind::Value => self.meet_singly(index, &keys).await?,
                met => met.map_err(in_collection)?,
            };
            for (touched, met) in keys.into_values().zip(met) {
                if let Some(met) = met {
                    self.sort(index, touched, met, is_last, &mut round);
                }
            }
        }
        self.set_aside_unheld().await?;
        for (index, touched, met) in std::mem::take(&mut round.asked) {
            self.ask_for(index, touched, met, &mut round).await;
        }
        for which in [Which::Target, Which::Source] {
            let works = std::mem::take(round.works(which));
            if !works.is_empty() {
                self.write(which, works, is_last, dirty).await?;
            }
        }
        self.forget(round.forgotten).await?;
        self.await_deletions(round.awaiting, dirty).await?;
        self.tell();
        Ok(())
    }

    /// Reads what both sides hold under keys, and the versions; `None` for a key of another entity.
    pub(super) async fn meet(
        &self,
        index: usize,
        keys: &IndexMap<String, Touched>,
    ) -> data::Result<Vec<Option<Met>>> {
        let Some(pair) = self.pairs.get(index) else { return Ok(Vec::new()) };
        let label = &pair.to_target.label;
        let former = self.former.get(index).and_then(Option::as_ref);
        let mut rows = [HashMap::new(), HashMap::new()];
        let mut versions = [HashMap::new(), HashMap::new()];
        let ids: Vec<Vec<Value>> =
            keys.values().map(|touched| vec![Value::from(id_of(&self.name, label, &touched.key))]).collect();
        for ((which, rows), versions) in Which::BOTH.into_iter().zip(&mut rows).zip(&mut versions) {
            let own: Vec<Vec<Value>> = keys.values().map(|touched| key_at(which, touched).clone()).collect();
            let table = which.read_table(pair);
            for row in which.end(pair).tables()?.fetch(table, &own).await? {
                rows.insert(canonical_key(&table.key_of(&row)), row);
            }
            let side = self.side(which);
            for row in side.end.tables()?.fetch(&side.versions, &ids).await? {
                let (id, version) = Version::of_row(&side.versions, &row);
                versions.insert(id, version);
            }
        }
        let [mut at_source, mut at_target] = rows;
        let [mut source_versions, mut target_versions] = versions;
        let mut met = Vec::with_capacity(keys.len());
        for touched in keys.values() {
            let id = id_of(&self.name, label, &touched.key);
            let source = at_source.remove(&canonical_key(&touched.key));
            let target = at_target.remove(&canonical_key(&touched.target_key));
            if is_of_another_entity(pair, source.as_ref(), target.as_ref()) {
                met.push(None);
                continue;
            }
            met.push(Some(Met {
                key: touched.key.clone(),
                source: Held::of(pair, Which::Source, source, former),
                target: Held::of(pair, Which::Target, target, former),
                at_source: source_versions.remove(&id),
                at_target: target_versions.remove(&id),
                deleted_at: touched.deleted_at,
            }));
        }
        Ok(met)
    }

    /// Decides a key.
    fn sort(&mut self, index: usize, touched: Touched, met: Met, is_last: bool, round: &mut Round) {
        let Some(pair) = self.pairs.get(index) else { return };
        let lacking = if met.source.row.is_none() { Which::Source } else { Which::Target };
        let is_told = touched.awaited(lacking).is_some_and(|head| self.seen_of(lacking) >= head);
        let decision = decide(pair, &met, is_last || is_told);
        let written = match &decision {
            Decision::Carry { winner, .. } => Some(winner.other()),
            Decision::Ask | Decision::Await => None,
            _ => Some(Which::Target),
        };
        for which in Which::BOTH {
            let is_settled = matches!(decision, Decision::Rest | Decision::Forget)
                || written.is_some_and(|written| written != which);
            let letters = &self.side(which).letters;
            if is_settled && !letters.is_empty() && letters.has(&letters.id(&pair.to_target.label, &met.key))
            {
                let work = Work::new(index, touched.clone(), met.clone(), Job::Clear);
                round.works(which).push(work);
            }
        }
        match decision {
            // What the logs tell of the rule's own writing is not worth counting.
            Decision::Rest if is_last => self.stats_of(index, |stats| stats.skipped += 1),
            Decision::Rest => {}
            Decision::Agree => round.at_target.push(Work::new(index, touched, met, Job::Note)),
            Decision::Forget => {
                let id = id_of(&self.name, &pair.to_target.label, &met.key);
                let number = |version: &Option<Version>| version.as_ref().map(|version| version.number);
                round.forgotten.push((id, number(&met.at_source), number(&met.at_target)));
            }
            Decision::Ask => round.asked.push((index, touched, met)),
            Decision::Await => round.awaiting.push((index, touched, lacking)),
            Decision::Carry { winner, conflict } => {
                let work = self.carry(index, touched, met, winner);
                let which = winner.other();
                round
                    .works(which)
                    .push(Work { conflict: conflict.map(|fields| (winner.winner(), fields)), ..work });
            }
        }
    }

    /// Puts keys back until the logs have told everything that was committed when their rows were found to be missing.
    async fn await_deletions(&self, awaiting: Vec<(usize, Touched, Which)>, dirty: &mut Dirty) -> Result<()> {
        let mut heads = [None, None];
        for (index, mut touched, lacking) in awaiting {
            if touched.awaited(lacking).is_none() {
                let head = match lacking {
                    Which::Source => &mut heads[0],
                    Which::Target => &mut heads[1],
                };
                if head.is_none() {
                    *head = Some(self.side(lacking).log()?.head().await.map_err(self.in_rule())?.order);
                }
                touched.wait_for(lacking, *head);
            }
            dirty.put_back(index, touched);
        }
        Ok(())
    }

    /// Up to where the log of a side has been read.
    pub(super) fn seen_of(&self, which: Which) -> u64 {
        let [source, target] = self.seen;
        if which == Which::Source { source } else { target }
    }

    /// What is to be done so that what one side holds goes to the other.
    fn carry(&self, index: usize, touched: Touched, met: Met, winner: Which) -> Work {
        let job = match (self.pairs.get(index), &met.source.row, &met.target.row, winner) {
            (None, ..) | (_, None, _, Which::Source) | (_, _, None, Which::Target) => Ok(Job::Delete),
            (Some(pair), Some(row), Some(own), Which::Source) => pair.for_target(row, own).map(Job::Put),
            (Some(pair), Some(row), Some(own), Which::Target) => pair.for_source(row, own).map(Job::Put),
            (Some(pair), Some(row), None, Which::Source) => {
                pair.to_target.mapping.convert_whole(row.clone()).map(Job::Put)
            }
            (Some(pair), None, Some(own), Which::Target) => {
                pair.to_source.mapping.convert_whole(own.clone()).map(Job::Put)
            }
        };
        Work::new(index, touched, met, job.unwrap_or_else(Job::Refuse))
    }

    /// Asks the application for a key, and adds what it has decided to the round.
    async fn ask_for(&mut self, index: usize, touched: Touched, met: Met, round: &mut Round) {
        match self.ask(index, &met).await {
            Ok(Asked::Carry(winner)) => {
                let work = self.carry(index, touched, met, winner);
                let conflict = Some((winner.winner(), Vec::new()));
                round.works(winner.other()).push(Work { conflict, ..work });
            }
            Ok(Asked::Both(job)) => {
                let conflict = Some((Winner::Merged, Vec::new()));
                let work = Work::new(index, touched, met, job);
                round.at_source.push(Work { conflict, is_open: true, ..work });
            }
            Err(error) => round.at_target.push(Work::new(index, touched, met, Job::Refuse(error))),
        }
    }
}

/// The key at a side.
pub(super) fn key_at(which: Which, touched: &Touched) -> &Vec<Value> {
    match which {
        Which::Source => &touched.key,
        Which::Target => &touched.target_key,
    }
}

/// Whether a row belongs to another entity than the one that is meant, where several share a table.
fn is_of_another_entity(pair: &Pair, source: Option<&Row>, target: Option<&Row>) -> bool {
    let source_table = &pair.to_target.mapping.source;
    let foreign_source = source.is_some_and(|row| {
        pair.to_target.mapping.source_discriminator.as_ref().is_some_and(|meant| {
            let value = source_table.position(&meant.column).and_then(|position| row.get(position));
            value.is_some_and(|value| value.as_text() != Some(&meant.value))
        })
    });
    foreign_source || target.is_some_and(|row| !pair.is_of_entity_at_target(row))
}
