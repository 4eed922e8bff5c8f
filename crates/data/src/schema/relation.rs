//! Relations between entities.

use super::EntitySchema;

/// How many rows stand on each side of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// A unique reference.
    OneToOne,
    /// A reference.
    ManyToOne,
    /// The other side of a many-to-one; no column here.
    OneToMany,
    /// A junction table.
    ManyToMany,
}

impl RelationKind {
    /// Every kind with the name that schemas use.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("one-to-one", Self::OneToOne),
        ("many-to-one", Self::ManyToOne),
        ("one-to-many", Self::OneToMany),
        ("many-to-many", Self::ManyToMany),
    ];

    /// Whether the reference is a column of the entity's own table.
    pub fn has_column(self) -> bool {
        matches!(self, Self::OneToOne | Self::ManyToOne)
    }
}

/// What happens to a reference when the row it names is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDelete {
    /// The referring row is deleted as well.
    Cascade,
    /// The reference becomes NULL.
    SetNull,
    /// The delete is refused.
    Restrict,
    /// The delete is refused at the end of the statement.
    NoAction,
}

impl OnDelete {
    /// Every rule with the name that schemas use.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("cascade", Self::Cascade),
        ("set-null", Self::SetNull),
        ("restrict", Self::Restrict),
        ("no-action", Self::NoAction),
    ];

    /// The SQL clause after `ON DELETE`.
    pub fn sql(self) -> &'static str {
        match self {
            Self::Cascade => "CASCADE",
            Self::SetNull => "SET NULL",
            Self::Restrict => "RESTRICT",
            Self::NoAction => "NO ACTION",
        }
    }
}

/// A relation of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// How many rows stand on each side.
    pub kind: RelationKind,
    /// The entity on the other side.
    pub target: String,
    /// Whether a reference must be given.
    pub required: bool,
    /// Whether the column may be NULL; unset means that it may unless the relation is required.
    pub nullable: Option<bool>,
    /// The fields read of the other side; empty means all.
    pub select: Vec<String>,
    /// The junction table of a many-to-many relation.
    pub through: Option<String>,
    /// The reference column; else the relation's name.
    pub join_column: Option<String>,
    /// The other column of a junction.
    pub inverse_join_column: Option<String>,
    /// The child's reference column of a one-to-many relation.
    pub mapped_by: Option<String>,
    /// The operations passed on to the other side, such as `persist` and `remove`.
    pub cascade: Vec<String>,
    /// Whether children that lose their parent are deleted.
    pub orphan_removal: bool,
    /// Whether the other side is read together with this one.
    pub eager: bool,
    /// What happens when the row referred to is deleted.
    pub on_delete: Option<OnDelete>,
}

impl Relation {
    /// The reference column of the relation of this name.
    pub fn column<'a>(&'a self, name: &'a str) -> &'a str {
        self.join_column.as_deref().unwrap_or(name)
    }

    /// Whether the reference column may hold NULL.
    pub fn is_nullable(&self) -> bool {
        self.nullable.unwrap_or(!self.required)
    }

    /// What happens when the row referred to is deleted: as declared, else the reference becomes NULL where it may,
    /// else the delete is refused.
    pub fn effective_on_delete(&self) -> OnDelete {
        self.on_delete.unwrap_or(if self.is_nullable() { OnDelete::SetNull } else { OnDelete::Restrict })
    }
}

/// The names that a many-to-many relation is stored under in SQL, without any prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JunctionNames {
    /// The table.
    pub table: String,
    /// The column that refers to this side.
    pub own: String,
    /// The column that refers to the other side.
    pub other: String,
}

impl EntitySchema {
    /// The junction of the many-to-many relation of this name. One that is mapped by the other side, and names no
    /// junction of its own, has none.
    pub fn junction(&self, name: &str) -> Option<JunctionNames> {
        let relation =
            self.relations.get(name).filter(|relation| relation.kind == RelationKind::ManyToMany)?;
        if relation.mapped_by.is_some() && relation.through.is_none() {
            return None;
        }
        let column = |entity: &str| format!("{}Id", entity.to_lowercase());
        let own = relation.join_column.clone().unwrap_or_else(|| column(&self.name));
        let other = match &relation.inverse_join_column {
            Some(column) => column.clone(),
            // An entity related to itself needs a second name.
            None if column(&relation.target) == own => column(name),
            None => column(&relation.target),
        };
        let table = relation.through.clone().unwrap_or_else(|| format!("{}_{}", self.collection, name));
        Some(JunctionNames { table, own, other })
    }
}
