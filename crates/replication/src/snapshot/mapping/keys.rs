//! Primary keys of one end as the other one holds them.

use data::Value;
use data::table::{StoredForm, coerce};

use super::Mapping;
use crate::snapshot::canonical_key;

impl Mapping {
    /// The key of a source row as the target would hold it; `None` if the target cannot hold it whole.
    pub(crate) fn target_key(&self, source_key: &[Value]) -> Option<Vec<Value>> {
        let own = self.target.key.iter().filter(|position| self.mark_position != Some(**position));
        let columns = own.map(|position| (*position, &self.target.columns[*position]));
        let first = self.key_prefix.as_ref().map(|prefix| prefix.position);
        let coerced =
            source_key.iter().zip(columns).enumerate().map(|(part, (value, (position, column)))| {
                let value = match first.filter(|_| part == 0) {
                    Some(position) => self.prefixed(position, value.clone()).ok()?,
                    None => value.clone(),
                };
                let coerced = coerce(value, &column.column_type, &self.limits).ok()?;
                let whole = self.store(position, coerced).ok()?;
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
        let coerced = target_key.iter().zip(&self.source.key).enumerate().map(|(part, (value, position))| {
            let value = if part == 0 { self.without_prefix(value)? } else { value.clone() };
            let value = if self.pads_key(part) { without_padding(value) } else { value };
            let column = self.source.columns.get(*position)?;
            let coerced = coerce(value, &column.column_type, &self.source_limits).ok()?;
            let form = self.source_forms.get(*position).unwrap_or(&StoredForm::Same);
            let whole = form.store(coerced, &self.source_limits).ok()?;
            whole.loss.is_none().then_some(whole.value)
        });
        coerced.collect()
    }

    /// Whether a key of the target is the one that a key of the source has there. Text that reads like the number of another row
    /// is none.
    pub(crate) fn stands_for(&self, target_key: &[Value], source_key: &[Value]) -> bool {
        self.target_key(source_key).is_none_or(|own| {
            let is_same = |(own, key): (&Value, &Value)| own.same_as(key);
            canonical_key(&own) == canonical_key(target_key) || own.iter().zip(target_key).all(is_same)
        })
    }

    /// Whether the target fills this part of a source's key with spaces, so that those at its end are not the key's own.
    fn pads_key(&self, part: usize) -> bool {
        let own = self.target.key.iter().filter(|position| self.mark_position != Some(**position));
        let form = own.copied().nth(part).and_then(|position| self.forms.get(position));
        matches!(form, Some(StoredForm::Padded(_)))
    }
}

fn without_padding(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::from(text.trim_end_matches(' ')),
        value => value,
    }
}
