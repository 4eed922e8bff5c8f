//! The entity schema: what an application declares about its rows.

mod index;
mod parse;
mod relation;

pub use index::{Index, IndexDirection};
pub use relation::{JunctionNames, OnDelete, Relation, RelationKind};

use indexmap::IndexMap;

use crate::value::Value;

/// The name of the key column of every entity.
pub const ID: &str = "id";
/// The time of insert, managed by `timestamps`.
pub const CREATED_AT: &str = "createdAt";
/// The time of the last write, managed by `timestamps`.
pub const UPDATED_AT: &str = "updatedAt";
/// The time of a soft delete.
pub const DELETED_AT: &str = "deletedAt";

/// One entity: its collection (table), fields, relations and indexes.
#[derive(Debug, Clone, PartialEq)]
pub struct EntitySchema {
    /// The entity's name, such as `User`.
    pub name: String,
    /// The table or collection, such as `users`, without any prefix.
    pub collection: String,
    /// Fields in declaration order; `id` and the managed timestamps are not among them.
    pub fields: IndexMap<String, Field>,
    /// Relations in declaration order.
    pub relations: IndexMap<String, Relation>,
    /// Secondary indexes.
    pub indexes: Vec<Index>,
    /// Whether `createdAt` and `updatedAt` are managed.
    pub timestamps: bool,
    /// The column that tells entities of one collection apart, and this entity's value in it.
    pub discriminator: Option<Discriminator>,
    /// Whether `delete` only sets `deletedAt`.
    pub soft_delete: bool,
}

/// The column that tells entities of one collection apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discriminator {
    /// The column's name.
    pub column: String,
    /// The value that marks the rows of this entity.
    pub value: String,
}

/// One field of an entity.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The type of its values.
    pub field_type: FieldType,
    /// Whether a value must be given.
    pub required: bool,
    /// Whether no two rows may hold the same value.
    pub unique: bool,
    /// Whether the unique index leaves out rows without a value.
    pub sparse: bool,
    /// The value used on insert when none is given; the text `now` on a date is the time of insert.
    pub default: Option<Value>,
    /// The values allowed; empty means any.
    pub allowed: Vec<Value>,
    /// Whether text is put in lower case before a write.
    pub lowercase: bool,
    /// Whether text is trimmed before a write.
    pub trim: bool,
}

/// The type of a field, from which each dialect derives its column type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldType {
    /// Short text.
    String,
    /// Text of any length.
    Text,
    /// A double.
    Number,
    /// True or false.
    Boolean,
    /// A moment.
    Date,
    /// Any JSON value.
    Json,
    /// A list.
    Array,
}

impl FieldType {
    /// Every type with the name that schemas use.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("string", Self::String),
        ("text", Self::Text),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("date", Self::Date),
        ("json", Self::Json),
        ("array", Self::Array),
    ];

    /// The name that schemas use.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, field_type)| *field_type == self).map_or("", |(name, _)| name)
    }
}

/// What a stored column of an entity is, in the order in which tables are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Column<'a> {
    /// The primary key.
    Id,
    /// A declared field.
    Field(&'a str, &'a Field),
    /// The reference of a many-to-one or one-to-one relation.
    Reference(&'a str, &'a Relation),
    /// The discriminator.
    Discriminator(&'a str),
    /// `createdAt`, `updatedAt` or `deletedAt`.
    ManagedDate(&'static str),
}

impl<'a> Column<'a> {
    /// The column's name in SQL, and the field's name in a record.
    pub fn name(&self) -> &'a str {
        match self {
            Self::Id => ID,
            Self::Field(name, _) | Self::Reference(name, _) | Self::Discriminator(name) => name,
            Self::ManagedDate(name) => name,
        }
    }

    /// The type of the values it holds.
    pub fn field_type(&self) -> FieldType {
        match self {
            Self::Field(_, field) => field.field_type,
            Self::ManagedDate(_) => FieldType::Date,
            Self::Id | Self::Reference(..) | Self::Discriminator(_) => FieldType::String,
        }
    }
}

impl EntitySchema {
    /// The columns stored in the entity's own table; lists on the other side and junctions are not among them.
    pub fn columns(&self) -> Vec<Column<'_>> {
        let mut columns = vec![Column::Id];
        columns.extend(
            self.fields
                .iter()
                .filter(|(name, _)| *name != ID)
                .map(|(name, field)| Column::Field(name, field)),
        );
        let references = self.relations.iter().filter(|(_, relation)| relation.kind.has_column());
        columns.extend(references.map(|(name, relation)| Column::Reference(relation.column(name), relation)));
        columns.extend(
            self.discriminator.iter().map(|discriminator| Column::Discriminator(&discriminator.column)),
        );
        if self.timestamps {
            columns.extend([Column::ManagedDate(CREATED_AT), Column::ManagedDate(UPDATED_AT)]);
        }
        if self.soft_delete {
            columns.push(Column::ManagedDate(DELETED_AT));
        }
        // There are few, so that comparing names is faster than hashing them.
        let mut at = 0;
        while let Some((column, before)) = columns.get(at).zip(columns.get(..at)) {
            if before.iter().any(|earlier| earlier.name() == column.name()) {
                columns.remove(at);
            } else {
                at += 1;
            }
        }
        columns
    }

    /// The column of this name, by its name in a record.
    pub fn column(&self, name: &str) -> Option<Column<'_>> {
        if name == ID {
            return Some(Column::Id);
        }
        if let Some((name, field)) = self.fields.get_key_value(name) {
            return Some(Column::Field(name, field));
        }
        let named = |(own, relation): &(&String, &Relation)| {
            relation.kind.has_column() && relation.column(own) == name
        };
        if let Some((own, relation)) = self.relations.iter().find(named) {
            return Some(Column::Reference(relation.column(own), relation));
        }
        if let Some(discriminator) = self.discriminator.as_ref().filter(|known| known.column == name) {
            return Some(Column::Discriminator(&discriminator.column));
        }
        let managed =
            [(CREATED_AT, self.timestamps), (UPDATED_AT, self.timestamps), (DELETED_AT, self.soft_delete)];
        managed
            .into_iter()
            .find(|(known, is_there)| *is_there && *known == name)
            .map(|(known, _)| Column::ManagedDate(known))
    }

    /// Whether this is the same declaration, in the same order.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        let Self { name, collection, fields, relations, indexes, timestamps, discriminator, soft_delete } =
            self;
        // In their order, entries are compared without hashing their names.
        *name == other.name
            && *collection == other.collection
            && fields.as_slice() == other.fields.as_slice()
            && relations.as_slice() == other.relations.as_slice()
            && *indexes == other.indexes
            && *timestamps == other.timestamps
            && *discriminator == other.discriminator
            && *soft_delete == other.soft_delete
    }
}
