//! The types a column can have, across databases.

/// What a column holds. Dialects map their own types to these and back, by the table of cross-engine values in
/// `docs/values.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// True or false.
    Bool,
    /// 16-bit integer.
    Int16,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// Exact decimal, with the declared precision and scale.
    Decimal(Option<(u32, u32)>),
    /// Single-precision number.
    Float32,
    /// Double-precision number.
    Float64,
    /// Text, with the declared maximum length in characters.
    Text(Option<u32>),
    /// UUID.
    Uuid,
    /// A moment; without a time zone it is taken as UTC.
    Timestamp {
        /// Whether the database keeps it as a moment, not as a wall-clock reading.
        zoned: bool,
    },
    /// A calendar day, as text.
    Date,
    /// A time of day, as text.
    Time,
    /// A span, as text.
    Interval,
    /// JSON.
    Json,
    /// A list.
    Array(Box<ColumnType>),
    /// Bytes.
    Bytes,
    /// A MongoDB object id.
    ObjectId,
    /// Values of any type, told apart row by row: SQLite columns without affinity, MongoDB fields.
    Any,
    /// A type of that database alone, read and written as text.
    Native(String),
    /// The fields of a document that no other column holds, as one object; only MongoDB has it.
    Rest,
}
