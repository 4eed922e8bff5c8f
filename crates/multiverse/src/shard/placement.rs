//! From the value of a shard key to the number of its shard.

use serde_json::Value as Json;

use super::error::ShardError;
use super::hash;
use super::key::{KeyType, KeyValue};
use crate::config::{Sharding, ShardingStrategy};

/// How the values of one column lead to shards.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placement {
    pub(crate) key: KeyType,
    rule: Rule,
    /// The most characters of a text.
    longest: Option<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Hash {
        partitions: u32,
    },
    /// Each from its first value up to but without its second.
    Ranges(Vec<(KeyValue, KeyValue)>),
    Directory(Vec<(KeyValue, u32)>),
}

impl Placement {
    /// The placement of a column of this type.
    ///
    /// # Errors
    /// A bound or a value of the configuration is none of the column's type.
    pub(crate) fn new(sharding: &Sharding, key: KeyType) -> Result<Self, ShardError> {
        let bound = |json: &Json| match json {
            Json::String(text) => key.parse(text),
            other => key.parse(&other.to_string()),
        };
        let unfit = || ShardError::configured(&sharding.key, key);
        let rule = match &sharding.strategy {
            ShardingStrategy::Hash { partitions } => Rule::Hash { partitions: *partitions },
            ShardingStrategy::Range { ranges } => {
                let read = ranges.iter().map(|range| Some((bound(&range.min)?, bound(&range.max)?)));
                Rule::Ranges(read.collect::<Option<_>>().ok_or_else(unfit)?)
            }
            ShardingStrategy::Directory { shards } => {
                let read = shards.iter().map(|(value, shard)| Some((key.parse(value)?, *shard)));
                Rule::Directory(read.collect::<Option<_>>().ok_or_else(unfit)?)
            }
        };
        Ok(Self { key, rule, longest: None })
    }

    /// The same for a column whose texts have at most so many characters.
    pub(crate) fn limited(self, longest: Option<usize>) -> Self {
        Self { longest: longest.filter(|_| self.key == KeyType::Text), ..self }
    }

    /// The shard of a value that is to be stored: spaces for which a text has no room are left out then.
    pub(crate) fn shard_of_stored(&self, value: &KeyValue) -> Option<u32> {
        match (value, self.longest) {
            (KeyValue::Text(text), Some(longest)) if text.chars().count() > longest => {
                let kept: String = text.chars().take(longest).collect();
                // Anything but spaces beyond it is refused by the server.
                self.shard_of(&KeyValue::Text(kept))
            }
            _ => self.shard_of(value),
        }
    }

    /// The shard of a value; `None` where no range or entry has it. NULL is where hash partitioning puts it, and nowhere else.
    pub(crate) fn shard_of(&self, value: &KeyValue) -> Option<u32> {
        let is = |wanted: std::cmp::Ordering, one: &KeyValue| one.order(value) == Some(wanted);
        match &self.rule {
            Rule::Hash { partitions } => Some(hash::partition_of(value.hash(self.key), *partitions)),
            Rule::Ranges(ranges) => {
                let has = |(min, max): &(KeyValue, KeyValue)| {
                    (is(std::cmp::Ordering::Less, min) || is(std::cmp::Ordering::Equal, min))
                        && is(std::cmp::Ordering::Greater, max)
                };
                ranges.iter().position(has).and_then(|shard| u32::try_from(shard).ok())
            }
            Rule::Directory(entries) => {
                let mut entries = entries.iter();
                entries.find(|(entry, _)| is(std::cmp::Ordering::Equal, entry)).map(|(_, shard)| *shard)
            }
        }
    }

    /// An expression of SQL for the shard of a row, NULL where it has none. `column` is quoted.
    pub(crate) fn shard_sql(&self, column: &str) -> String {
        let literal = |value: &KeyValue| literal_of(value, self.key);
        match &self.rule {
            Rule::Hash { partitions } => format!("({})::int4", hash::partition_sql(column, *partitions)),
            Rule::Ranges(ranges) => {
                let column = &self.ordered(column);
                let cases = ranges.iter().enumerate().map(|(shard, (min, max))| {
                    format!("WHEN {column} >= {} AND {column} < {} THEN {shard}", literal(min), literal(max))
                });
                format!("(CASE {} END)::int4", cases.collect::<Vec<_>>().join(" "))
            }
            Rule::Directory(entries) => {
                let column = &self.ordered(column);
                let cases = entries
                    .iter()
                    .map(|(value, shard)| format!("WHEN {column} = {} THEN {shard}", literal(value)));
                format!("(CASE {} END)::int4", cases.collect::<Vec<_>>().join(" "))
            }
        }
    }

    /// The column in the order of this module.
    fn ordered(&self, column: &str) -> String {
        if self.key == KeyType::Text {
            format!("{column} COLLATE pg_catalog.\"C\"")
        } else {
            column.to_owned()
        }
    }
}

fn literal_of(value: &KeyValue, key: KeyType) -> String {
    let quoted = |text: &str, cast: &str| format!("'{}'::pg_catalog.{cast}", text.replace('\'', "''"));
    match value {
        KeyValue::Null => "NULL".to_owned(),
        KeyValue::Int(value) => value.to_string(),
        KeyValue::Bool(value) => value.to_string(),
        KeyValue::Text(text) => quoted(text, "text"),
        KeyValue::Bytes(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            if key == KeyType::Uuid {
                quoted(&digits, "uuid")
            } else {
                quoted(&format!("\\x{digits}"), "bytea")
            }
        }
        KeyValue::Date(days) => format!("('2000-01-01'::pg_catalog.date + {days})"),
        KeyValue::Timestamp(micros) => {
            let (start, cast) = match key {
                KeyType::Timestamptz => ("2000-01-01 00:00:00+00", "timestamptz"),
                _ => ("2000-01-01 00:00:00", "timestamp"),
            };
            format!("({} + '{micros} microseconds'::pg_catalog.interval)", quoted(start, cast))
        }
        KeyValue::Numeric(number) => quoted(&number.to_text(), "numeric"),
        KeyValue::Float(number) => quoted(&number.to_string(), "float8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sharding(strategy: ShardingStrategy) -> Sharding {
        Sharding { key: "id".to_owned(), strategy, shards: Vec::new(), member: None }
    }

    fn shard(placement: &Placement, text: &str) -> Option<u32> {
        placement.shard_of(&placement.key.parse(text).unwrap())
    }

    #[test]
    fn a_range_holds_its_first_value_and_not_its_last() {
        let range = |min, max| crate::config::ShardRange { min, max };
        let ranges = vec![range(json!(0), json!(10)), range(json!(10), json!(20))];
        let placement = Placement::new(&sharding(ShardingStrategy::Range { ranges }), KeyType::Int8).unwrap();
        let found: Vec<_> = ["-1", "0", "9", "10", "19", "20"].map(|text| shard(&placement, text)).into();
        assert_eq!(found, [None, Some(0), Some(0), Some(1), Some(1), None]);
        assert_eq!(placement.shard_of(&KeyValue::Null), None);
        let dates = vec![range(json!("2020-01-01"), json!("2021-01-01"))];
        let dates = sharding(ShardingStrategy::Range { ranges: dates });
        assert_eq!(shard(&Placement::new(&dates, KeyType::Date).unwrap(), "2020-12-31"), Some(0));
        assert!(Placement::new(&dates, KeyType::Int4).is_err());
    }

    #[test]
    fn a_directory_finds_equal_values_however_they_are_written() {
        let shards = [("1", 0), ("2.0", 1)].map(|(value, shard)| (value.to_owned(), shard)).into();
        let placement = Placement::new(&sharding(ShardingStrategy::Directory { shards }), KeyType::Numeric);
        let placement = placement.unwrap();
        assert_eq!(
            (shard(&placement, "1.00"), shard(&placement, "2"), shard(&placement, "3")),
            (Some(0), Some(1), None)
        );
    }
}
