//! What is done with the results of shards to make one of them.

/// The steps, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Merge {
    /// How many columns at the end are only there for merging.
    pub(crate) hidden: usize,
    pub(crate) grouping: Option<Grouping>,
    /// Equal rows are one.
    pub(crate) distinct: bool,
    pub(crate) sort: Vec<SortKey>,
    pub(crate) offset: Option<Bound>,
    pub(crate) limit: Option<Bound>,
}

/// Rows with equal keys become one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grouping {
    /// The columns that are equal; without any, all rows are one group.
    pub(crate) keys: Vec<usize>,
    /// What becomes of each column.
    pub(crate) parts: Vec<Part>,
}

/// What becomes of a column of the rows of a group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    /// It is the same in all of them, or nobody sees it.
    Same,
    /// The sum of a column, as the type of this one.
    Sum {
        of: usize,
    },
    /// The mean of all values whose sums and counts are these columns, as the type of this one.
    Mean {
        sum: usize,
        count: usize,
    },
    /// The smallest, by bytes if it is text, where that is the order of the server.
    Min {
        by_bytes: bool,
    },
    Max {
        by_bytes: bool,
    },
    And,
    Or,
}

/// A column by which rows are ordered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SortKey {
    pub(crate) place: Place,
    pub(crate) is_descending: bool,
    pub(crate) nulls_first: bool,
    /// The order of texts is that of their bytes.
    pub(crate) by_bytes: bool,
}

/// A column by its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Visible(usize),
    /// Among those that are only there for merging.
    Hidden(usize),
}

/// A number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Rows(i64),
    /// A parameter, from 0.
    Parameter(usize),
}
