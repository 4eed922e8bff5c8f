//! What is known at a statement: what its migration has made and locked before it, and what earlier migrations proved.

use std::collections::{HashMap, HashSet};

use pg_query::protobuf::node::Node as NodeKind;
use pg_query::protobuf::{AlterTableType, BoolExprType, ConstrType, Constraint, Node, NullTestType};

use super::locks::{LockMode, commands, locks_of};
use super::names::{column_of, object_name, relation_name, spelled, text_of};

/// What migrations before the one at hand leave behind, and that one itself as it goes on.
#[derive(Default)]
pub(super) struct Knowledge {
    /// Checks that a column is not null: the column, and whether all rows were checked, by table and constraint.
    not_null_checks: HashMap<(String, String), (String, bool)>,
    /// Tables with the columns that some index begins with.
    indexed: HashSet<(String, String)>,
}

impl Knowledge {
    /// Whether a check that was validated says that a column is not null.
    pub(super) fn is_proven_not_null(&self, table: &str, column: &str) -> bool {
        let proves = |((checked, _), (name, is_validated)): (&(String, String), &(String, bool))| {
            *is_validated && checked == table && name == column
        };
        self.not_null_checks.iter().any(proves)
    }

    /// Whether an index of a table begins with a column.
    pub(super) fn is_indexed(&self, table: &str, column: &str) -> bool {
        self.indexed.contains(&(table.to_owned(), column.to_owned()))
    }
}

/// What is known within one migration.
pub(super) struct Scope<'a> {
    pub(super) knowledge: &'a mut Knowledge,
    /// The schemas that the migration belongs to. A name without a schema is in each of them.
    pub(super) schemas: &'a [String],
    /// Whether the statement runs in a transaction with those before it.
    pub(super) in_transaction: bool,
    /// Whether waiting for locks is bounded.
    pub(super) has_lock_timeout: bool,
    /// Whether the missing bound has been told of.
    pub(super) was_told_of_timeout: bool,
    made_tables: HashSet<String>,
    made_types: HashSet<String>,
    made_schemas: HashSet<String>,
    /// Tables that are locked against writes by the transaction that is open.
    locked: Vec<String>,
    /// Constraints that were added without validation by the transaction that is open.
    unvalidated: HashSet<(String, String)>,
    /// Values that the transaction that is open added to enumerations.
    added_values: Vec<String>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(
        knowledge: &'a mut Knowledge,
        schemas: &'a [String],
        in_transaction: bool,
        has_lock_timeout: bool,
    ) -> Self {
        Self {
            knowledge,
            schemas,
            in_transaction,
            has_lock_timeout,
            was_told_of_timeout: false,
            made_tables: HashSet::new(),
            made_types: HashSet::new(),
            made_schemas: HashSet::new(),
            locked: Vec::new(),
            unvalidated: HashSet::new(),
            added_values: Vec::new(),
        }
    }

    /// One name for a table, whether the schema of the migration stands before it or not.
    pub(super) fn plain(&self, name: &str) -> String {
        match name.split_once('.') {
            Some((schema, table)) if self.schemas.iter().any(|each| each == schema) => table.to_owned(),
            _ => name.to_owned(),
        }
    }

    /// Whether the migration has made a table itself, so that nobody waits for it and it holds no rows of others.
    pub(super) fn is_new(&self, table: &str) -> bool {
        self.made_tables.contains(&self.plain(table))
            || table.split_once('.').is_some_and(|(schema, _)| self.made_schemas.contains(schema))
            || table.starts_with("pg_temp.")
    }

    pub(super) fn is_new_type(&self, name: &str) -> bool {
        self.made_types.contains(&self.plain(name))
    }

    pub(super) fn is_new_schema(&self, name: &str) -> bool {
        self.made_schemas.contains(name)
    }

    /// The other tables that the transaction has locked against writes.
    pub(super) fn locked_before(&self, table: &str) -> Option<&str> {
        let table = self.plain(table);
        self.locked.iter().map(String::as_str).find(|locked| *locked != table)
    }

    /// A table that is locked against writes while this statement runs.
    pub(super) fn any_locked(&self) -> Option<&str> {
        self.locked.first().map(String::as_str).filter(|_| self.in_transaction)
    }

    pub(super) fn is_unvalidated_here(&self, table: &str, constraint: &str) -> bool {
        self.in_transaction && self.unvalidated.contains(&(self.plain(table), constraint.to_owned()))
    }

    pub(super) fn added_values(&self) -> &[String] {
        if self.in_transaction { &self.added_values } else { &[] }
    }

    /// The transaction has ended, or another begins.
    pub(super) fn set_transaction(&mut self, is_open: bool) {
        self.in_transaction = is_open;
        self.locked.clear();
        self.unvalidated.clear();
        self.added_values.clear();
    }

    /// Takes note of what a statement makes, proves and locks.
    pub(super) fn note(&mut self, statement: &NodeKind) {
        if self.in_transaction {
            for (table, mode) in locks_of(statement) {
                self.note_lock(&table, mode);
            }
        }
        match statement {
            NodeKind::CreateStmt(create) => {
                let Some(table) = create.relation.as_ref().map(relation_name) else { return };
                self.note_table(&table);
                for element in &create.table_elts {
                    self.note_table_element(&table, element);
                }
            }
            NodeKind::CreateForeignTableStmt(foreign) => {
                let relation = foreign.base_stmt.as_ref().and_then(|create| create.relation.as_ref());
                if let Some(table) = relation.map(relation_name) {
                    self.note_table(&table);
                }
            }
            NodeKind::CreateTableAsStmt(create) => {
                let relation = create.into.as_ref().and_then(|into| into.rel.as_ref());
                if let Some(table) = relation.map(relation_name) {
                    self.note_table(&table);
                }
            }
            NodeKind::SelectStmt(select) => {
                let relation = select.into_clause.as_ref().and_then(|into| into.rel.as_ref());
                if let Some(table) = relation.map(relation_name) {
                    self.note_table(&table);
                }
            }
            NodeKind::CreateSchemaStmt(schema) => {
                self.made_schemas.insert(schema.schemaname.clone());
            }
            NodeKind::CreateEnumStmt(made) => {
                let name = self.plain(&spelled(&made.type_name));
                self.made_types.insert(name);
            }
            NodeKind::AlterEnumStmt(changed) if !changed.new_val.is_empty() => {
                self.added_values.push(changed.new_val.clone());
            }
            NodeKind::IndexStmt(index) => {
                let table = index.relation.as_ref().map(relation_name).unwrap_or_default();
                let first = index.index_params.first().and_then(|node| node.node.as_ref());
                if let Some(NodeKind::IndexElem(element)) = first {
                    self.note_index(&table, &element.name);
                }
            }
            NodeKind::AlterTableStmt(alter) => {
                let table = alter.relation.as_ref().map(relation_name).unwrap_or_default();
                for command in commands(alter) {
                    let def = command.def.as_deref();
                    match AlterTableType::try_from(command.subtype) {
                        Ok(AlterTableType::AtAddConstraint | AlterTableType::AtAddColumn) => {
                            if let Some(element) = def {
                                self.note_table_element(&table, element);
                            }
                        }
                        Ok(AlterTableType::AtValidateConstraint) => {
                            let key = (self.plain(&table), command.name.clone());
                            if let Some((_, is_validated)) = self.knowledge.not_null_checks.get_mut(&key) {
                                *is_validated = true;
                            }
                        }
                        _ => {}
                    }
                }
            }
            NodeKind::RenameStmt(rename) => {
                let table = rename.relation.as_ref().map(relation_name).unwrap_or_default();
                // A new table under another name is as new.
                if !table.is_empty() && self.is_new(&table) && rename.subname.is_empty() {
                    self.note_table(&rename.newname.clone());
                }
            }
            NodeKind::DropStmt(drop) => {
                for object in &drop.objects {
                    let name = self.plain(&object_name(object));
                    self.made_tables.remove(&name);
                }
            }
            _ => {}
        }
    }

    fn note_table(&mut self, table: &str) {
        let name = self.plain(table);
        self.made_tables.insert(name);
    }

    fn note_lock(&mut self, table: &str, mode: LockMode) {
        let name = self.plain(table);
        if mode.blocks_writes() && !self.is_new(table) && !self.locked.contains(&name) {
            self.locked.push(name);
        }
    }

    fn note_index(&mut self, table: &str, column: &str) {
        let table = self.plain(table);
        self.knowledge.indexed.insert((table, column.to_owned()));
    }

    /// A column or a constraint of a table.
    fn note_table_element(&mut self, table: &str, element: &Node) {
        match element.node.as_ref() {
            Some(NodeKind::ColumnDef(column)) => {
                for constraint in &column.constraints {
                    if let Some(NodeKind::Constraint(constraint)) = constraint.node.as_ref()
                        && makes_index(constraint)
                    {
                        self.note_index(table, &column.colname);
                    }
                }
            }
            Some(NodeKind::Constraint(constraint)) => self.note_constraint(table, constraint),
            _ => {}
        }
    }

    fn note_constraint(&mut self, table: &str, constraint: &Constraint) {
        if makes_index(constraint)
            && let Some(column) = constraint.keys.first().and_then(text_of)
        {
            self.note_index(table, column);
        }
        let key = (self.plain(table), constraint.conname.clone());
        if let Some(column) = not_null_column(constraint) {
            let is_validated = !constraint.skip_validation;
            self.knowledge.not_null_checks.insert(key.clone(), (column, is_validated));
        }
        if constraint.skip_validation {
            self.unvalidated.insert(key);
        }
    }
}

fn makes_index(constraint: &Constraint) -> bool {
    matches!(
        ConstrType::try_from(constraint.contype),
        Ok(ConstrType::ConstrPrimary | ConstrType::ConstrUnique)
    )
}

/// The column of a constraint that says nothing but that it is not null.
fn not_null_column(constraint: &Constraint) -> Option<String> {
    match ConstrType::try_from(constraint.contype) {
        Ok(ConstrType::ConstrNotnull) => constraint.keys.first().and_then(text_of).map(str::to_owned),
        Ok(ConstrType::ConstrCheck) => not_null_in(constraint.raw_expr.as_deref()?),
        _ => None,
    }
}

/// One of several conditions that all must hold is enough.
fn not_null_in(condition: &Node) -> Option<String> {
    match condition.node.as_ref()? {
        NodeKind::NullTest(test) if test.nulltesttype == NullTestType::IsNotNull as i32 => {
            test.arg.as_deref().and_then(column_of).map(str::to_owned)
        }
        NodeKind::BoolExpr(all) if all.boolop == BoolExprType::AndExpr as i32 => {
            all.args.iter().find_map(not_null_in)
        }
        _ => None,
    }
}
