//! In which letters a source writes the uuids of its keys, where only the target has a type for them.

use std::sync::Arc;

use data::Result;
use data::table::{ScanOptions, StoredForm};

use super::Mapping;
use crate::snapshot::End;

/// So many rows are looked at.
const LOOKED_AT: usize = 100;
/// The characters of a uuid with its hyphens.
const UUID_LENGTH: usize = 36;

impl Mapping {
    /// A target that has a type for uuids gives them back in lower case. So that its keys are found at a source that writes them in
    /// capitals, the first rows are asked whether it does; keys that are written otherwise are refused later.
    pub(super) async fn find_capitals(&mut self, source: &End) -> Result<()> {
        let own_key = self.target.key.iter().filter(|own| self.mark_position != Some(**own));
        let is_uuid = |form: Option<&StoredForm>| form == Some(&StoredForm::Uuid);
        let parts: Vec<usize> = own_key
            .zip(&self.source.key)
            .map(|(own, position)| is_uuid(self.forms.get(*own)) && self.source_has_text(*position))
            .enumerate()
            .filter_map(|(part, is_written)| is_written.then_some(part))
            .collect();
        if parts.is_empty() {
            return Ok(());
        }
        let options = ScanOptions {
            keys_only: true,
            batch_rows: Some(LOOKED_AT),
            discriminator: self.source_discriminator.clone(),
            ..ScanOptions::default()
        };
        let snapshot = source.tables()?.snapshot().await?;
        let mut batches = snapshot.scan(Arc::clone(&self.source), options).await?;
        let Some(batch) = batches.recv().await else { return Ok(()) };
        let keys = batch?.into_rows()?;
        for part in parts {
            // Braces and the like are in neither of the two forms.
            let texts = || {
                keys.iter().filter_map(|key| key.get(part)?.as_text()).filter(|key| key.len() == UUID_LENGTH)
            };
            let has = |is_such: fn(char) -> bool| texts().any(|text| text.contains(is_such));
            let is_in_capitals = has(|letter| letter.is_ascii_uppercase());
            if let (true, false, Some(form)) = (
                is_in_capitals,
                has(|letter| letter.is_ascii_lowercase()),
                self.source.key.get(part).and_then(|position| self.source_forms.get_mut(*position)),
            ) {
                *form = StoredForm::UuidInCapitals;
            }
        }
        Ok(())
    }

    fn source_has_text(&self, position: usize) -> bool {
        self.source_forms.get(position) != Some(&StoredForm::Uuid)
    }
}
