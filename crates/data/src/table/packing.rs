//! How the columns of a PostgreSQL table are turned into what another table stores, without the values in between.

use super::{ColumnType, RowBatch, Table};

/// How tuples of one table become rows that another one only has to bind. Made for a pair of tables whose columns differ
/// in nothing that needs a closer look; what a single value needs of it is seen when it is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packing {
    /// For each column of the source, in its order: what becomes of it, if it is written at all.
    fields: Vec<Option<Field>>,
    width: usize,
}

/// What becomes of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) form: Form,
    /// The most characters of a text.
    pub(crate) longest: Option<u32>,
    /// Whether it is part of the key, which is never NULL.
    pub(crate) is_key: bool,
}

/// How the binary form of a value is turned into the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Bool,
    Int16,
    Int32,
    Int64,
    Single,
    Double,
    /// The digits; only if they fit so many digits, so many of them behind the point.
    Decimal(Option<(u32, u32)>),
    Text,
    Uuid,
    Moment(MomentForm),
    Date,
    Time,
    Json,
    Bytes,
}

/// The text of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MomentForm {
    /// ISO 8601.
    Iso,
    /// As MySQL's `DATETIME` reads it.
    Datetime,
}

impl Packing {
    /// Columns of a source on their way to a target. `positions` says where each column of the target stands in the source,
    /// and `form` what becomes of it. `None` if a column must be looked at value by value.
    pub(crate) fn between(
        source: &Table,
        target: &Table,
        positions: &[usize],
        form: impl Fn(usize, &ColumnType) -> Option<Form>,
    ) -> Option<Self> {
        let is_in_order = positions.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
        if !is_in_order || positions.len() != target.columns.len() {
            return None;
        }
        let mut fields = vec![None; source.columns.len()];
        for (column, position) in positions.iter().enumerate() {
            let own = target.columns.get(column).filter(|own| !own.generated)?;
            let is_key = target.key.contains(&column);
            let form = form(column, &source.columns.get(*position)?.column_type)?;
            if is_key && !form.keeps_keys_apart() {
                return None;
            }
            let longest = match own.column_type {
                ColumnType::Text(longest) => longest,
                _ => None,
            };
            *fields.get_mut(*position)? = Some(Field { form, longest, is_key });
        }
        Some(Self { fields, width: positions.len() })
    }

    /// The columns of the source.
    pub(crate) fn fields(&self) -> &[Option<Field>] {
        &self.fields
    }

    /// How many columns are written.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The batch with its tuples packed; as it was, if it has none, or if one of its values must be looked at.
    #[must_use]
    pub fn pack(&self, batch: RowBatch) -> RowBatch {
        match batch {
            RowBatch::PgBinary { rows, tuples, table } => {
                match crate::postgres::pack_tuples(self, rows, &tuples, &table) {
                    Some(packed) => RowBatch::Packed(packed),
                    None => RowBatch::PgBinary { rows, tuples, table },
                }
            }
            other => other,
        }
    }
}

impl Form {
    /// The form in which values of a column of PostgreSQL are stored in a column of another type, where the conversion by
    /// [`coerce`](super::coerce()) comes to just that for every value that can be packed.
    pub(crate) fn between(source: &ColumnType, target: &ColumnType, moments: MomentForm) -> Option<Self> {
        use ColumnType as Type;
        Some(match (source, target) {
            (Type::Bool, Type::Bool | Type::Int16 | Type::Int32 | Type::Int64 | Type::Any) => Self::Bool,
            (Type::Int16, Type::Int16 | Type::Int32 | Type::Int64 | Type::Any) => Self::Int16,
            (Type::Int32, Type::Int32 | Type::Int64 | Type::Any) => Self::Int32,
            (Type::Int64, Type::Int64 | Type::Any) => Self::Int64,
            (Type::Float32, Type::Float64 | Type::Any) => Self::Single,
            (Type::Float64, Type::Float64 | Type::Any) => Self::Double,
            (Type::Decimal(_), Type::Decimal(limit)) => Self::Decimal(*limit),
            (Type::Decimal(_), Type::Text(_) | Type::Any) => Self::Decimal(None),
            (Type::Text(_) | Type::Interval | Type::Native(_), Type::Text(_) | Type::Any) => Self::Text,
            (Type::Interval, Type::Interval) => Self::Text,
            (Type::Uuid, Type::Uuid | Type::Text(_) | Type::Any) => Self::Uuid,
            (Type::Timestamp { .. }, Type::Timestamp { .. } | Type::Text(_) | Type::Any) => {
                Self::Moment(moments)
            }
            (Type::Date, Type::Date | Type::Text(_) | Type::Any) => Self::Date,
            (Type::Time, Type::Time | Type::Text(_) | Type::Any) => Self::Time,
            (Type::Json, Type::Json | Type::Text(_) | Type::Any) => Self::Json,
            (Type::Bytes, Type::Bytes | Type::Any) => Self::Bytes,
            _ => return None,
        })
    }

    /// Whether different keys of the source are different keys in this form, and come back as they were.
    fn keeps_keys_apart(self) -> bool {
        matches!(self, Self::Int16 | Self::Int32 | Self::Int64 | Self::Text | Self::Uuid)
    }
}
