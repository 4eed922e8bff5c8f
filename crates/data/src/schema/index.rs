//! Secondary indexes of an entity.

/// The direction of one column of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexDirection {
    /// Ascending.
    Ascending,
    /// Descending.
    Descending,
    /// Full text; SQL dialects leave such an index out.
    Text,
}

/// A secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The columns, outermost first.
    pub fields: Vec<(String, IndexDirection)>,
    /// Whether no two rows may hold the same values.
    pub unique: bool,
    /// Whether rows without a value are left out.
    pub sparse: bool,
}

impl Index {
    /// Whether any column is indexed as full text.
    pub fn is_text(&self) -> bool {
        self.fields.iter().any(|(_, direction)| *direction == IndexDirection::Text)
    }
}
