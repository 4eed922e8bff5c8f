//! One run of a peer: reads a job from standard input, inserts ready values, prints the outcome as JSON.

mod changes;
mod job;
mod log_readers;
mod mongodb;
mod mysql;
mod ready;
mod sqlite;

use std::io::Read;
use std::process::ExitCode;

use data::DialectKind;
use job::{Failure, Job, Outcome};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(outcome) => {
            println!("{}", outcome.to_json());
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<Outcome, Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    match Job::parse(&text)? {
        Job::Insert { source, target, table } => {
            let ready = ready::ready_rows(&source, &target, &table).await?;
            match target.kind()? {
                DialectKind::Mongodb => mongodb::insert(&target.uri, &ready).await,
                DialectKind::Mysql | DialectKind::Mariadb => mysql::insert(&target.uri, &ready).await,
                DialectKind::Sqlite => sqlite::insert(&target.uri, &ready),
                other => Err(Failure::NoPeer(other.name())),
            }
        }
        Job::Change { target, table, events } => changes::change(&target.uri, &table, events).await,
        Job::Read { source, table, events, from } => match source.kind()? {
            DialectKind::Mongodb => log_readers::change_stream(&source.uri, &table, events, &from).await,
            DialectKind::Mysql | DialectKind::Mariadb => {
                log_readers::binlog(&source.uri, events, &from).await
            }
            other => Err(Failure::NoPeer(other.name())),
        },
        Job::CountSqlite { file, table } => sqlite::count(&file, &table),
    }
}
