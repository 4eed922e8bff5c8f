//! The tables of a statement at all levels of nesting.

mod column;
mod join;
mod parts;

use std::sync::Arc;

use serde_json::Value as Json;

pub(super) use self::join::Reach;
use super::names::Names;
use super::pin::Pin;
use super::tree::{field, flag, items, node, node_of, number, text, walk};
use crate::shard::catalogue::Table;
use crate::shard::error::ShardError;
use crate::shard::placement::Placement;

const NO_SET_OPERATION: i64 = 1;

/// A table in its place in a statement.
pub(super) struct Instance {
    level: usize,
    pub(super) alias: String,
    pub(super) table: Arc<Table>,
    /// The column that is its shard key.
    pub(super) key: String,
    placement: Placement,
    pins: Vec<Pin>,
    /// Another table of the level that is joined with it by their keys.
    joined: Option<usize>,
    /// A table of an outer level to whose key this one's is equal.
    anchor: Option<usize>,
    /// An outer join gives rows on every shard in which its columns, the key among them, are NULL.
    pub(super) is_nullable: bool,
}

/// What a query at some depth stands for in the one around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Top,
    /// Within an expression.
    Expression,
    /// As a table, an arm of a set operation, or a common table.
    Rows,
}

struct Level {
    outer: Option<usize>,
    role: Role,
    /// There are rows here that come from no table.
    has_others: bool,
}

/// All tables of a statement.
pub(super) struct Scope<'a> {
    names: &'a Names<'a>,
    levels: Vec<Level>,
    pub(super) instances: Vec<Instance>,
    common_tables: Vec<String>,
    /// Why the statement can only run as a whole.
    whole_because: Option<&'static str>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(names: &'a Names<'a>) -> Self {
        Self {
            names,
            levels: Vec::new(),
            instances: Vec::new(),
            common_tables: Vec::new(),
            whole_because: None,
        }
    }

    /// Begins a level.
    pub(super) fn open(&mut self, outer: Option<usize>, role: Role) -> usize {
        self.levels.push(Level { outer, role, has_others: false });
        self.levels.len() - 1
    }

    /// Notes that a statement makes sense only where all its rows are.
    pub(super) fn only_whole(&mut self, because: &'static str) {
        self.whole_because.get_or_insert(because);
    }

    /// Takes in a SELECT.
    pub(super) fn select(
        &mut self,
        select: &Json,
        outer: Option<usize>,
        role: Role,
    ) -> Result<(), ShardError> {
        let known = self.common_tables.len();
        let level = self.open(outer, role);
        let taken = self.select_at(select, outer, role, level);
        // The names of a WITH end with its query.
        self.common_tables.truncate(known);
        taken
    }

    fn select_at(
        &mut self,
        select: &Json,
        outer: Option<usize>,
        role: Role,
        level: usize,
    ) -> Result<(), ShardError> {
        if role == Role::Rows {
            self.only_whole("a query in FROM, WITH or a set operation");
        }
        self.with_clause(select, level)?;
        if number(select, "op") > NO_SET_OPERATION {
            self.only_whole("a set operation (UNION, INTERSECT, EXCEPT)");
            for arm in ["larg", "rarg"] {
                if let Some(arm) = field(select, arm) {
                    self.select(arm, outer, Role::Rows)?;
                }
            }
        }
        for item in items(select, "from_clause") {
            self.row_source(item, level, true)?;
        }
        if let Some(condition) = field(select, "where_clause") {
            self.condition(condition, level, &Reach::All { binds: true });
        }
        let places = [
            "target_list",
            "where_clause",
            "group_clause",
            "having_clause",
            "sort_clause",
            "limit_count",
            "limit_offset",
            "values_lists",
            "distinct_clause",
            "window_clause",
        ];
        places
            .iter()
            .filter_map(|place| field(select, place))
            .try_for_each(|tree| self.expressions(tree, level))
    }

    /// Takes in common tables.
    pub(super) fn with_clause(&mut self, statement: &Json, level: usize) -> Result<(), ShardError> {
        let Some(clause) = field(statement, "with_clause") else { return Ok(()) };
        for table in items(clause, "ctes").iter().filter_map(|table| node_of(table, "CommonTableExpr")) {
            if flag(clause, "recursive") {
                self.common_tables.push(text(table, "ctename").to_owned());
            }
            match field(table, "ctequery").and_then(node) {
                Some(("SelectStmt", select)) => self.select(select, Some(level), Role::Rows)?,
                _ => {
                    return Err(ShardError::statement(
                        "a WITH that writes cannot run over shards: pass shardKey",
                    ));
                }
            }
            self.common_tables.push(text(table, "ctename").to_owned());
        }
        Ok(())
    }

    /// Takes in the queries within expressions.
    pub(super) fn expressions(&mut self, tree: &Json, level: usize) -> Result<(), ShardError> {
        let mut queries = Vec::new();
        walk(tree, &mut |kind, content| {
            if kind == "SubLink" {
                queries.push(content);
            }
            kind != "SubLink"
        });
        for query in queries {
            if let Some(tested) = field(query, "testexpr") {
                self.expressions(tested, level)?;
            }
            if let Some(select) = field(query, "subselect").and_then(|place| node_of(place, "SelectStmt")) {
                self.select(select, Some(level), Role::Expression)?;
            }
        }
        Ok(())
    }

    /// Takes in a table or a join. Conditions bind values only where no row comes without them.
    pub(super) fn row_source(
        &mut self,
        item: &Json,
        level: usize,
        binds: bool,
    ) -> Result<Vec<usize>, ShardError> {
        match node(item) {
            Some(("RangeVar", relation)) => self.relation(relation, level),
            Some(("JoinExpr", join)) => self.join(join, level, binds),
            Some((kind, content)) => {
                if let Some(other) = self.levels.get_mut(level) {
                    other.has_others = true;
                }
                if kind == "RangeTableSample" {
                    return Err(ShardError::statement("TABLESAMPLE cannot run over shards: pass shardKey"));
                }
                if kind == "RangeSubselect" {
                    let query = field(content, "subquery").and_then(|place| node_of(place, "SelectStmt"));
                    let outer = if flag(content, "lateral") {
                        Some(level)
                    } else {
                        self.levels.get(level).and_then(|l| l.outer)
                    };
                    query.map_or(Ok(()), |query| self.select(query, outer, Role::Rows))?;
                } else {
                    // Functions as tables; what is not known is not merged either.
                    self.only_whole("a function in FROM");
                    self.expressions(content, level)?;
                }
                Ok(Vec::new())
            }
            None => Ok(Vec::new()),
        }
    }

    /// Takes in a table by its name.
    pub(super) fn relation(&mut self, relation: &Json, level: usize) -> Result<Vec<usize>, ShardError> {
        let (schema, name) = (text(relation, "schemaname"), text(relation, "relname"));
        if schema.is_empty() && self.common_tables.iter().any(|table| table == name) {
            if let Some(level) = self.levels.get_mut(level) {
                level.has_others = true;
            }
            return Ok(Vec::new());
        }
        let table = self.names.table(schema, name)?;
        let (key, placement) = self.names.key_of(&table)?;
        let alias = field(relation, "alias");
        if alias.is_some_and(|alias| !items(alias, "colnames").is_empty()) {
            return Err(ShardError::statement(
                "columns of a sharded table cannot be renamed in FROM: use names of columns",
            ));
        }
        let alias = alias.map_or(name, |alias| text(alias, "aliasname")).to_owned();
        let instance = Instance {
            level,
            alias,
            table,
            key,
            placement,
            pins: Vec::new(),
            joined: None,
            anchor: None,
            is_nullable: false,
        };
        self.instances.push(instance);
        Ok(vec![self.instances.len() - 1])
    }
}
