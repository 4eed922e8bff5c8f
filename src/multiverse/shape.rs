//! The shapes of results: which columns they have, and how the cells of each are packed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::json;
use wire::{Column, Format};

/// An application makes up shapes with its statements; one that makes up ever new ones starts over.
const MOST_SHAPES: usize = 2_000;

/// How a cell is packed. The numbers are those that `lib/pg-multiverse/row-decoding.ts` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum Packing {
    /// A word: where the text ends in the text of the rows, in UTF-16 units, or -1 for NULL.
    Text = 0,
    /// A word.
    Int = 1,
    /// A word without a sign.
    Oid = 2,
    /// A word, 0 or 1.
    Bool = 3,
    /// A double.
    Double = 4,
    /// A double: milliseconds since 1970, of a clock in no particular time zone.
    LocalTime = 5,
    /// A double: milliseconds since 1970.
    Instant = 6,
    /// A word: days since 1970.
    Date = 7,
    /// A word: where the bytes end in the bytes of the rows, or -1 for NULL.
    Bytes = 8,
    /// An element of the JSON text of the rows.
    Json = 9,
}

impl Packing {
    fn of(column: &Column, text_types: &HashSet<u32>) -> Self {
        match (column.format, column.type_oid) {
            (Format::Text, 114 | 3802) if !text_types.contains(&column.type_oid) => Self::Json,
            (Format::Text, _) => Self::Text,
            (Format::Binary, 16) => Self::Bool,
            (Format::Binary, 21 | 23) => Self::Int,
            (Format::Binary, 26) => Self::Oid,
            (Format::Binary, 701) => Self::Double,
            (Format::Binary, 1082) => Self::Date,
            (Format::Binary, 1114) => Self::LocalTime,
            (Format::Binary, 1184) => Self::Instant,
            (Format::Binary, _) => Self::Bytes,
        }
    }

    /// Whether NULL is told by a bit, because every content is a value.
    fn has_null_bit(self) -> bool {
        !matches!(self, Self::Text | Self::Bytes | Self::Json)
    }
}

/// The columns of a result.
#[derive(Debug)]
pub(super) struct Shape {
    /// Never used again for another shape.
    pub(super) id: u32,
    /// How each column is packed, and its type where that matters.
    pub(super) cells: Vec<(Packing, u32)>,
    /// The words that hold the null bits of a row.
    pub(super) null_words: usize,
    pub(super) has_text: bool,
    pub(super) has_json: bool,
}

impl Shape {
    fn new(id: u32, cells: Vec<(Packing, u32)>) -> Self {
        let null_bits = cells.iter().filter(|(packing, _)| packing.has_null_bit()).count();
        let has = |wanted| cells.iter().any(|(packing, _)| *packing == wanted);
        Self {
            id,
            null_words: null_bits.div_ceil(32),
            has_text: has(Packing::Text),
            has_json: has(Packing::Json),
            cells,
        }
    }
}

/// What JavaScript is told of a shape that it does not know yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It knows the shape.
    None,
    /// The columns, as JSON.
    Columns(String),
    /// The columns, as JSON; all shapes from before are forgotten.
    StartOver(String),
}

/// All shapes of an engine.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    /// By the columns themselves. Statements of many connections share a shape.
    by_columns: HashMap<Arc<[Column]>, Arc<Shape>>,
    /// The columns of a prepared statement are one and the same allocation each time. Holding on to it keeps its
    /// address from being used for others.
    by_address: HashMap<usize, (Arc<[Column]>, Arc<Shape>)>,
    next_id: u32,
}

impl Shapes {
    /// The shape of these columns, and what JavaScript must be told first.
    pub(super) fn of(&mut self, columns: &Arc<[Column]>, text_types: &TextTypes) -> (Arc<Shape>, News) {
        let address = columns.as_ptr() as usize;
        if let Some((_, shape)) = self.by_address.get(&address) {
            return (Arc::clone(shape), News::None);
        }
        let (shape, news) = self.of_new(columns, text_types);
        self.by_address.insert(address, (Arc::clone(columns), Arc::clone(&shape)));
        (shape, news)
    }

    fn of_new(&mut self, columns: &Arc<[Column]>, text_types: &TextTypes) -> (Arc<Shape>, News) {
        if self.by_address.len() >= MOST_SHAPES * 2 {
            self.by_address.clear();
        }
        if let Some(shape) = self.by_columns.get(columns) {
            return (Arc::clone(shape), News::None);
        }
        let starts_over = self.by_columns.len() >= MOST_SHAPES;
        if starts_over {
            self.forget();
        }
        let cells = text_types.with(|types| {
            columns.iter().map(|column| (Packing::of(column, types), column.type_oid)).collect()
        });
        let shape = Arc::new(Shape::new(self.next_id, cells));
        self.next_id = self.next_id.wrapping_add(1);
        self.by_columns.insert(Arc::clone(columns), Arc::clone(&shape));
        let description = describe(columns, &shape);
        let news = if starts_over { News::StartOver(description) } else { News::Columns(description) };
        (shape, news)
    }

    /// Packs all columns anew from now on.
    pub(super) fn forget(&mut self) {
        self.by_columns.clear();
        self.by_address.clear();
    }
}

/// For each column `[name, tableID, columnID, dataTypeID, dataTypeSize, dataTypeModifier, packing]`.
fn describe(columns: &[Column], shape: &Shape) -> String {
    let columns = columns.iter().zip(&shape.cells).map(|(column, (packing, _))| {
        let Column { name, table_oid, column_id, type_oid, type_size, type_modifier, .. } = column;
        json!([name, table_oid, column_id, type_oid, type_size, type_modifier, *packing as u8])
    });
    serde_json::Value::from_iter(columns).to_string()
}

/// The types whose text the application parses itself.
#[derive(Debug, Default)]
pub(super) struct TextTypes(RwLock<HashSet<u32>>);

impl TextTypes {
    pub(super) fn set(&self, oids: &[u32]) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = oids.iter().copied().collect();
    }

    fn with<T>(&self, look: impl FnOnce(&HashSet<u32>) -> T) -> T {
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, type_oid: u32, format: Format) -> Column {
        Column {
            name: name.to_owned(),
            table_oid: 0,
            column_id: 0,
            type_oid,
            type_size: 4,
            type_modifier: -1,
            format,
        }
    }

    #[test]
    fn equal_columns_have_one_shape_that_is_told_once() {
        let mut shapes = Shapes::default();
        let types = TextTypes::default();
        let columns = || Arc::from([column("n", 23, Format::Binary), column("t", 25, Format::Text)]);
        let first: Arc<[Column]> = columns();
        let (shape, news) = shapes.of(&first, &types);
        assert_eq!(news, News::Columns(r#"[["n",0,0,23,4,-1,1],["t",0,0,25,4,-1,0]]"#.to_owned()));
        for again in [first, columns()] {
            let (same, news) = shapes.of(&again, &types);
            assert_eq!((same.id, news), (shape.id, News::None));
        }
        let (text, _) = shapes.of(&Arc::from([column("n", 23, Format::Text)]), &types);
        assert_ne!(text.id, shape.id);
    }

    #[test]
    fn json_that_the_application_parses_stays_text() {
        let mut shapes = Shapes::default();
        let types = TextTypes::default();
        types.set(&[114]);
        let columns = [column("a", 114, Format::Text), column("b", 3802, Format::Text)];
        let (shape, _) = shapes.of(&Arc::from(columns), &types);
        assert_eq!(shape.cells, [(Packing::Text, 114), (Packing::Json, 3802)]);
    }

    #[test]
    fn ever_new_shapes_start_over() {
        let mut shapes = Shapes::default();
        let types = TextTypes::default();
        for number in 0..MOST_SHAPES {
            let columns = Arc::from([column(&number.to_string(), 23, Format::Binary)]);
            assert!(matches!(shapes.of(&columns, &types).1, News::Columns(_)));
        }
        let (shape, news) = shapes.of(&Arc::from([column("last", 23, Format::Binary)]), &types);
        assert!(matches!(news, News::StartOver(_)));
        assert_eq!(shape.id as usize, MOST_SHAPES);
        assert_eq!(shapes.by_columns.len(), 1);
    }
}
