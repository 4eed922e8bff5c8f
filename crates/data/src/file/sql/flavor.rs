//! Whose SQL a dump is in.

use std::io::Read as _;
use std::path::Path;

use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};

use super::super::error::file_error;
use super::super::spec::SqlFlavor;
use super::super::text;
use crate::error::Result;

/// How much of a dump is looked at.
const LOOKED_AT: u64 = 64 << 10;

/// Stands in the first line of dumps of ours, before the dialect.
pub(super) const OWN_HEADER: &str = "-- replicaverse SQL dump, dialect: ";

/// Words by which the programs that make dumps sign them, or that only one dialect has.
const SIGNS: [(&str, SqlFlavor); 9] = [
    ("-- MySQL dump", SqlFlavor::Mysql),
    ("-- MariaDB dump", SqlFlavor::Mysql),
    ("-- phpMyAdmin SQL Dump", SqlFlavor::Mysql),
    ("-- PostgreSQL database dump", SqlFlavor::Postgres),
    ("SET standard_conforming_strings", SqlFlavor::Postgres),
    ("PRAGMA ", SqlFlavor::Sqlite),
    ("INSERT INTO `", SqlFlavor::Mysql),
    ("CREATE TABLE `", SqlFlavor::Mysql),
    (" FROM stdin;", SqlFlavor::Postgres),
];

impl SqlFlavor {
    /// How the dialect's literals and names are read.
    pub(super) fn syntax(self) -> &'static dyn Dialect {
        match self {
            Self::Postgres => &PostgreSqlDialect {},
            Self::Sqlite => &SQLiteDialect {},
            Self::Mysql => &MySqlDialect {},
        }
    }
}

/// The dialect that the beginning of a dump speaks of; SQLite, whose strings are those of the standard, where nothing
/// tells.
pub(super) fn find_flavor(path: &Path) -> Result<SqlFlavor> {
    let mut start = Vec::new();
    text::open(path)?.take(LOOKED_AT).read_to_end(&mut start).map_err(|error| file_error(path, error))?;
    let start = String::from_utf8_lossy(&start);
    if let Some(own) = start.strip_prefix(OWN_HEADER) {
        let named = [SqlFlavor::Postgres, SqlFlavor::Sqlite, SqlFlavor::Mysql];
        if let Some(flavor) = named.into_iter().find(|flavor| own.starts_with(flavor.name())) {
            return Ok(flavor);
        }
    }
    let sign = SIGNS.iter().find(|(sign, _)| start.contains(sign));
    Ok(sign.map_or(SqlFlavor::Sqlite, |(_, flavor)| *flavor))
}
