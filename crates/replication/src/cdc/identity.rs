//! The names of readers: one for each rule between two databases, so that applications never collide.

use data::Result;
use data::table::OWN_TABLE_PREFIX;
use sha2::{Digest, Sha256};

use crate::snapshot::End;

/// How many bytes of a hash a name holds; each is two of its characters.
const NAMED_BYTES: usize = 8;

/// What a reader reads for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To apply the changes to the target of the rule.
    Apply,
    /// To hand the changes to the application.
    Changes,
}

/// The name under which a rule reads the log of its source.
pub(super) async fn reader_name(rule: &str, source: &End, target: &End, purpose: Purpose) -> Result<String> {
    let (source, target) = (source.tables()?.identity().await?, target.tables()?.identity().await?);
    let parts = [rule, source.as_str(), target.as_str()];
    Ok(match purpose {
        Purpose::Apply => name_of(&parts),
        Purpose::Changes => name_of(&[parts[0], parts[1], parts[2], "changes"]),
    })
}

fn name_of(parts: &[&str]) -> String {
    format!("{OWN_TABLE_PREFIX}{}", digest(parts))
}

/// The first bytes of the SHA-256 of some texts, in hexadecimal digits.
pub(crate) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps two parts from running into each other.
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(NAMED_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_differs_with_every_part() {
        let name = name_of(&["rule", "source", "target"]);
        assert_eq!(name.len(), OWN_TABLE_PREFIX.len() + 16);
        assert_eq!(name, name_of(&["rule", "source", "target"]));
        for other in
            [["rules", "ource", "target"], ["rule", "target", "source"], ["rule", "source", "targets"]]
        {
            assert_ne!(name, name_of(&other));
        }
    }
}
