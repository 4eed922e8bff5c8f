//! Rows that were set aside are tried again.

use data::Timestamp;
use data::table::{Row, TableTransaction};

use super::apply::Work;
use super::dead_letter::{Content, DeadLetter};
use super::event::RowOperation;
use super::isolate::{Call, Prepared, write_rows};
use super::routes::Route;
use super::run::{Session, check_fence};
use crate::error::{Error, Result};

/// How many rows are tried again at a time.
const LETTERS_AT_ONCE: usize = 1000;

/// What became of a row that was tried again.
enum Again {
    Written(Call, u64),
    Refused(data::Error),
    /// There is no telling what it looks like.
    Unknown,
}

impl Session {
    /// Tries the rows that were set aside once more, all in one transaction.
    pub(super) async fn retry_letters(&mut self) -> Result<()> {
        let in_rule = || Error::database_in(format!("rule \"{}\"", self.rule.name));
        let table = &self.control.dead_letter;
        let letters = self.letters.read(&self.target, table, LETTERS_AT_ONCE).await.map_err(in_rule())?;
        if letters.is_empty() {
            return Ok(());
        }
        // What the application's function does with them is not waited for in a transaction.
        let mut ready = Vec::with_capacity(letters.len());
        for letter in letters {
            let Some(route) = self.routes.list.iter().find(|route| route.label() == letter.collection) else {
                continue;
            };
            let call = tokio::select! {
                call = prepared(route, &letter) => call.map_err(in_rule())?,
                () = self.shared.stopping() => return Ok(()),
            };
            ready.push((route, letter, call));
        }
        let mut transaction = self.lease.begin().await.map_err(in_rule())?;
        check_fence(&self.rule.name, transaction.as_mut(), &self.control, &self.checkpoint).await?;
        let mut work = Work::none(&self.routes);
        let (mut healed, mut refused) = (Vec::new(), Vec::new());
        for (route, letter, call) in ready {
            let again = match call {
                Ok(call) => again(transaction.as_mut(), route, call).await.map_err(in_rule())?,
                Err(again) => again,
            };
            let Some(stats) = work.stats.get_mut(route.stats) else { continue };
            // A row that is refused again counts once in a run.
            let is_counted = letter.last_at >= self.shared.since();
            match again {
                Again::Written(call, rows) => {
                    match (call, letter.operation) {
                        (Call::Delete, _) => stats.deleted += rows,
                        (_, RowOperation::Insert) => stats.created += 1,
                        _ => stats.updated += 1,
                    }
                    healed.push(letter.id);
                }
                Again::Refused(error) => {
                    if !is_counted {
                        stats.fail(letter.row_key.clone(), error.to_string());
                    }
                    refused.push(DeadLetter {
                        attempts: letter.attempts + 1,
                        last_at: Timestamp::now(),
                        error_code: error.code().to_owned(),
                        error: error.to_string(),
                        ..letter
                    });
                }
                Again::Unknown if is_counted => {}
                Again::Unknown => stats.fail(letter.row_key.clone(), letter.error.clone()),
            }
        }
        let written = async {
            self.letters.remove(transaction.as_mut(), table, healed).await?;
            self.letters.store(transaction.as_mut(), table, &refused).await?;
            transaction.commit().await
        };
        if let Err(error) = written.await {
            self.letters.undone();
            return Err(in_rule()(error));
        }
        self.letters.committed();
        self.shared.add(work.stats);
        Ok(())
    }
}

/// What is to be done with a row that was set aside, or why that cannot be done.
type Prepare = std::result::Result<(Call, Prepared), Again>;

async fn prepared(route: &Route, letter: &DeadLetter) -> data::Result<Prepare> {
    let mapping = &route.collection.mapping;
    match letter.content.clone() {
        Content::Key(key) => Ok(Ok((Call::Delete, Prepared::key_only(key)))),
        Content::Target(columns) => {
            let (row, missing) = Content::into_row(columns, &mapping.target);
            let call = if missing.is_empty() { Call::Upsert } else { Call::Patch };
            let key = mapping.target.key_of(&row);
            Ok(Ok((call, Prepared { source_key: Vec::new(), key, row, missing, is_new: false })))
        }
        Content::Source(columns) => {
            let (row, missing) = Content::into_row(columns, &mapping.source);
            if missing.is_empty() { read_again(route, row).await } else { Ok(Err(Again::Unknown)) }
        }
        Content::Lost(key) => {
            let rows = route.collection.source.tables()?.fetch(&mapping.source, &[key]).await?;
            match rows.into_iter().next() {
                Some(row) => read_again(route, row).await,
                None => Ok(Err(Again::Unknown)),
            }
        }
    }
}

/// What is to be done with a row of the source, or why it is refused again.
async fn read_again(route: &Route, row: Row) -> data::Result<Prepare> {
    let mapping = &route.collection.mapping;
    let key = mapping.source.key_of(&row);
    let mut admitted = mapping.admit_copied(vec![row]).await?;
    if let Some((_, error)) = admitted.refused.pop() {
        return Ok(Err(Again::Refused(error)));
    }
    let Some(kept) = admitted.kept.pop() else {
        let gone = mapping.target_key(&key).map(|key| (Call::Delete, Prepared::key_only(key)));
        return Ok(gone.ok_or(Again::Unknown));
    };
    Ok(match mapping.convert_whole(kept.row) {
        Ok((row, _)) => Ok((Call::Upsert, Prepared::whole(mapping.target.key_of(&row), row))),
        Err(error) => Err(Again::Refused(error)),
    })
}

async fn again(
    transaction: &mut dyn TableTransaction,
    route: &Route,
    (call, prepared): (Call, Prepared),
) -> data::Result<Again> {
    let target = &route.collection.mapping.target;
    let mut outcome = write_rows(transaction, target, call, vec![prepared]).await?;
    Ok(match outcome.refused.pop() {
        Some((_, error)) => Again::Refused(error),
        None => Again::Written(call, outcome.rows),
    })
}
