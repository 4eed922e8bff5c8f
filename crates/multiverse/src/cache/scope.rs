//! What an entry can be invalidated by.

use std::sync::Arc;

/// Something that entries have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// They were given this tag.
    Tag(Arc<str>),
    /// They were asked in this schema.
    Schema(Arc<str>),
    /// This cluster gave them.
    Cluster(Arc<str>),
    /// This one, given by the digest of its key.
    Digest(Arc<str>),
    /// They were read from this table of a cluster, given by its object id.
    Table(Arc<str>, u32),
    /// Each of them was read from one row of this table of a cluster.
    Rows(Arc<str>, u32),
    /// They were read from the row of a table of a cluster that has this primary key.
    Row(Arc<str>, u32, Arc<[u8]>),
}

/// What is to be dropped. Of several criteria the first in this order counts, as applications of pg-multiverse expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalidation {
    /// What was asked in a schema.
    Schema(String),
    /// What has any of these tags.
    Tags(Vec<String>),
    /// What a cluster gave.
    Cluster(String),
    /// What has one of these keys, as [`super::CacheKey::text`] shows them.
    Keys(Vec<String>),
    /// What has the keys of these digests, as [`super::CacheKey::digest`] gives them.
    Digests(Vec<String>),
    /// Everything.
    All,
}

impl Invalidation {
    /// The scopes to drop; `None` where it is not by scope.
    pub(crate) fn scopes(&self) -> Option<Vec<Scope>> {
        Some(match self {
            Self::Schema(schema) => vec![Scope::Schema(schema.as_str().into())],
            Self::Tags(tags) => tags.iter().map(|tag| Scope::Tag(tag.as_str().into())).collect(),
            Self::Cluster(cluster) => vec![Scope::Cluster(cluster.as_str().into())],
            Self::Digests(digests) => {
                digests.iter().map(|digest| Scope::Digest(digest.as_str().into())).collect()
            }
            Self::Keys(_) | Self::All => return None,
        })
    }
}
