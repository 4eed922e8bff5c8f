//! The tables of a statement at all levels of nesting, which of them are joined by their shard keys, and by which values a
//! shard key is bound.

use std::sync::Arc;

use serde_json::Value as Json;

use super::pin::{Pin, elements_of, source_of};
use super::tree::{column_names, conjuncts, field, flag, items, names, node, node_of, number, text, walk};
use crate::shard::catalogue::{ShardCatalogue, Table};
use crate::shard::error::ShardError;
use crate::shard::key::KeyType;
use crate::shard::layout::ShardedCluster;
use crate::shard::placement::Placement;

const OPERATOR: i64 = 1;
const OPERATOR_ANY: i64 = 2;
const IN: i64 = 7;
const INNER: i64 = 1;
const LEFT: i64 = 2;
const RIGHT: i64 = 4;
const NO_SET_OPERATION: i64 = 1;

/// Where names are looked up.
pub(super) struct Names<'a> {
    pub(super) cluster: &'a ShardedCluster,
    pub(super) catalogue: &'a ShardCatalogue,
    /// The schema that the call names.
    pub(super) schema: Option<&'a str>,
}

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

/// Which tables a condition decides on.
pub(super) enum Reach<'j> {
    /// Whatever does not fulfil it is gone; where `binds`, from the whole query.
    All { binds: bool },
    /// It decides which rows of one side of an outer join meet which of the other, and no more.
    Across(&'j [usize], &'j [usize]),
}

impl Reach<'_> {
    fn joins(&self, one: usize, other: usize) -> bool {
        match self {
            Self::All { .. } => true,
            Self::Across(left, right) => {
                left.contains(&one) && right.contains(&other) || left.contains(&other) && right.contains(&one)
            }
        }
    }
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

    fn join(&mut self, join: &Json, level: usize, binds: bool) -> Result<Vec<usize>, ShardError> {
        let is_inner = number(join, "jointype") == INNER;
        let side = |scope: &mut Self, side| match field(join, side) {
            Some(item) => scope.row_source(item, level, binds && is_inner),
            None => Ok(Vec::new()),
        };
        let left = side(self, "larg")?;
        let right = side(self, "rarg")?;
        let without_partner: &[&[usize]] = match number(join, "jointype") {
            INNER => &[],
            LEFT => &[&right],
            RIGHT => &[&left],
            _ => &[&left, &right],
        };
        for at in without_partner.iter().copied().flatten() {
            if let Some(instance) = self.instances.get_mut(*at) {
                instance.is_nullable = true;
            }
        }
        if flag(join, "is_natural")
            || field(join, "alias").is_some()
            || field(join, "join_using_alias").is_some()
        {
            self.only_whole("a NATURAL JOIN, or one with a name of its own");
        }
        for column in names(join, "using_clause") {
            for (one, other) in left.iter().flat_map(|one| right.iter().map(move |other| (*one, *other))) {
                let is_key =
                    |at: usize| self.instances.get(at).is_some_and(|instance| instance.key == column);
                if is_key(one) && is_key(other) {
                    self.link(one, other, level);
                }
            }
        }
        if let Some(condition) = field(join, "quals") {
            let across = Reach::Across(&left, &right);
            let reach = if is_inner { Reach::All { binds } } else { across };
            self.condition(condition, level, &reach);
            self.expressions(condition, level)?;
        }
        Ok([left, right].concat())
    }

    /// Takes in what must hold of the rows of a level.
    pub(super) fn condition(&mut self, condition: &Json, level: usize, reach: &Reach<'_>) {
        let binds = matches!(reach, Reach::All { binds: true });
        for each in conjuncts(condition) {
            let Some(expression) = node_of(each, "AExpr").filter(|content| names(content, "name") == ["="])
            else {
                continue;
            };
            let (Some(left), Some(right)) = (field(expression, "lexpr"), field(expression, "rexpr")) else {
                continue;
            };
            let (left_key, right_key) = (self.key_at(left, level), self.key_at(right, level));
            match (number(expression, "kind"), left_key, right_key) {
                (OPERATOR, Some(one), Some(other)) if reach.joins(one, other) => self.link(one, other, level),
                (OPERATOR, Some(_), Some(_)) => {}
                (OPERATOR, Some(at), None) => {
                    self.bind(at, level, binds, |key| Some(vec![source_of(right, key)?]))
                }
                (OPERATOR, None, Some(at)) => {
                    self.bind(at, level, binds, |key| Some(vec![source_of(left, key)?]))
                }
                (OPERATOR_ANY, Some(at), _) => self.bind(at, level, binds, |key| elements_of(right, key)),
                (IN, Some(at), _) => self.bind(at, level, binds, |key| {
                    let list = items(node_of(right, "List")?, "items");
                    list.iter().map(|item| source_of(item, key)).collect()
                }),
                _ => {}
            }
        }
    }

    fn bind(
        &mut self,
        at: usize,
        level: usize,
        binds: bool,
        sources: impl FnOnce(KeyType) -> Option<Vec<super::pin::Source>>,
    ) {
        let Some(instance) = self.instances.get_mut(at).filter(|instance| binds && instance.level == level)
        else {
            return;
        };
        if let Some(sources) = sources(instance.placement.key) {
            let (column, placement) = (instance.key.clone(), instance.placement.clone());
            instance.pins.push(Pin { column, placement, sources });
        }
    }

    /// Notes that the keys of two tables are equal.
    fn link(&mut self, one: usize, other: usize, level: usize) {
        let (Some(first), Some(second)) = (self.instances.get(one), self.instances.get(other)) else {
            return;
        };
        if !first.placement.key.agrees_with(second.placement.key) {
            return;
        }
        match (first.level == level, second.level == level) {
            (true, true) => {
                let (one, other) = (self.root(one), self.root(other));
                if one != other
                    && let Some(instance) = self.instances.get_mut(one)
                {
                    instance.joined = Some(other);
                }
            }
            (true, false) => self.anchor(one, other),
            (false, true) => self.anchor(other, one),
            // Both are outside, and this query decides on its own rows only.
            (false, false) => {}
        }
    }

    fn anchor(&mut self, inner: usize, outer: usize) {
        if let Some(instance) = self.instances.get_mut(inner) {
            instance.anchor.get_or_insert(outer);
        }
    }

    /// The table that stands for all that are joined with one by their keys.
    pub(super) fn root(&self, mut at: usize) -> usize {
        while let Some(next) = self.instances.get(at).and_then(|instance| instance.joined) {
            at = next;
        }
        at
    }

    /// The table whose shard key an expression is.
    pub(super) fn key_at(&self, expression: &Json, level: usize) -> Option<usize> {
        let (at, column) = self.column_at(expression, level)?;
        self.instances.get(at).is_some_and(|instance| instance.key == column).then_some(at)
    }

    /// The table and the name of the column that an expression is, seen from a level.
    pub(super) fn column_at<'j>(&self, expression: &'j Json, level: usize) -> Option<(usize, &'j str)> {
        let parts = column_names(node_of(expression, "ColumnRef")?)?;
        let (qualifier, column) = match parts[..] {
            [column] => (None, column),
            [alias, column] => (Some((None, alias)), column),
            [schema, table, column] => (Some((Some(schema), table)), column),
            _ => return None,
        };
        let mut seen = Some(level);
        while let Some(at) = seen {
            let found: Vec<usize> = (0..self.instances.len())
                .filter(|place| {
                    self.instances
                        .get(*place)
                        .is_some_and(|i| i.level == at && i.answers_to(qualifier, column))
                })
                .collect();
            if let Some(first) = found.first() {
                let root = self.root(*first);
                // Of several, USING makes one.
                let is_one = found.iter().all(|other| self.root(*other) == root);
                return is_one.then_some((*first, column));
            }
            let here = self.levels.get(at)?;
            if here.has_others {
                return None;
            }
            seen = here.outer;
        }
        None
    }

    /// What every group of joined tables is bound by, of those that no outer table decides on.
    pub(super) fn bound(&self) -> Vec<Vec<Pin>> {
        let roots = (0..self.instances.len()).filter(|at| self.root(*at) == *at);
        let members = |root: usize| {
            (0..self.instances.len())
                .filter(move |at| self.root(*at) == root)
                .filter_map(|at| self.instances.get(at))
        };
        roots
            .filter(|root| members(*root).all(|instance| instance.anchor.is_none()))
            .map(|root| members(root).flat_map(|instance| instance.pins.iter().cloned()).collect())
            .collect()
    }

    /// Whether each shard can do its part of the statement with its own rows.
    pub(super) fn runs_in_parts(&self) -> Result<(), ShardError> {
        if let Some(because) = self.whole_because {
            return Err(ShardError::unmergeable(because));
        }
        let is_top = |level: usize| self.levels.get(level).is_some_and(|level| level.role == Role::Top);
        let mut top: Option<usize> = None;
        for at in 0..self.instances.len() {
            let (root, level) = (self.root(at), self.instances.get(at).map_or(0, |instance| instance.level));
            if is_top(level) {
                if top.is_some_and(|top| top != root) {
                    return Err(ShardError::unmergeable(
                        "a join of tables whose shard keys are not compared by =",
                    ));
                }
                top = Some(root);
            } else {
                let is_anchored = self
                    .instances
                    .iter()
                    .enumerate()
                    .any(|(other, instance)| instance.anchor.is_some() && self.root(other) == root);
                if !is_anchored {
                    return Err(ShardError::unmergeable(
                        "a subquery whose shard key is not compared by = with that of the query around it",
                    ));
                }
            }
        }
        // A subquery without a table at the top would be answered once by every shard.
        if top.is_none() && !self.instances.is_empty() {
            return Err(ShardError::unmergeable("a subquery in a query without tables"));
        }
        Ok(())
    }
}

impl Instance {
    fn answers_to(&self, qualifier: Option<(Option<&str>, &str)>, column: &str) -> bool {
        let is_meant = qualifier.is_none_or(|(schema, alias)| {
            self.alias == alias && schema.is_none_or(|schema| self.table.schema == schema)
        });
        is_meant && self.table.column(column).is_some()
    }
}

impl Names<'_> {
    /// The table of a name.
    pub(super) fn table(&self, schema: &str, name: &str) -> Result<Arc<Table>, ShardError> {
        let found = if schema.is_empty() {
            let path = self.cluster.search_path.iter().map(String::as_str);
            self.schema.into_iter().chain(path).find_map(|schema| self.catalogue.table(schema, name))
        } else {
            self.catalogue.table(schema, name)
        };
        let table = found.ok_or_else(|| {
            ShardError::table(format!(
                "the table {name} is not known on cluster {}, which is sharded: name its schema, or a single shard by clusterId",
                self.cluster.id
            ))
        })?;
        if !table.is_table {
            return Err(ShardError::table(format!(
                "{name} is a view or foreign table, which says something else on every shard: pass shardKey, or query its \
                 tables"
            )));
        }
        Ok(Arc::clone(table))
    }

    /// The shard key of a table.
    pub(super) fn key_of(&self, table: &Table) -> Result<(String, Placement), ShardError> {
        let key = self.cluster.key_of(&table.schema);
        let Some(column) = table.column(key) else {
            return Err(ShardError::table(format!(
                "the table {} has no column {key}, by which cluster {} is sharded: pass shardKey, or name a single shard by \
                 clusterId",
                table.name, self.cluster.id
            )));
        };
        let Some(key_type) = column.key_type() else {
            return Err(ShardError::table(format!(
                "the type of the column {key} of {} cannot be a shard key",
                table.name
            )));
        };
        let placement = Placement::new(&self.cluster.sharding, key_type)?.limited(column.longest());
        Ok((key.to_owned(), placement))
    }
}

/// The names of the functions that an expression calls, and their calls. Queries within it are passed over.
pub(super) fn calls<'j>(tree: &'j Json, listener: &mut dyn FnMut(&'j str, &'j Json)) {
    walk(tree, &mut |kind, content| {
        if kind == "FuncCall"
            && let Some(name) = names(content, "funcname").last()
        {
            listener(name, content);
        }
        kind != "SubLink"
    });
}
