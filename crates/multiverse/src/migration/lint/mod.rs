//! Lint: what in a migration stops applications, loses rows, or is regretted later, found before it runs.
//!
//! PostgreSQL's own grammar reads the statements. Each rule stands in the file of its subject in `rules`.

mod hits;
mod ignores;
mod locks;
mod names;
mod report;
mod rule;
mod rules;
mod scope;

use std::collections::HashSet;

use pg_query::protobuf::node::Node as NodeKind;

use self::hits::Hits;
use self::ignores::Ignores;
use self::locks::locks_of;
use self::report::Candidate;
use self::rules::{FOREIGN_KEY_WITHOUT_INDEX, ForeignKey, NO_ROLLBACK, SYNTAX_ERROR, UNKNOWN_RULE};
use self::scope::{Knowledge, Scope};
use super::statements::{Statement, split};
use crate::route::with_syntax_tree;

pub use locks::LockMode;
pub use report::{Finding, LintComment, LintOptions, LintReport, LintTarget, LintText, Unseen};
pub use rule::{Rule, Severity};
pub use rules::rules;

/// Looks at migrations in the order in which they are applied: what an earlier one proves counts in later ones.
#[must_use]
pub fn lint(targets: &[LintTarget], options: &LintOptions) -> LintReport {
    let mut linter = Linter {
        options,
        known: rules().map(|rule| rule.id).collect(),
        report: LintReport::default(),
        keys: Vec::new(),
    };
    let mut knowledge = Knowledge::default();
    for target in targets {
        linter.examine(target, &mut knowledge);
    }
    linter.finish(targets, &knowledge)
}

struct Linter<'a> {
    options: &'a LintOptions,
    known: HashSet<&'static str>,
    report: LintReport,
    /// Foreign keys, each with the finding that it is if no index serves it.
    keys: Vec<(ForeignKey, Option<Finding>)>,
}

/// Where a statement stands.
struct Position<'a> {
    target: &'a LintTarget,
    statement: &'a Statement,
    /// Its first and last line.
    lines: (usize, usize),
    /// The last line of the statement before it.
    after: usize,
}

/// What was found out about a statement while its syntax tree was there.
struct Examined {
    candidates: Vec<Candidate>,
    keys: Vec<ForeignKey>,
    lock: Option<LockMode>,
}

impl Linter<'_> {
    fn examine(&mut self, target: &LintTarget, knowledge: &mut Knowledge) {
        let ignores = Ignores::of(target);
        let mut scope = Scope::new(knowledge, &target.schemas, target.transaction, self.options.lock_timeout);
        let mut after = 0;
        for text in &target.texts {
            for statement in split(&text.sql) {
                let first = text.line.max(1) + statement.line - 1;
                let lines = (first, first + statement.text.matches('\n').count());
                let position = Position { target, statement: &statement, lines, after };
                match examined(&statement.text, &mut scope) {
                    Some(examined) => self.take(examined, &position, &ignores),
                    None if text.is_partial => {
                        let reason = "the statement holds parts that are known only when it runs".to_owned();
                        let (version, file) = (target.version.clone(), target.file.clone());
                        self.report.unseen.push(Unseen { version, file, line: first, reason });
                    }
                    None => self.add(&SYNTAX_ERROR, String::new(), None, &position, &ignores),
                }
                after = lines.1;
            }
        }
        let whole = Statement { text: String::new(), line: 1, stands_alone: false };
        let position = Position { target, statement: &whole, lines: (1, 1), after: 0 };
        if !target.reversible {
            self.add(&NO_ROLLBACK, String::new(), None, &position, &ignores);
        }
        for (name, line) in ignores.named() {
            if !self.known.contains(name) {
                let position = Position { target, statement: &whole, lines: (line, line), after: line };
                self.add(&UNKNOWN_RULE, name.to_owned(), None, &position, &Ignores::default());
            }
        }
    }

    fn take(&mut self, examined: Examined, position: &Position<'_>, ignores: &Ignores) {
        for Candidate { rule, subject, lock } in examined.candidates {
            self.add(rule, subject, lock, position, ignores);
        }
        for key in examined.keys {
            let subject = format!("{}.{}", key.table, key.column);
            let rule = &FOREIGN_KEY_WITHOUT_INDEX;
            let counts = self.counts(rule, position, ignores);
            let finding = counts.then(|| finding(rule, subject, examined.lock, position));
            self.keys.push((key, finding));
        }
    }

    fn counts(&self, rule: &Rule, position: &Position<'_>, ignores: &Ignores) -> bool {
        !self.options.ignore.iter().any(|ignored| ignored == rule.id)
            && !ignores.covers(rule.id, position.lines, position.after)
    }

    fn add(
        &mut self,
        rule: &'static Rule,
        subject: String,
        lock: Option<LockMode>,
        position: &Position<'_>,
        ignores: &Ignores,
    ) {
        if self.counts(rule, position, ignores) {
            self.report.findings.push(finding(rule, subject, lock, position));
        } else {
            self.report.ignored += 1;
        }
    }

    /// An index may come after the key that it serves, in another migration too.
    fn finish(mut self, targets: &[LintTarget], knowledge: &Knowledge) -> LintReport {
        for (key, finding) in std::mem::take(&mut self.keys) {
            if knowledge.is_indexed(&key.table, &key.column) {
                continue;
            }
            match finding {
                Some(finding) => self.report.findings.push(finding),
                None => self.report.ignored += 1,
            }
        }
        let order = |version: &str| targets.iter().position(|target| target.version == version);
        self.report.findings.sort_by_cached_key(|finding| (order(&finding.version), finding.line));
        self.report
    }
}

/// Holds the rules against a statement; `None` if it cannot be parsed.
fn examined(sql: &str, scope: &mut Scope<'_>) -> Option<Examined> {
    with_syntax_tree(sql, |tree| {
        let mut examined = Examined { candidates: Vec::new(), keys: Vec::new(), lock: None };
        for statement in &tree.stmts {
            let Some(statement) = statement.stmt.as_ref().and_then(|node| node.node.as_ref()) else {
                continue;
            };
            examine_statement(statement, scope, &mut examined);
        }
        examined
    })
}

fn examine_statement(statement: &NodeKind, scope: &mut Scope<'_>, examined: &mut Examined) {
    let mut hits = Hits::default();
    let used = locks_of(statement).into_iter().filter(|(table, _)| !scope.is_new(table));
    let lock = used.map(|(_, mode)| mode).max();
    rules::check(statement, scope, &mut hits);
    scope.note(statement);
    examined.keys.extend(rules::foreign_keys(statement, scope));
    examined.lock = lock;
    let candidate = |hit: hits::Hit| Candidate { rule: hit.rule, subject: hit.subject, lock };
    examined.candidates.extend(hits.list.into_iter().map(candidate));
}

fn finding(rule: &'static Rule, subject: String, lock: Option<LockMode>, position: &Position<'_>) -> Finding {
    let Position { target, statement, lines, .. } = position;
    Finding {
        rule: rule.id,
        severity: rule.severity,
        version: target.version.clone(),
        file: target.file.clone(),
        line: lines.0,
        statement: statement.first_words(),
        subject,
        lock,
        reason: rule.reason,
        remedy: rule.remedy,
    }
}

#[cfg(test)]
mod tests;
