//! What a statement of the log does to tables, as far as a reader must know: only its first words and the names in it.

/// A table as a statement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedTable {
    /// The database, if it is named.
    pub(super) schema: Option<String>,
    pub(super) name: String,
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Statement {
    Begin,
    Commit,
    Rollback,
    Truncate(NamedTable),
    Drop(Vec<NamedTable>),
    DropDatabase(String),
    /// Tables get other names, each the first of a pair before and the second afterwards.
    Rename(Vec<(NamedTable, NamedTable)>),
    /// A table comes to be; in place of the one that there is, if that is said.
    Create {
        table: NamedTable,
        replaces: bool,
    },
    /// What was written since a savepoint is undone.
    RollbackTo,
    /// Rows are changed by the statement itself, and not told.
    Rows,
    /// Anything else; every name in it.
    Other,
}

/// A part of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// In no quotes.
    Word(String),
    /// A name in quotes.
    Quoted(String),
    Symbol(char),
}

/// A statement with every name in it.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) statement: Statement,
    tokens: Vec<Token>,
}

impl Parsed {
    /// Whether a name is in the statement.
    pub(super) fn mentions(&self, name: &str) -> bool {
        self.tokens.iter().any(|token| match token {
            Token::Word(word) | Token::Quoted(word) => word.eq_ignore_ascii_case(name),
            Token::Symbol(_) => false,
        })
    }
}

/// Reads a statement.
pub(super) fn parse(sql: &str) -> Parsed {
    let tokens = tokens(sql);
    let statement = Reader { tokens: &tokens, at: 0 }.statement();
    Parsed { statement, tokens }
}

/// Tokens being read.
struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
}

impl Reader<'_> {
    fn statement(&mut self) -> Statement {
        let first = self.word().unwrap_or_default();
        let is_whole = self.peek().is_none();
        match first.as_str() {
            "BEGIN" => Statement::Begin,
            "START" if self.takes("TRANSACTION") => Statement::Begin,
            "COMMIT" if is_whole => Statement::Commit,
            "ROLLBACK" if is_whole => Statement::Rollback,
            "ROLLBACK" => {
                self.takes("WORK");
                if self.takes("TO") { Statement::RollbackTo } else { Statement::Rollback }
            }
            // It lasts until it is prepared, which an event tells.
            "XA" if self.takes("START") || self.takes("BEGIN") => Statement::Begin,
            "TRUNCATE" => {
                self.takes("TABLE");
                self.name().map_or(Statement::Other, Statement::Truncate)
            }
            "DROP" => self.drop(),
            "RENAME" => self.rename(),
            "ALTER" => self.alter(),
            "CREATE" => self.create(),
            "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "LOAD" | "WITH" => Statement::Rows,
            _ => Statement::Other,
        }
    }

    fn drop(&mut self) -> Statement {
        if self.takes("DATABASE") || self.takes("SCHEMA") {
            self.takes_all(&["IF", "EXISTS"]);
            return self.name().map_or(Statement::Other, |own| Statement::DropDatabase(own.name));
        }
        // A temporary table may have the name of another one.
        if !self.takes("TABLE") {
            return Statement::Other;
        }
        self.takes_all(&["IF", "EXISTS"]);
        let mut dropped = Vec::new();
        while let Some(table) = self.name() {
            dropped.push(table);
            if !self.takes_symbol(',') {
                break;
            }
        }
        Statement::Drop(dropped)
    }

    fn rename(&mut self) -> Statement {
        if !self.takes("TABLE") && !self.takes("TABLES") {
            return Statement::Other;
        }
        self.takes_all(&["IF", "EXISTS"]);
        let mut renamed = Vec::new();
        while let Some(from) = self.name() {
            if self.takes("WAIT") {
                self.word();
            }
            self.takes("NOWAIT");
            self.takes("TO");
            let Some(to) = self.name() else { break };
            renamed.push((from, to));
            if !self.takes_symbol(',') {
                break;
            }
        }
        Statement::Rename(renamed)
    }

    /// Only what gives the table another name is looked for.
    fn alter(&mut self) -> Statement {
        self.takes("ONLINE");
        self.takes("IGNORE");
        if !self.takes("TABLE") {
            return Statement::Other;
        }
        self.takes_all(&["IF", "EXISTS"]);
        let Some(from) = self.name() else { return Statement::Other };
        while self.peek().is_some() {
            if !self.takes("RENAME") {
                self.at += 1;
                continue;
            }
            if ["COLUMN", "INDEX", "KEY"].iter().any(|what| self.takes(what)) {
                continue;
            }
            let _ = self.takes("TO") || self.takes("AS") || self.takes_symbol('=');
            return match self.name() {
                Some(to) => Statement::Rename(vec![(from, to)]),
                None => Statement::Other,
            };
        }
        Statement::Other
    }

    fn create(&mut self) -> Statement {
        let replaces = self.takes("OR") && self.takes("REPLACE");
        if !self.takes("TABLE") {
            return Statement::Other;
        }
        self.takes_all(&["IF", "NOT", "EXISTS"]);
        self.name().map_or(Statement::Other, |table| Statement::Create { table, replaces })
    }

    /// The next word in capitals.
    fn word(&mut self) -> Option<String> {
        let Some(Token::Word(word)) = self.peek() else { return None };
        let word = word.to_ascii_uppercase();
        self.at += 1;
        Some(word)
    }

    fn name(&mut self) -> Option<NamedTable> {
        let first = self.part_of_name()?;
        if !self.takes_symbol('.') {
            return Some(NamedTable { schema: None, name: first });
        }
        let name = self.part_of_name()?;
        Some(NamedTable { schema: Some(first), name })
    }

    fn part_of_name(&mut self) -> Option<String> {
        let (Token::Word(name) | Token::Quoted(name)) = self.peek()? else { return None };
        let name = name.clone();
        self.at += 1;
        Some(name)
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Word(own)) if own.eq_ignore_ascii_case(word));
        self.at += usize::from(is_next);
        is_next
    }

    fn takes_all(&mut self, words: &[&str]) {
        for word in words {
            self.takes(word);
        }
    }

    fn takes_symbol(&mut self, symbol: char) -> bool {
        let is_next = self.peek() == Some(&Token::Symbol(symbol));
        self.at += usize::from(is_next);
        is_next
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }
}

/// The parts of a statement, without its comments and the content of its texts. What a comment holds for certain versions of the
/// server counts.
fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = sql.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '`' => tokens.push(Token::Quoted(quoted(&mut rest, '`'))),
            // A name or a text, by the mode of the session.
            '"' => tokens.push(Token::Quoted(quoted(&mut rest, '"'))),
            '\'' => drop(quoted(&mut rest, '\'')),
            '#' => skip_line(&mut rest),
            '-' if rest.peek() == Some(&'-') => skip_line(&mut rest),
            '/' if rest.next_if_eq(&'*').is_some() => {
                let is_run = rest.next_if(|next| *next == '!').is_some() || is_run_by_mariadb(&mut rest);
                if is_run {
                    while rest.next_if(char::is_ascii_digit).is_some() {}
                } else {
                    skip_comment(&mut rest);
                }
            }
            '*' if rest.next_if_eq(&'/').is_some() => {}
            character if is_of_word(character) => {
                let mut word = String::from(character);
                while let Some(next) = rest.next_if(|next| is_of_word(*next)) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
            character if character.is_whitespace() => {}
            character => tokens.push(Token::Symbol(character)),
        }
    }
    tokens
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '$'
}

/// Whether a comment begins with `M!`.
fn is_run_by_mariadb(rest: &mut Characters<'_>) -> bool {
    rest.next_if_eq(&'M').is_some() && rest.next_if_eq(&'!').is_some()
}

fn quoted(rest: &mut Characters<'_>, mark: char) -> String {
    let mut text = String::new();
    while let Some(character) = rest.next() {
        if character == mark && rest.next_if_eq(&mark).is_none() {
            break;
        }
        if character == '\\' && mark != '`' {
            text.extend(rest.next());
            continue;
        }
        text.push(character);
    }
    text
}

fn skip_line(rest: &mut Characters<'_>) {
    while rest.next().is_some_and(|character| character != '\n') {}
}

fn skip_comment(rest: &mut Characters<'_>) {
    while let Some(character) = rest.next() {
        if character == '*' && rest.next_if_eq(&'/').is_some() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> NamedTable {
        match name.split_once('.') {
            Some((schema, name)) => NamedTable { schema: Some(schema.to_owned()), name: name.to_owned() },
            None => NamedTable { schema: None, name: name.to_owned() },
        }
    }

    #[test]
    fn what_a_statement_does_to_tables_is_told_by_its_words() {
        let rename = |from: &str, to: &str| Statement::Rename(vec![(table(from), table(to))]);
        for (sql, expected) in [
            ("BEGIN", Statement::Begin),
            ("START TRANSACTION", Statement::Begin),
            ("COMMIT", Statement::Commit),
            ("ROLLBACK", Statement::Rollback),
            ("ROLLBACK TO `a`", Statement::RollbackTo),
            ("XA START X'61',X'',1", Statement::Begin),
            ("XA COMMIT X'61',X'',1", Statement::Other),
            ("truncate items", Statement::Truncate(table("items"))),
            ("TRUNCATE TABLE `shop`.`odd``name`", Statement::Truncate(table("shop.odd`name"))),
            (
                "/* from the app */ TRUNCATE /*!50000 TABLE */ items -- all",
                Statement::Truncate(table("items")),
            ),
            (
                "DROP TABLE IF EXISTS `a`,`b` /* generated by server */",
                Statement::Drop(vec![table("a"), table("b")]),
            ),
            ("DROP TEMPORARY TABLE a", Statement::Other),
            ("DROP DATABASE IF EXISTS shop", Statement::DropDatabase("shop".to_owned())),
            ("RENAME TABLE a TO b", rename("a", "b")),
            (
                "RENAME TABLE a TO old.a, b TO a",
                Statement::Rename(vec![(table("a"), table("old.a")), (table("b"), table("a"))]),
            ),
            ("ALTER TABLE a ADD COLUMN b INT, RENAME TO c", rename("a", "c")),
            ("ALTER TABLE a RENAME COLUMN b TO c", Statement::Other),
            ("ALTER TABLE a COMMENT 'RENAME TO b'", Statement::Other),
            (
                "CREATE TABLE IF NOT EXISTS a (id INT)",
                Statement::Create { table: table("a"), replaces: false },
            ),
            (
                "CREATE OR REPLACE TABLE a.b AS SELECT 1",
                Statement::Create { table: table("a.b"), replaces: true },
            ),
            ("INSERT INTO a VALUES (1)", Statement::Rows),
            ("", Statement::Other),
        ] {
            assert_eq!(parse(sql).statement, expected, "{sql}");
        }
    }

    #[test]
    fn names_in_texts_and_comments_do_not_count() {
        let parsed = parse("ALTER TABLE `Items` /* people */ COMMENT 'orders \\' people' # people");
        assert!(parsed.mentions("items") && !parsed.mentions("people") && !parsed.mentions("orders"));
    }
}
