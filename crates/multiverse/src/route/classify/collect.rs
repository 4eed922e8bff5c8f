//! What a syntax tree says about its text: gathered node by node.

use indexmap::IndexSet;

use super::statement::{self, StatementClass};
use super::tree::TreeListener;
use crate::route::verdict::{Access, ObjectName, StatementKind};

/// The wrapper around each node in a list or optional place.
const NODE: &str = "Node";

/// Everything that a text's tree tells; becomes a [`crate::route::Verdict`].
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) access: Access,
    pub(super) kinds: Vec<StatementKind>,
    pub(super) locks: bool,
    pub(super) changes_session: bool,
    pub(super) transaction_control: bool,
    pub(super) changes_definitions: bool,
    /// Whether what is made belongs to the session, so that others need not know of it.
    pub(super) makes_temporary: bool,
    pub(super) reads_surroundings: bool,
    pub(super) functions: IndexSet<ObjectName>,
    pub(super) operators: IndexSet<ObjectName>,
    pub(super) types: IndexSet<ObjectName>,
    pub(super) relations: IndexSet<ObjectName>,
    pub(super) attributes: IndexSet<Box<str>>,
    pub(super) common_tables: IndexSet<Box<str>>,
}

/// Listens to the walk over a tree.
pub(super) struct Collector {
    findings: Findings,
    stack: Vec<Frame>,
    /// The parts of the names that are being read, of all nodes that are open, the innermost last.
    names: Vec<Box<str>>,
    /// The relation that is being read; relations do not nest.
    relation: ObjectName,
}

struct Frame {
    kind: &'static str,
    field: &'static str,
    /// Where the parts of this node's name begin in [`Collector::names`].
    names_from: usize,
}

impl Collector {
    pub(super) fn new() -> Self {
        Self {
            findings: Findings {
                access: Access::Read,
                kinds: Vec::new(),
                locks: false,
                changes_session: false,
                transaction_control: false,
                changes_definitions: false,
                makes_temporary: false,
                reads_surroundings: false,
                functions: IndexSet::new(),
                operators: IndexSet::new(),
                types: IndexSet::new(),
                relations: IndexSet::new(),
                attributes: IndexSet::new(),
                common_tables: IndexSet::new(),
            },
            stack: Vec::new(),
            names: Vec::new(),
            relation: ObjectName { schema: None, name: "".into() },
        }
    }

    pub(super) fn into_findings(self) -> Findings {
        self.findings
    }

    fn at_least(&mut self, access: Access) {
        self.findings.access = self.findings.access.max(access);
    }

    /// A statement begins. Those inside another, as in WITH or EXPLAIN, only add to what is known of the text.
    fn enter_statement(&mut self, class: StatementClass) {
        let is_outermost =
            self.stack.iter().all(|frame| matches!(frame.kind, "ParseResult" | "RawStmt" | NODE));
        if is_outermost {
            self.findings.kinds.push(class.kind);
        }
        self.at_least(class.access);
        self.findings.changes_session |= class.changes_session;
        self.findings.transaction_control |= class.kind == StatementKind::TransactionControl;
        self.findings.changes_definitions |= class.changes_definitions;
        self.findings.locks |= class.locks;
    }

    /// The name that the node's parts spell: the last two parts, as `schema.name`.
    fn spelled(&mut self, names_from: usize) -> Option<ObjectName> {
        let name = if self.names.len() > names_from { self.names.pop()? } else { return None };
        let schema = if self.names.len() > names_from { self.names.pop() } else { None };
        Some(ObjectName { schema, name })
    }

    fn add_operator(&mut self, name: &str) {
        self.findings.operators.insert(ObjectName { schema: None, name: name.into() });
    }

    fn add_expression_operator(&mut self, name: ObjectName) {
        // These are grammar, made of comparisons.
        if name.name.contains("BETWEEN") {
            self.add_operator("<=");
            self.add_operator(">=");
        } else {
            self.findings.operators.insert(name);
        }
    }

    fn leave_relation(&mut self) {
        let relation = std::mem::replace(&mut self.relation, ObjectName { schema: None, name: "".into() });
        self.note_schema(relation.schema.as_deref());
        self.findings.relations.insert(relation);
    }

    /// What is in the schema of temporary objects belongs to the session.
    fn note_schema(&mut self, schema: Option<&str>) {
        if schema.is_some_and(|schema| schema.starts_with("pg_temp")) {
            self.findings.changes_session = true;
            self.at_least(Access::Uncertain);
        }
    }
}

/// The innermost node that is open, with the field that is being read, wrappers left out.
fn node_around(stack: &[Frame]) -> Option<(&'static str, &'static str)> {
    stack.iter().rev().find(|frame| frame.kind != NODE).map(|frame| (frame.kind, frame.field))
}

impl TreeListener for Collector {
    fn enter(&mut self, kind: &'static str) {
        // A simple CASE compares by `=`.
        if let (NODE, Some(Frame { kind: "CaseExpr", field: "arg", .. })) = (kind, self.stack.last()) {
            self.add_operator("=");
        }
        if let Some(class) = statement::class_of(kind) {
            self.enter_statement(class);
        } else if !statement::is_harmless_part(kind) {
            self.at_least(Access::Uncertain);
        }
        match kind {
            "SqlValueFunction" => self.findings.reads_surroundings = true,
            "LockingClause" => {
                self.findings.locks = true;
                self.at_least(Access::Write);
            }
            "IntoClause" => {
                self.findings.changes_definitions = true;
                self.at_least(Access::Write);
            }
            _ => {}
        }
        self.stack.push(Frame { kind, field: "", names_from: self.names.len() });
    }

    fn field(&mut self, name: &'static str) {
        if let Some(frame) = self.stack.last_mut() {
            frame.field = name;
        }
    }

    fn text(&mut self, value: &str) {
        let Some((frame, outer)) = self.stack.split_last() else { return };
        let is_moment = |word: &&str| value.trim().eq_ignore_ascii_case(word);
        self.findings.reads_surroundings |= ["now", "today", "tomorrow", "yesterday"].iter().any(is_moment);
        match (frame.kind, frame.field) {
            ("RangeVar", "schemaname") if !value.is_empty() => self.relation.schema = Some(value.into()),
            ("RangeVar", "relname") => self.relation.name = value.into(),
            ("RangeVar", "relpersistence") if value == "t" => {
                self.findings.changes_session = true;
                self.findings.makes_temporary = true;
            }
            ("CommonTableExpr", "ctename") => {
                self.findings.common_tables.insert(value.into());
            }
            // COPY to or from a file of the server.
            ("CopyStmt", "filename") if !value.is_empty() => self.at_least(Access::Write),
            ("String", _) => match node_around(outer) {
                Some(
                    ("FuncCall", "funcname")
                    | ("AExpr", "name")
                    | ("TypeName", "names")
                    | ("SubLink", "oper_name")
                    | ("SortBy", "use_op")
                    | ("RangeTableSample", "method")
                    | ("ColumnRef", "fields"),
                ) => self.names.push(value.into()),
                Some(("AIndirection", "indirection")) => {
                    self.findings.attributes.insert(value.into());
                }
                Some(("JoinExpr", "using_clause")) => self.add_operator("="),
                _ => {}
            },
            _ => {}
        }
    }

    fn number(&mut self, value: i64) {
        let Some(frame) = self.stack.last() else { return };
        match (frame.kind, frame.field) {
            ("JoinExpr", "is_natural") if value != 0 => self.add_operator("="),
            ("CopyStmt", "is_from" | "is_program") if value != 0 => self.at_least(Access::Write),
            // `table.column%TYPE`
            ("TypeName", "pct_type") if value != 0 => self.at_least(Access::Uncertain),
            // SET LOCAL ends with its transaction.
            ("VariableSetStmt", "is_local") if value == 0 => self.findings.changes_session = true,
            _ => {}
        }
    }

    fn leave(&mut self) {
        let Some(Frame { kind, names_from, .. }) = self.stack.pop() else { return };
        match kind {
            "RangeVar" => return self.leave_relation(),
            "FuncCall" | "RangeTableSample" => {
                if let Some(name) = self.spelled(names_from) {
                    self.note_schema(name.schema.as_deref());
                    self.findings.changes_session |= statement::changes_session(&name.name);
                    self.findings.functions.insert(name);
                }
            }
            "AExpr" => {
                if let Some(name) = self.spelled(names_from) {
                    self.add_expression_operator(name);
                }
            }
            "SubLink" | "SortBy" => {
                if let Some(name) = self.spelled(names_from) {
                    self.findings.operators.insert(name);
                } else if kind == "SubLink" {
                    // IN (SELECT …) compares by `=`.
                    self.add_operator("=");
                }
            }
            "TypeName" => {
                if let Some(name) = self.spelled(names_from) {
                    self.note_schema(name.schema.as_deref());
                    self.findings.types.insert(name);
                }
            }
            // `row.name` may call the function of that name.
            "ColumnRef" => {
                let parts = self.names.split_off(names_from.min(self.names.len()));
                self.findings.attributes.extend(parts.into_iter().skip(1));
            }
            _ => return,
        }
        self.names.truncate(names_from);
    }
}
