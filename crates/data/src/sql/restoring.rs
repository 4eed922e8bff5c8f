//! Cells as the database holds them, on their way to whoever wants the values of fields.

use super::fields::Fields;
use super::select::is_wanted;
use super::syntax::SqlSyntax;
use crate::error::Result;
use crate::filter::FindOptions;
use crate::rows::{Cell, CellSink};
use crate::schema::{EntitySchema, FieldType, ID, RelationKind};

/// What a many-to-many relation shows before it is loaded.
const EMPTY_LIST: Cell<'_> = Cell::Json("[]");

/// Takes the rows of a SELECT on an entity and hands them on with values in the types of their fields, without the
/// columns that are not wanted, and with empty lists for many-to-many relations.
pub(super) struct Restoring<'a> {
    schema: &'a EntitySchema,
    fields: &'a Fields,
    options: &'a FindOptions,
    syntax: &'static dyn SqlSyntax,
    /// Where the rows go.
    rows: &'a mut dyn CellSink,
    columns: Vec<Shown>,
    /// Which column comes next.
    next: usize,
    lists: usize,
    handed_on: usize,
}

/// How a column is shown.
#[derive(Clone, Copy)]
enum Shown {
    Not,
    AsIs,
    /// An integer is shown as text.
    Id(Option<FieldType>),
    Field(FieldType),
}

impl<'a> Restoring<'a> {
    pub(super) fn new(
        schema: &'a EntitySchema,
        fields: &'a Fields,
        options: &'a FindOptions,
        syntax: &'static dyn SqlSyntax,
        rows: &'a mut dyn CellSink,
    ) -> Self {
        Self { schema, fields, options, syntax, rows, columns: Vec::new(), next: 0, lists: 0, handed_on: 0 }
    }

    /// How many rows there were.
    pub(super) fn rows(&self) -> usize {
        self.handed_on
    }

    fn shown(&self, at: usize, name: &str) -> Shown {
        if !is_wanted(self.schema, self.options, name) {
            return Shown::Not;
        }
        let field_type = self.fields.type_of(at, name);
        match field_type {
            field_type if name == ID => Shown::Id(field_type),
            Some(field_type) => Shown::Field(field_type),
            None => Shown::AsIs,
        }
    }

    /// Hands a cell on in the type of its field.
    fn restore(
        &mut self,
        field_type: Option<FieldType>,
        cell: Cell<'_>,
        show: fn(&mut dyn CellSink, Cell<'_>),
    ) {
        let Some(field_type) = field_type else { return show(self.rows, cell) };
        match self.syntax.restore_cell(field_type, cell) {
            Some(shown) => show(self.rows, shown),
            None => show(self.rows, Cell::from(&self.syntax.restore(field_type, cell.to_value()))),
        }
    }
}

impl CellSink for Restoring<'_> {
    fn columns(&mut self, names: &[&str]) -> Result<()> {
        self.columns = names.iter().enumerate().map(|(at, name)| self.shown(at, name)).collect();
        let is_shown = |shown: &Shown| !matches!(shown, Shown::Not);
        let mut shown: Vec<&str> = names
            .iter()
            .zip(&self.columns)
            .filter_map(|(name, shown)| is_shown(shown).then_some(*name))
            .collect();
        let columns = shown.len();
        for (name, relation) in &self.schema.relations {
            let is_list = relation.kind == RelationKind::ManyToMany && self.options.returns(name);
            if is_list && !shown.contains(&name.as_str()) {
                shown.push(name);
            }
        }
        self.lists = shown.len() - columns;
        self.rows.columns(&shown)
    }

    fn cell(&mut self, cell: Cell<'_>) {
        let shown = self.columns.get(self.next).copied().unwrap_or(Shown::Not);
        self.next += 1;
        match shown {
            Shown::Not => {}
            Shown::AsIs => self.rows.cell(cell),
            Shown::Id(field_type) => self.restore(field_type, cell, show_id),
            Shown::Field(field_type) => self.restore(Some(field_type), cell, |rows, cell| rows.cell(cell)),
        }
    }

    fn end_row(&mut self) -> Result<()> {
        self.next = 0;
        self.handed_on += 1;
        (0..self.lists).for_each(|_| self.rows.cell(EMPTY_LIST));
        self.rows.end_row()
    }
}

/// An id is always shown as text; a decimal is text anyway.
fn show_id(rows: &mut dyn CellSink, id: Cell<'_>) {
    match id {
        Cell::Integer(number) => rows.cell(Cell::Text(&number.to_string())),
        id => rows.cell(id),
    }
}
