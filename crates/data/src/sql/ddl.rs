//! The statements that make the tables, junctions and indexes of an entity.

use super::junction::Junction;
use super::syntax::{Coverage, NewIndex, SqlSyntax};
use crate::schema::{
    Column, DELETED_AT, EntitySchema, FieldType, ID, IndexDirection, Relation, RelationKind,
};
use crate::value::Value;

/// A reference column that is to be a foreign key.
pub(super) struct ForeignKey<'a> {
    pub(super) column: &'a str,
    pub(super) relation: &'a Relation,
    /// The table referred to, with the prefix.
    pub(super) target: String,
}

/// The writer of one entity's statements.
pub(super) struct Ddl<'a> {
    pub(super) schema: &'a EntitySchema,
    pub(super) prefix: &'a str,
    pub(super) syntax: &'static dyn SqlSyntax,
}

impl Ddl<'_> {
    pub(super) fn table(&self) -> String {
        format!("{}{}", self.prefix, self.schema.collection)
    }

    /// `CREATE TABLE`, with foreign keys where they cannot be added later.
    pub(super) fn create_table(&self, foreign_keys: &[ForeignKey<'_>]) -> String {
        let columns: Vec<_> =
            self.schema.columns().iter().map(|column| self.column(column, true, foreign_keys)).collect();
        format!(
            "CREATE TABLE IF NOT EXISTS {} ({}){}",
            self.quote(&self.table()),
            columns.join(", "),
            self.syntax.table_options()
        )
    }

    /// `ALTER TABLE … ADD COLUMN` for a column that an existing table lacks; nullable, as its rows have no value.
    pub(super) fn add_column(&self, column: &Column<'_>, foreign_keys: &[ForeignKey<'_>]) -> String {
        format!(
            "ALTER TABLE {} ADD COLUMN {}",
            self.quote(&self.table()),
            self.column(column, false, foreign_keys)
        )
    }

    fn column(&self, column: &Column<'_>, new_table: bool, foreign_keys: &[ForeignKey<'_>]) -> String {
        let mut sql = format!("{} {}", self.quote(column.name()), self.syntax.column_type(column));
        match column {
            Column::Id => sql.push_str(" PRIMARY KEY"),
            _ if new_table && is_required(column) => sql.push_str(" NOT NULL"),
            _ => {}
        }
        if let Column::Field(_, field) = column
            && self.syntax.has_default(field.field_type)
            && let Some(default) =
                field.default.as_ref().and_then(|value| literal(field.field_type, value, self.syntax))
        {
            sql.push_str(" DEFAULT ");
            sql.push_str(&default);
        }
        if new_table && is_unique(column) && !self.schema.soft_delete {
            sql.push_str(" UNIQUE");
        }
        if self.syntax.inline_foreign_keys()
            && let Some(key) = foreign_keys.iter().find(|key| key.column == column.name())
        {
            sql.push_str(&self.references(key));
        }
        sql
    }

    /// `ALTER TABLE … ADD CONSTRAINT` for a foreign key.
    pub(super) fn add_foreign_key(&self, key: &ForeignKey<'_>) -> String {
        let table = self.table();
        let name = self.quote(&self.syntax.object_name(format!("fk_{table}_{}", key.column)));
        let column = self.quote(key.column);
        format!(
            "ALTER TABLE {} ADD CONSTRAINT {name} FOREIGN KEY ({column}){}",
            self.quote(&table),
            self.references(key)
        )
    }

    /// The unique index of a column that was added to an existing table.
    pub(super) fn unique_index(&self, column: &Column<'_>) -> Vec<String> {
        if !is_unique(column) || self.schema.soft_delete {
            return Vec::new();
        }
        self.create_index(
            &format!("uidx_{}_{}", self.table(), column.name()),
            vec![(column.name(), column.field_type(), false)],
            true,
            Coverage::All,
        )
    }

    /// Every secondary index. Full-text ones are left out.
    pub(super) fn indexes(&self) -> Vec<String> {
        let table = self.table();
        let mut statements = Vec::new();
        for (i, index) in self.schema.indexes.iter().enumerate().filter(|(_, index)| !index.is_text()) {
            let columns = index.fields.iter().map(|(name, direction)| {
                let name = self.column_of(name);
                let field_type =
                    self.schema.column(name).map_or(FieldType::Text, |column| column.field_type());
                (name, field_type, *direction == IndexDirection::Descending)
            });
            let coverage = match index.sparse {
                // Such an index is meant to let the values of deleted rows be used again.
                true if index.unique && self.schema.soft_delete => Coverage::Without(DELETED_AT),
                true => Coverage::Present,
                false => Coverage::All,
            };
            statements.extend(self.create_index(
                &format!("idx_{table}_{i}"),
                columns.collect(),
                index.unique,
                coverage,
            ));
        }
        if self.schema.soft_delete {
            for column in self.schema.columns().iter().filter(|column| is_unique(column)) {
                statements.extend(self.create_index(
                    &format!("uidx_{table}_{}_softdelete", column.name()),
                    vec![(column.name(), column.field_type(), false)],
                    true,
                    Coverage::Without(DELETED_AT),
                ));
            }
        }
        statements
    }

    fn create_index(
        &self,
        name: &str,
        columns: Vec<(&str, FieldType, bool)>,
        unique: bool,
        coverage: Coverage<'_>,
    ) -> Vec<String> {
        let (name, table) = (self.syntax.object_name(name.to_owned()), self.table());
        self.syntax.create_index(&NewIndex { name, table: &table, columns, unique, coverage })
    }

    fn quote(&self, name: &str) -> String {
        self.syntax.quote(name)
    }

    fn references(&self, key: &ForeignKey<'_>) -> String {
        let rule = key.relation.effective_on_delete().sql();
        format!(" REFERENCES {} ({}) ON DELETE {rule}", self.quote(&key.target), self.quote(ID))
    }

    /// An index may name a relation in place of its column.
    fn column_of<'b>(&'b self, name: &'b str) -> &'b str {
        match self.schema.relations.get(name) {
            Some(relation) if relation.kind.has_column() => relation.column(name),
            _ => name,
        }
    }

    /// The junction tables.
    pub(super) fn junctions(&self) -> Vec<String> {
        let id_type = self.syntax.column_type(&Column::Id);
        Junction::all(self.schema, self.prefix)
            .iter()
            .map(|junction| {
                let (own, other) = (self.quote(&junction.own), self.quote(&junction.other));
                format!(
                    "CREATE TABLE IF NOT EXISTS {} ({own} {id_type} NOT NULL, {other} {id_type} NOT NULL, \
                     PRIMARY KEY ({own}, {other})){}",
                    self.quote(&junction.table),
                    self.syntax.table_options()
                )
            })
            .collect()
    }
}

fn is_required(column: &Column<'_>) -> bool {
    match column {
        Column::Id | Column::Discriminator(_) => true,
        Column::Field(_, field) => field.required,
        Column::Reference(_, relation) => !relation.is_nullable(),
        Column::ManagedDate(_) => false,
    }
}

fn is_unique(column: &Column<'_>) -> bool {
    match column {
        Column::Field(_, field) => field.unique,
        Column::Reference(_, relation) => relation.kind == RelationKind::OneToOne,
        Column::Id | Column::Discriminator(_) | Column::ManagedDate(_) => false,
    }
}

/// A default as SQL, where it is a plain value; others are filled in on insert.
fn literal(field_type: FieldType, value: &Value, syntax: &'static dyn SqlSyntax) -> Option<String> {
    if !matches!(field_type, FieldType::String | FieldType::Text | FieldType::Number | FieldType::Boolean) {
        return None;
    }
    let fitted = crate::record::fit(&"default", field_type, value.clone()).ok()?;
    match syntax.store(&"default", field_type, fitted).ok()? {
        Value::Bool(flag) => Some(if flag { "TRUE" } else { "FALSE" }.to_owned()),
        Value::Int32(number) => Some(number.to_string()),
        Value::Int64(number) => Some(number.to_string()),
        Value::Float(number) if number.is_finite() => Some(format!("{number:?}")),
        Value::Text(text) if !text.contains(['\0', '\\']) => Some(format!("'{}'", text.replace('\'', "''"))),
        _ => None,
    }
}
