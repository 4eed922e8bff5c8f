//! A SELECT for all shards: what each of them is asked, and how their results become one.

use pg_query::protobuf::{ResTarget, SelectStmt};
use pg_query::{Node, NodeEnum};
use serde_json::Value as Json;

use super::aggregate::{Wanted, wanted};
use super::scope::{Names, Scope, calls};
use super::tree::{column_names, field, flag, has, items, names, node, node_of, number, text, walk};
use crate::shard::catalogue::TextOrder;
use crate::shard::error::ShardError;
use crate::shard::merge_plan::{Bound, Grouping, Merge, Part, Place, SortKey};

/// The level of the query itself.
const TOP: usize = 0;
const WITH_TIES: i32 = 3;
const DESCENDING: i64 = 3;
const BY_OPERATOR: i64 = 4;
const NULLS_FIRST: i64 = 2;
const NULLS_LAST: i64 = 3;

/// What each shard is asked, and what is done with the results.
pub(super) struct SelectParts {
    pub(super) select: SelectStmt,
    pub(super) merge: Merge,
}

/// Plans a SELECT over shards.
///
/// # Errors
/// What cannot be merged.
pub(super) fn parts_of(
    select: &SelectStmt,
    json: &Json,
    names: &Names<'_>,
    scope: &Scope<'_>,
) -> Result<SelectParts, ShardError> {
    refuse_clauses(select, json)?;
    let mut planner = Planner {
        names,
        scope,
        json,
        select: select.clone(),
        targets: items(json, "target_list")
            .iter()
            .filter_map(|target| node_of(target, "ResTarget"))
            .collect(),
        hidden: Vec::new(),
        groups: Vec::new(),
    };
    planner.read_groups()?;
    let has_key = planner.groups.iter().any(|group| planner.is_key(group));
    let aggregates = planner.has_aggregates();
    if flag(json, "group_distinct")
        || has(json.get("group_clause").unwrap_or(&Json::Null), |kind, _| kind == "GroupingSet")
    {
        return Err(ShardError::unmergeable("GROUPING SETS, ROLLUP or CUBE"));
    }
    planner.refuse_windows()?;
    planner.refuse_hidden_aggregates()?;
    let is_grouped = aggregates || !planner.groups.is_empty() || field(json, "having_clause").is_some();
    if is_grouped && !has_key { planner.groups_over_shards() } else { planner.rows() }
}

fn refuse_clauses(select: &SelectStmt, json: &Json) -> Result<(), ShardError> {
    let refused = |what| Err(ShardError::unmergeable(what));
    if select.into_clause.is_some() {
        return Err(ShardError::statement("SELECT INTO cannot run over shards"));
    }
    if select.limit_option == WITH_TIES {
        return refused("FETCH FIRST … WITH TIES");
    }
    if !select.locking_clause.is_empty() {
        return refused("FOR UPDATE or FOR SHARE of rows on several shards");
    }
    if items(json, "distinct_clause").iter().any(|each| node(each).is_some()) {
        return refused("DISTINCT ON");
    }
    if !select.window_clause.is_empty() {
        return refused("a WINDOW clause");
    }
    Ok(())
}

struct Planner<'a> {
    names: &'a Names<'a>,
    scope: &'a Scope<'a>,
    json: &'a Json,
    select: SelectStmt,
    targets: Vec<&'a Json>,
    /// What was added to the columns, as it is compared.
    hidden: Vec<Json>,
    /// What rows are grouped by, as it is compared.
    groups: Vec<Json>,
}

impl<'a> Planner<'a> {
    /// Rows that each shard has for itself: they are gathered, ordered and cut off.
    fn rows(mut self) -> Result<SelectParts, ShardError> {
        let distinct = self.is_distinct()
            && !self.targets.iter().any(|target| self.is_key(&self.compared(value_of(target))));
        if distinct {
            self.refuse_folded()?;
        }
        let mut sort = Vec::new();
        for (at, item) in items(self.json, "sort_clause").iter().enumerate() {
            sort.extend(self.sort_key(at, item, None)?);
        }
        let (offset, limit) =
            (bound(field(self.json, "limit_offset"))?, bound(field(self.json, "limit_count"))?);
        self.push_limit(offset, limit);
        let merge = Merge { hidden: self.hidden.len(), grouping: None, distinct, sort, offset, limit };
        Ok(SelectParts { select: self.select, merge })
    }

    /// Groups of which several shards may have a part, or one row over all rows.
    fn groups_over_shards(mut self) -> Result<SelectParts, ShardError> {
        if field(self.json, "having_clause").is_some() {
            return Err(ShardError::unmergeable("HAVING without the shard key in GROUP BY"));
        }
        self.refuse_folded()?;
        let mut parts = Vec::new();
        for target in self.targets.clone() {
            let value = value_of(target);
            if node_of(value, "ColumnRef").is_some_and(|content| column_names(content).is_none()) {
                return Err(ShardError::unmergeable("a star beside GROUP BY or an aggregate"));
            }
            parts.push(Err(value.clone()));
        }
        // Whatever is ordered by must be there, and the keys of groups.
        let visible = self.targets.len();
        let mut sort = Vec::new();
        for (at, item) in items(self.json, "sort_clause").iter().enumerate() {
            sort.extend(self.sort_key(at, item, Some(&mut parts))?);
        }
        let mut keys = Vec::new();
        for (at, group) in self.groups.clone().into_iter().enumerate() {
            let known = (0..visible + self.hidden.len()).find(|at| self.column_is(*at, &group));
            keys.push(match known {
                Some(known) => known,
                None => {
                    let node = self.group_node(at);
                    parts.push(Ok(Part::Same));
                    self.hide(node, group)
                }
            });
        }
        let mut finished = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            finished.push(match part {
                Ok(part) => part.clone(),
                Err(value) => self.part(value, at)?,
            });
        }
        // What the aggregates have added comes last.
        finished.resize(visible + self.hidden.len(), Part::Same);
        let (offset, limit) =
            (bound(field(self.json, "limit_offset"))?, bound(field(self.json, "limit_count"))?);
        let distinct = self.is_distinct();
        self.select.sort_clause.clear();
        self.select.distinct_clause.clear();
        self.select.limit_count = None;
        self.select.limit_offset = None;
        let grouping = Some(Grouping { keys, parts: finished });
        let merge = Merge { hidden: self.hidden.len(), grouping, distinct, sort, offset, limit };
        Ok(SelectParts { select: self.select, merge })
    }

    /// What becomes of the column with this expression at this position.
    fn part(&mut self, value: &Json, at: usize) -> Result<Part, ShardError> {
        if self.is_of_group(&self.compared(value)) {
            return Ok(Part::Same);
        }
        let refused = || {
            ShardError::unmergeable(
                "an expression that is neither of GROUP BY nor one of count, sum, min, max, avg, bool_and and bool_or",
            )
        };
        let (wanted, call) = wanted(value).ok_or_else(refused)?;
        let content = node_of(call, "FuncCall").ok_or_else(refused)?;
        let is_cast = wanted.is_converted;
        let argument = items(content, "args").first();
        if flag(content, "agg_distinct") {
            let of_key = argument.is_some_and(|argument| self.is_key(&self.compared(argument)));
            let is_harmless =
                matches!(wanted.kind, Wanted::Min | Wanted::Max) || wanted.kind == Wanted::Count && of_key;
            if !is_harmless {
                return Err(ShardError::unmergeable(
                    "an aggregate over DISTINCT values other than the shard key",
                ));
            }
        }
        let by_bytes = argument.is_some_and(|argument| self.order_of(argument) != TextOrder::Language);
        Ok(match wanted.kind {
            Wanted::Count | Wanted::Sum if is_cast => Part::Sum { of: self.hide_call(wanted.source, None)? },
            Wanted::Count | Wanted::Sum => Part::Sum { of: at },
            Wanted::Mean => {
                let sum = self.hide_call(call, Some("sum"))?;
                Part::Mean { sum, count: self.hide_call(call, Some("count"))? }
            }
            Wanted::Min if !is_cast => Part::Min { by_bytes },
            Wanted::Max if !is_cast => Part::Max { by_bytes },
            Wanted::And if !is_cast => Part::And,
            Wanted::Or if !is_cast => Part::Or,
            _ => return Err(refused()),
        })
    }

    fn sort_key(
        &mut self,
        at: usize,
        item: &'a Json,
        parts: Option<&mut Vec<Result<Part, Json>>>,
    ) -> Result<Option<SortKey>, ShardError> {
        let Some(sort) = node_of(item, "SortBy") else { return Ok(None) };
        let direction = number(sort, "sortby_dir");
        if direction == BY_OPERATOR {
            return Err(ShardError::unmergeable("ORDER BY … USING"));
        }
        let is_descending = direction == DESCENDING;
        let nulls_first = match number(sort, "sortby_nulls") {
            NULLS_FIRST => true,
            NULLS_LAST => false,
            _ => is_descending,
        };
        let Some(expression) = field(sort, "node") else { return Ok(None) };
        let (place, by) = match self.visible_place(expression)? {
            Some(place) => (place, self.value_at(place)),
            None => {
                if parts.is_none() && self.is_distinct() {
                    return Err(ShardError::unmergeable(
                        "DISTINCT with ORDER BY of something that is not selected",
                    ));
                }
                let by = self.alias_value(expression).unwrap_or(expression);
                let node = self.sort_node(at, expression);
                let compared = self.compared(by);
                if let Some(parts) = parts {
                    parts.push(Err(by.clone()));
                }
                let visible = self.targets.len();
                let hidden = self.hide(node, compared) - visible;
                (Place::Hidden(hidden), Some(by))
            }
        };
        let by_bytes = match by {
            Some(by) => self.order_of(by) != TextOrder::Language,
            None => self.all_by_bytes(),
        };
        Ok(Some(SortKey { place, is_descending, nulls_first, by_bytes }))
    }

    /// The column that an item of ORDER BY means, if it is one of those that are selected, and its position is known.
    fn visible_place(&self, expression: &Json) -> Result<Option<Place>, ShardError> {
        if let Some(constant) = node_of(expression, "AConst") {
            let position =
                field(constant, "val").and_then(|value| value.get("Ival")).map(|value| number(value, "ival"));
            let position = position.and_then(|position| usize::try_from(position - 1).ok());
            return position
                .map(|at| Some(Place::Visible(at)))
                .ok_or_else(|| ShardError::unmergeable("ORDER BY of a constant"));
        }
        let stars = self.targets.iter().position(|target| is_star(value_of(target)));
        let before_star = stars.unwrap_or(self.targets.len());
        let found = match self.alias_at(expression) {
            Some(at) => Some(at),
            None => {
                let compared = self.compared(expression);
                self.targets.iter().position(|target| self.compared(value_of(target)) == compared)
            }
        };
        Ok(found.filter(|at| *at < before_star).map(Place::Visible))
    }

    /// The column whose name an item of ORDER BY is.
    fn alias_at(&self, expression: &Json) -> Option<usize> {
        let [name] = column_names(node_of(expression, "ColumnRef")?)?[..] else { return None };
        let is_called = |target: &&Json| match text(target, "name") {
            "" => implicit_name(value_of(target)) == Some(name),
            given => given == name,
        };
        self.targets.iter().position(is_called)
    }

    fn alias_value(&self, expression: &Json) -> Option<&'a Json> {
        self.alias_at(expression).and_then(|at| self.targets.get(at)).map(|target| value_of(target))
    }

    fn value_at(&self, place: Place) -> Option<&'a Json> {
        let Place::Visible(at) = place else { return None };
        let has_star_before = self.targets.iter().take(at + 1).any(|target| is_star(value_of(target)));
        if has_star_before { None } else { self.targets.get(at).map(|target| value_of(target)) }
    }

    fn column_is(&self, at: usize, compared: &Json) -> bool {
        match self.targets.get(at) {
            Some(target) => self.compared(value_of(target)) == *compared,
            None => self.hidden.get(at - self.targets.len()) == Some(compared),
        }
    }

    /// Reads GROUP BY: expressions, positions and names of columns.
    fn read_groups(&mut self) -> Result<(), ShardError> {
        let groups = items(self.json, "group_clause").iter().map(|item| self.group_value(item));
        let groups: Vec<&Json> = groups.collect::<Result<_, _>>()?;
        self.groups = groups.into_iter().map(|group| self.compared(group)).collect();
        Ok(())
    }

    fn group_value(&self, item: &'a Json) -> Result<&'a Json, ShardError> {
        if let Some(constant) = node_of(item, "AConst") {
            let position =
                field(constant, "val").and_then(|value| value.get("Ival")).map(|value| number(value, "ival"));
            let at = position.and_then(|position| usize::try_from(position - 1).ok());
            if self.targets.iter().any(|target| is_star(value_of(target))) {
                return Err(ShardError::unmergeable("GROUP BY of a position beside a star"));
            }
            let target = at.and_then(|at| self.targets.get(at));
            return Ok(target.map_or(item, |target| value_of(target)));
        }
        // A column of a table comes before the name of a column of the result.
        if self.scope.column_at(item, TOP).is_some() {
            return Ok(item);
        }
        Ok(self.alias_value(item).unwrap_or(item))
    }

    /// An expression as it is compared: columns with their tables, and without its place in the text.
    fn compared(&self, expression: &Json) -> Json {
        if let Some((at, column)) = self.scope.column_at(expression, TOP) {
            let alias = self.scope.instances.get(self.scope.root(at)).map(|instance| instance.alias.as_str());
            let own =
                self.scope.instances.get(at).map(|instance| {
                    (instance.alias.as_str(), instance.key == column && !instance.is_nullable)
                });
            // The keys of joined tables are equal.
            let alias = match own {
                Some((_, true)) => alias,
                Some((own, false)) => Some(own),
                None => None,
            };
            let column = if own.is_some_and(|(_, is_key)| is_key) { "the key" } else { column };
            return serde_json::json!({"column": [alias, column]});
        }
        match expression {
            Json::Array(list) => list.iter().map(|each| self.compared(each)).collect(),
            Json::Object(fields) => fields
                .iter()
                .filter(|(name, _)| *name != "location" && !name.ends_with("_location"))
                .map(|(name, value)| (name.clone(), self.compared(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
            other => other.clone(),
        }
    }

    /// Whether an expression, as it is compared, is the shard key of the query's tables.
    fn is_key(&self, compared: &Json) -> bool {
        compared.get("column").and_then(|column| column.get(1)).and_then(Json::as_str) == Some("the key")
    }

    /// Whether an expression is the same for all rows of a group.
    fn is_of_group(&self, compared: &Json) -> bool {
        fn has_column(tree: &Json, groups: &[Json]) -> bool {
            if groups.contains(tree) {
                return false;
            }
            match tree {
                Json::Array(list) => list.iter().any(|each| has_column(each, groups)),
                Json::Object(fields) => {
                    fields.contains_key("column")
                        || fields.contains_key("ColumnRef")
                        || fields.contains_key("SubLink")
                        || fields.values().any(|each| has_column(each, groups))
                }
                _ => false,
            }
        }
        let mut has_aggregate = false;
        calls(compared, &mut |name, _| has_aggregate |= self.names.catalogue.is_aggregate(name));
        !has_aggregate && !has_column(compared, &self.groups)
    }

    fn has_aggregates(&self) -> bool {
        let mut found = false;
        for place in ["target_list", "sort_clause", "having_clause"] {
            let tree = self.json.get(place).unwrap_or(&Json::Null);
            calls(tree, &mut |name, call| {
                found |= field(call, "over").is_none() && self.names.catalogue.is_aggregate(name);
            });
        }
        found
    }

    /// Aggregates in the syntax of SQL/JSON, and those in a query that has no rows of its own, which belong to this one.
    fn refuse_hidden_aggregates(&self) -> Result<(), ShardError> {
        let mut is_hidden = false;
        for place in ["target_list", "sort_clause", "having_clause"] {
            walk(self.json.get(place).unwrap_or(&Json::Null), &mut |kind, content| {
                is_hidden |= matches!(kind, "JsonArrayAgg" | "JsonObjectAgg");
                if kind == "SelectStmt" && items(content, "from_clause").is_empty() {
                    let targets = content.get("target_list").unwrap_or(&Json::Null);
                    calls(targets, &mut |name, _| is_hidden |= self.names.catalogue.is_aggregate(name));
                }
                true
            });
        }
        if is_hidden {
            Err(ShardError::unmergeable("an aggregate within a query, or one of SQL/JSON"))
        } else {
            Ok(())
        }
    }

    /// A window is each shard's own where it is partitioned by the shard key.
    fn refuse_windows(&self) -> Result<(), ShardError> {
        let mut is_apart = true;
        for place in ["target_list", "sort_clause"] {
            calls(self.json.get(place).unwrap_or(&Json::Null), &mut |_, call| {
                if let Some(window) = field(call, "over") {
                    let by_key = items(window, "partition_clause")
                        .iter()
                        .any(|each| self.is_key(&self.compared(each)));
                    is_apart &= by_key && text(window, "refname").is_empty();
                }
            });
        }
        if is_apart {
            Ok(())
        } else {
            Err(ShardError::unmergeable("a window function without PARTITION BY of the shard key"))
        }
    }

    /// Texts that are equal though different cannot be told to be so.
    fn refuse_folded(&self) -> Result<(), ShardError> {
        let mut columns = self.scope.instances.iter().flat_map(|instance| &instance.table.columns);
        if columns.any(|column| column.order == TextOrder::Folded) {
            return Err(ShardError::unmergeable(
                "DISTINCT or GROUP BY of a table with a nondeterministic collation",
            ));
        }
        for place in ["target_list", "group_clause"] {
            let mut is_collated = false;
            walk(self.json.get(place).unwrap_or(&Json::Null), &mut |kind, content| {
                is_collated |= kind == "CollateClause" && !is_by_bytes(content);
                true
            });
            if is_collated {
                return Err(ShardError::unmergeable("DISTINCT or GROUP BY with a COLLATE other than \"C\""));
            }
        }
        Ok(())
    }

    /// How texts that an expression gives are ordered.
    fn order_of(&self, expression: &Json) -> TextOrder {
        if let Some(collation) = node_of(expression, "CollateClause") {
            return if is_by_bytes(collation) { TextOrder::Bytes } else { TextOrder::Language };
        }
        if let Some((at, column)) = self.scope.column_at(expression, TOP) {
            let column = self.scope.instances.get(at).and_then(|instance| instance.table.column(column));
            return column.map_or(TextOrder::Language, |column| match column.order {
                TextOrder::Folded => TextOrder::Language,
                order => order,
            });
        }
        let is_collated = has(expression, |kind, _| kind == "CollateClause");
        if self.all_by_bytes() && !is_collated { TextOrder::Bytes } else { TextOrder::Language }
    }

    /// Whether no text of the query's tables is ordered by anything but its bytes.
    fn all_by_bytes(&self) -> bool {
        let mut columns = self.scope.instances.iter().flat_map(|instance| &instance.table.columns);
        self.names.catalogue.orders_by_bytes
            && columns.all(|column| matches!(column.order, TextOrder::None | TextOrder::Bytes))
    }

    fn is_distinct(&self) -> bool {
        !items(self.json, "distinct_clause").is_empty()
    }

    /// Adds a column that nobody sees; gives its position.
    fn hide(&mut self, value: Option<Box<Node>>, compared: Json) -> usize {
        // A name of its own, so that ORDER BY does not take it for another column.
        let name = format!("replicaverse_hidden_{}", self.hidden.len());
        let target = ResTarget { name, val: value, ..ResTarget::default() };
        self.select.target_list.push(Node { node: Some(NodeEnum::ResTarget(Box::new(target))) });
        self.hidden.push(compared);
        self.targets.len() + self.hidden.len() - 1
    }

    /// Adds the call of an aggregate, by another name if one is given, as a column that nobody sees.
    fn hide_call(&mut self, call: &Json, name: Option<&str>) -> Result<usize, ShardError> {
        let lost = || ShardError::unmergeable("an aggregate");
        let node = self.find_node(call).ok_or_else(lost)?;
        let node = match name {
            Some(name) => super::aggregate::renamed(node, name).ok_or_else(lost)?,
            None => node,
        };
        // Nothing is compared with it.
        Ok(self.hide(Some(Box::new(node)), Json::Null))
    }

    /// The parser's node that serialises as this.
    fn find_node(&self, wanted: &Json) -> Option<Node> {
        let places = self.select.target_list.iter().chain(&self.select.sort_clause);
        places.into_iter().find_map(|place| super::aggregate::find(place, wanted))
    }

    fn sort_node(&self, at: usize, expression: &Json) -> Option<Box<Node>> {
        if let Some(target) = self.alias_at(expression) {
            return self.target_node(target);
        }
        match self.select.sort_clause.get(at)?.node.as_ref()? {
            NodeEnum::SortBy(sort) => sort.node.clone(),
            _ => None,
        }
    }

    fn target_node(&self, at: usize) -> Option<Box<Node>> {
        match self.select.target_list.get(at)?.node.as_ref()? {
            NodeEnum::ResTarget(target) => target.val.clone(),
            _ => None,
        }
    }

    fn group_node(&self, at: usize) -> Option<Box<Node>> {
        let item = items(self.json, "group_clause").get(at)?;
        let alias = self.scope.column_at(item, TOP).is_none().then(|| self.alias_at(item)).flatten();
        match alias {
            Some(target) => self.target_node(target),
            None => self.select.group_clause.get(at).cloned().map(Box::new),
        }
    }

    /// Has each shard give as many rows as could be wanted of it.
    fn push_limit(&mut self, offset: Option<Bound>, limit: Option<Bound>) {
        let Some(offset) = offset else { return };
        self.select.limit_offset = None;
        let Some(limit) = limit else { return };
        let written = |bound| match bound {
            Bound::Rows(rows) => rows.to_string(),
            Bound::Parameter(at) => format!("${}::pg_catalog.int8", at + 1),
        };
        let text = format!("SELECT LIMIT {} + {}", written(limit), written(offset));
        let statement =
            crate::route::parse_here(&text).and_then(|tree| tree.stmts.into_iter().next()?.stmt?.node);
        if let Some(NodeEnum::SelectStmt(select)) = statement {
            self.select.limit_count = select.limit_count;
        }
    }
}

/// The expression of a column.
fn value_of(target: &Json) -> &Json {
    field(target, "val").unwrap_or(&Json::Null)
}

/// Whether a collation orders texts by their bytes.
fn is_by_bytes(collation: &Json) -> bool {
    names(collation, "collname").last().is_some_and(|name| ["C", "POSIX", "ucs_basic"].contains(name))
}

fn is_star(value: &Json) -> bool {
    let is_of_value = || {
        let parts = node_of(value, "AIndirection").map(|content| items(content, "indirection"));
        parts.is_some_and(|parts| parts.iter().any(|part| node_of(part, "AStar").is_some()))
    };
    node_of(value, "ColumnRef").is_some_and(|content| column_names(content).is_none()) || is_of_value()
}

/// The name that PostgreSQL gives to a column of a cast or with a collation, which is that of what it is made of.
fn implicit_name(value: &Json) -> Option<&str> {
    match node(value)? {
        ("TypeCast" | "CollateClause", content) => made_of(field(content, "arg")?),
        _ => None,
    }
}

fn made_of(value: &Json) -> Option<&str> {
    match node(value)? {
        ("ColumnRef", content) => column_names(content)?.last().copied(),
        ("FuncCall", content) => names(content, "funcname").last().copied(),
        _ => implicit_name(value),
    }
}

/// LIMIT or OFFSET; `None` for all rows.
fn bound(expression: Option<&Json>) -> Result<Option<Bound>, ShardError> {
    let Some(expression) = expression else { return Ok(None) };
    let refused = || ShardError::unmergeable("LIMIT or OFFSET other than a number or parameter");
    match node(expression).ok_or_else(refused)? {
        ("AConst", constant) if flag(constant, "isnull") => Ok(None),
        ("AConst", constant) => {
            let value = field(constant, "val").and_then(|value| value.get("Ival")).ok_or_else(refused)?;
            Ok(Some(Bound::Rows(number(value, "ival"))).filter(|_| number(value, "ival") >= 0))
                .and_then(|bound| bound.map(Some).ok_or_else(refused))
        }
        ("ParamRef", content) => {
            Ok(usize::try_from(number(content, "number") - 1).ok().map(Bound::Parameter))
        }
        ("TypeCast", content) => {
            let target = field(content, "type_name").map(|target| names(target, "names")).unwrap_or_default();
            match target.last() {
                Some(&("int4" | "int8")) => bound(field(content, "arg")),
                _ => Err(refused()),
            }
        }
        _ => Err(refused()),
    }
}
