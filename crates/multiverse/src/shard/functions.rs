//! Which functions of a sharded cluster may say something else on every shard, and which of them look at tables.

use std::collections::HashSet;

use crate::client::Rows;
use crate::route::catalogue::body::words;

/// The functions of the application, with their sources and the names of what these depend on, and all aggregates and
/// functions that return sets. A source that cannot be read here counts as one that runs statements put together at run time.
pub(crate) const FUNCTIONS: &str = "SELECT p.proname::text, \
    CASE WHEN p.prokind = 'a' THEN 'aggregate' WHEN p.oid < 16384 THEN 'builtin' WHEN p.provolatile = 'i' THEN 'immutable' ELSE 'varying' END, \
    CASE WHEN p.prokind = 'a' OR p.oid < 16384 OR l.lanname IN ('c', 'internal') THEN '' \
      WHEN l.lanname NOT IN ('sql', 'plpgsql') THEN CASE WHEN p.provolatile = 'i' THEN '' ELSE 'execute' END \
      ELSE pg_catalog.concat(p.prosrc, ' ', (SELECT pg_catalog.string_agg(COALESCE(f.proname || '(', 'execute'), ' ') \
        FROM pg_catalog.pg_depend d LEFT JOIN pg_catalog.pg_proc f \
          ON f.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
        LEFT JOIN pg_catalog.pg_class r ON r.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
        WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid \
          AND (f.oid IS NOT NULL OR r.relkind IN ('r', 'p', 'v', 'm', 'f')))) END, \
    p.proretset::text \
    FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
    WHERE p.prokind = 'a' OR p.proretset OR p.oid >= 16384";

/// Functions of PostgreSQL and its extensions that are given tables or statements, and read them.
const READING: [&str; 18] = [
    "connectby",
    "crosstab",
    "crosstab2",
    "crosstab3",
    "crosstab4",
    "cursor_to_xml",
    "database_to_xml",
    "database_to_xml_and_xmlschema",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "schema_to_xml",
    "schema_to_xml_and_xmlschema",
    "schema_to_xmlschema",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "table_to_xmlschema",
    "ts_stat",
];

/// What is known of functions, by their names alone: what one of a name may do, any of the name may.
#[derive(Debug, Default)]
pub(crate) struct Functions {
    varying: HashSet<String>,
    reading: HashSet<String>,
    aggregates: HashSet<String>,
    /// Those of which one call may give many rows.
    sets: HashSet<String>,
}

impl Functions {
    /// Reads the rows of [`FUNCTIONS`], with the names of all tables and views.
    pub(super) fn of_rows(rows: &Rows, relations: &HashSet<&str>) -> Self {
        let reading = READING.iter().map(|name| (*name).to_owned()).collect();
        let mut functions = Self { reading, ..Self::default() };
        let mut sources = Vec::new();
        for row in rows {
            let [Some(name), Some(kind), Some(source), Some(returns_set)] = &row[..] else { continue };
            if returns_set == "true" {
                functions.sets.insert(name.clone());
            }
            match kind.as_str() {
                "aggregate" => drop(functions.aggregates.insert(name.clone())),
                "builtin" => {}
                kind => {
                    if kind == "varying" {
                        functions.varying.insert(name.clone());
                    }
                    sources.push((name, source));
                }
            }
        }
        // What calls a function that reads tables reads them too.
        loop {
            let known = functions.reading.len();
            let found = sources.iter().filter(|(_, source)| functions.mentions_tables(source, relations));
            let found: Vec<String> = found.map(|(name, _)| (*name).clone()).collect();
            functions.reading.extend(found);
            if functions.reading.len() == known {
                return functions;
            }
        }
    }

    /// Every word of a source counts, also in strings.
    fn mentions_tables(&self, source: &str, relations: &HashSet<&str>) -> bool {
        words(source).any(|word| {
            let folded = word.text.to_lowercase();
            let is_either = |test: &dyn Fn(&str) -> bool| test(word.text) || test(&folded);
            folded == "execute"
                || is_either(&|name| relations.contains(name))
                || word.is_called && is_either(&|name| self.reading.contains(name))
        })
    }

    /// Whether a function of this name may give something else on every shard.
    pub(crate) fn varies(&self, name: &str) -> bool {
        self.varying.contains(name) || self.reading.contains(name)
    }

    /// Whether a function of this name reads tables.
    pub(crate) fn reads(&self, name: &str) -> bool {
        self.reading.contains(name)
    }

    /// Whether a function of this name returns a set.
    pub(crate) fn returns_set(&self, name: &str) -> bool {
        self.sets.contains(name)
    }

    pub(crate) fn is_aggregate(&self, name: &str) -> bool {
        self.aggregates.contains(name)
    }
}
