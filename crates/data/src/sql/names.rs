//! Names of tables, columns and indexes, and what a database does not take as one.

use std::sync::Arc;

use super::dialect::SqlDialect;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::EntitySchema;

/// What the number that stands for the rest of a name takes, with the underscore before it.
const HASH_LENGTH: usize = 17;

impl SqlDialect {
    /// Refuses entities with names that the database would cut in silence.
    ///
    /// # Errors
    /// [`ErrorKind::Schema`] naming the entity and the name.
    pub(super) fn check_names(&self, schemas: &[Arc<EntitySchema>]) -> Result<()> {
        let Some(longest) = self.syntax.longest_name() else { return Ok(()) };
        let prefix = &self.shared.config.table_prefix;
        for schema in schemas {
            let columns = schema.columns();
            let junctions = schema.relations.keys().filter_map(|relation| schema.junction(relation));
            let mut names = std::iter::once(self.table(schema))
                .chain(columns.iter().map(|column| column.name().to_owned()))
                .chain(junctions.flat_map(|own| [format!("{prefix}{}", own.table), own.own, own.other]));
            if let Some(name) = names.find(|name| name.len() > longest) {
                let message = format!("schema {}: {}", schema.name, too_long(&name, longest));
                return Err(Error::new(ErrorKind::Schema, message));
            }
        }
        Ok(())
    }

    /// Refuses a written key that cannot be the name of a column: it would be cut, or would mean something else in a
    /// filter.
    ///
    /// # Errors
    /// [`ErrorKind::Value`].
    pub(super) fn check_new_column(&self, table: &str, name: &str) -> Result<()> {
        let refuse = |what: &str| Err(Error::new(ErrorKind::Value, format!("table \"{table}\": {what}")));
        if name.is_empty() || name.starts_with('$') || name.contains(['.', '\0']) {
            return refuse(&format!("{name:?} cannot be a column name"));
        }
        match self.syntax.longest_name() {
            Some(longest) if name.len() > longest => refuse(&too_long(name, longest)),
            _ => Ok(()),
        }
    }
}

fn too_long(name: &str, longest: usize) -> String {
    format!("the name {name:?} has {} bytes, and the database cuts names to {longest}", name.len())
}

/// A name that is too long keeps its beginning, and a number made of all of it. `size` says how much of `most` a character
/// takes.
pub(crate) fn shortened(name: String, most: usize, size: fn(char) -> usize) -> String {
    const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const FNV_PRIME: u64 = 0x0100_0000_01b3;
    if name.chars().map(size).sum::<usize>() <= most {
        return name;
    }
    let hash = name.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    let mut room = most.saturating_sub(HASH_LENGTH);
    let fits = |character: &char| {
        let taken = size(*character);
        let fits = taken <= room;
        room = room.saturating_sub(taken);
        fits
    };
    let kept: String = name.chars().take_while(fits).collect();
    format!("{kept}_{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_stay_different() {
        let long = |end: &str| format!("{}{end}", "é".repeat(100));
        for (most, size) in [(64, (|_| 1) as fn(char) -> usize), (63, char::len_utf8)] {
            let (one, other) = (shortened(long("a"), most, size), shortened(long("b"), most, size));
            assert_ne!(one, other);
            let length: usize = one.chars().map(size).sum();
            assert!((most - 1..=most).contains(&length), "{one}");
            assert_eq!(shortened("short".to_owned(), most, size), "short");
        }
    }
}
