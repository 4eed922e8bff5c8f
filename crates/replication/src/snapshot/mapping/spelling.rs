//! How a source spells uuids and moments in its keys, where it has no type for them.

use std::sync::Arc;

use data::table::{ColumnType, ScanOptions, StoredForm};
use data::{DialectKind, Result, Value};

use super::Mapping;
use crate::snapshot::End;

/// So many rows are looked at.
const LOOKED_AT: usize = 100;
/// The characters of a uuid with its hyphens.
const UUID_LENGTH: usize = 36;

impl Mapping {
    /// A target that has a type for uuids gives them back in lower case, and one that has a type for moments has forgotten how they
    /// were written. So that its keys are found at a source that holds them as text, the first rows are asked how they are spelled;
    /// keys that are spelled otherwise are refused later.
    pub(super) async fn find_spelling(&mut self, source: &End) -> Result<()> {
        let is_sqlite = source.dialect().is_some_and(|dialect| dialect.kind() == DialectKind::Sqlite);
        let own_key = self.target.key.iter().filter(|own| self.mark_position != Some(**own));
        let parts: Vec<(usize, usize)> = own_key
            .zip(&self.source.key)
            .enumerate()
            .filter(|(_, (own, position))| {
                self.may_be_in_capitals(**own, **position) || (is_sqlite && self.is_moment(**position))
            })
            .map(|(part, (_, position))| (part, *position))
            .collect();
        if parts.is_empty() {
            return Ok(());
        }
        let keys = self.first_keys(source).await?;
        for (part, position) in parts {
            let texts: Vec<&str> = keys.iter().filter_map(|key| key.get(part)?.as_text()).collect();
            let spelling = match self.is_moment(position) {
                true => StoredForm::of_moments(&texts),
                false => are_in_capitals(&texts).then_some(StoredForm::UuidInCapitals),
            };
            if let (Some(form), Some(spelling)) = (self.source_forms.get_mut(position), spelling) {
                *form = spelling;
            }
        }
        Ok(())
    }

    fn may_be_in_capitals(&self, own: usize, position: usize) -> bool {
        let uuid = Some(&StoredForm::Uuid);
        self.forms.get(own) == uuid && self.source_forms.get(position) != uuid
    }

    fn is_moment(&self, position: usize) -> bool {
        let column = self.source.columns.get(position);
        column.is_some_and(|column| matches!(column.column_type, ColumnType::Timestamp { .. }))
    }

    async fn first_keys(&self, source: &End) -> Result<Vec<Vec<Value>>> {
        let options = ScanOptions {
            keys_only: true,
            batch_rows: Some(LOOKED_AT),
            discriminator: self.source_discriminator.clone(),
            ..ScanOptions::default()
        };
        let snapshot = source.tables()?.snapshot().await?;
        let mut batches = snapshot.scan(Arc::clone(&self.source), options).await?;
        match batches.recv().await {
            Some(batch) => batch?.into_rows(),
            None => Ok(Vec::new()),
        }
    }
}

/// Whether the uuids among the texts are all in capitals. Those with braces and the like are in neither of the two forms.
fn are_in_capitals(texts: &[&str]) -> bool {
    let has = |is_such: fn(char) -> bool| {
        texts.iter().filter(|text| text.len() == UUID_LENGTH).any(|text| text.contains(is_such))
    };
    has(|letter| letter.is_ascii_uppercase()) && !has(|letter| letter.is_ascii_lowercase())
}
