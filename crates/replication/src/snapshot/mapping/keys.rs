//! Primary keys of one end as the other one holds them.

use data::Value;
use data::table::coerce;

use super::Mapping;
use crate::snapshot::canonical_key;

impl Mapping {
    /// The key of a source row as the target would hold it; `None` if the target cannot hold it whole.
    pub(crate) fn target_key(&self, source_key: &[Value]) -> Option<Vec<Value>> {
        let own = self.target.key.iter().filter(|position| self.mark_position != Some(**position));
        let columns = own.map(|position| &self.target.columns[*position]);
        let first = self.key_prefix.as_ref().map(|prefix| prefix.position);
        let coerced = source_key.iter().zip(columns).enumerate().map(|(part, (value, column))| {
            let value = match first.filter(|_| part == 0) {
                Some(position) => self.prefixed(position, value.clone()).ok()?,
                None => value.clone(),
            };
            let whole = coerce(value, &column.column_type, &self.limits).ok()?;
            (whole.loss.is_none() && !whole.value.is_null()).then_some(whole.value)
        });
        let mut key: Vec<Value> = coerced.collect::<Option<_>>()?;
        if let (Some(mark), Some(at)) = (&self.source_mark, self.mark_in_key()) {
            key.insert(at.min(key.len()), Value::from(mark.value.as_str()));
        }
        let back = self.source_key(&key)?;
        (canonical_key(&back) == canonical_key(source_key)).then_some(key)
    }

    /// Where the name of the source stands in the keys of the target.
    fn mark_in_key(&self) -> Option<usize> {
        let position = self.mark_position?;
        self.target.key.iter().position(|own| *own == position)
    }

    /// The key of a target row as the source would hold it; `None` if the source cannot hold such a key, or the row comes
    /// from another one.
    pub(crate) fn source_key(&self, target_key: &[Value]) -> Option<Vec<Value>> {
        let mut unmarked = Vec::new();
        let target_key = match (&self.source_mark, self.mark_in_key()) {
            (Some(mark), Some(at)) => {
                unmarked.extend_from_slice(target_key);
                if at >= unmarked.len() || unmarked.remove(at).as_text() != Some(&mark.value) {
                    return None;
                }
                unmarked.as_slice()
            }
            _ => target_key,
        };
        let columns = self.source.key.iter().map(|position| &self.source.columns[*position]);
        let coerced = target_key.iter().zip(columns).enumerate().map(|(part, (value, column))| {
            let value = if part == 0 { self.without_prefix(value)? } else { value.clone() };
            coerce(value, &column.column_type, &self.source_limits)
                .ok()
                .filter(|coerced| coerced.loss.is_none())
        });
        coerced.map(|coerced| coerced.map(|coerced| coerced.value)).collect()
    }
}
