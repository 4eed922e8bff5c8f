//! Primary keys of one end as the other one holds them.

use data::Value;
use data::table::coerce;

use super::Mapping;
use crate::snapshot::canonical_key;

impl Mapping {
    /// The key of a source row as the target would hold it; `None` if the target cannot hold it whole.
    pub(crate) fn target_key(&self, source_key: &[Value]) -> Option<Vec<Value>> {
        let columns = self.target.key.iter().map(|position| &self.target.columns[*position]);
        let coerced = source_key.iter().zip(columns).map(|(value, column)| {
            let whole = coerce(value.clone(), &column.column_type, &self.limits).ok()?;
            (whole.loss.is_none() && !whole.value.is_null()).then_some(whole.value)
        });
        let key: Vec<Value> = coerced.collect::<Option<_>>()?;
        let back = self.source_key(&key)?;
        (canonical_key(&back) == canonical_key(source_key)).then_some(key)
    }

    /// The key of a target row as the source would hold it; `None` if the source cannot hold such a key.
    pub(crate) fn source_key(&self, target_key: &[Value]) -> Option<Vec<Value>> {
        let columns = self.source.key.iter().map(|position| &self.source.columns[*position]);
        let coerced = target_key.iter().zip(columns).map(|(value, column)| {
            coerce(value.clone(), &column.column_type, &self.source_limits)
                .ok()
                .filter(|coerced| coerced.loss.is_none())
        });
        coerced.map(|coerced| coerced.map(|coerced| coerced.value)).collect()
    }
}
