//! What a statement is, as far as its text tells.

/// Whether a statement may run on a replica, as far as its text tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// It only reads, if the functions, operators, types and relations that it names do.
    Read,
    /// The text does not tell, so it must be treated as a write.
    Uncertain,
    /// It writes, locks, or needs the primary for another reason.
    Write,
}

/// What kind of statement a text is, for metrics and for the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatementKind {
    /// SELECT, VALUES, TABLE.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// COPY, in either direction.
    Copy,
    /// EXPLAIN.
    Explain,
    /// BEGIN, COMMIT, SAVEPOINT and their like.
    TransactionControl,
    /// What changes the definition of something: CREATE, ALTER, DROP, GRANT and their like.
    Definition,
    /// SET, SHOW, LISTEN, DISCARD and their like.
    Session,
    /// CALL, DO and EXECUTE, whose statements stand elsewhere.
    Code,
    /// Everything else: VACUUM, CHECKPOINT, CLUSTER and their like.
    Maintenance,
    /// No statement at all: nothing, or only comments.
    Empty,
    /// Several statements in one text.
    Several,
    /// Not SQL that this parser knows; the server will tell.
    Unknown,
}

/// The name of a function, operator, type or relation, as written, folded to lower case where it is not quoted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// The schema, where the text gives one.
    pub schema: Option<Box<str>>,
    /// The name.
    pub name: Box<str>,
}

/// What the text of a statement tells about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may run on a replica.
    pub access: Access,
    /// What kind of statement it is; of several with different kinds, [`StatementKind::Several`].
    pub kind: StatementKind,
    /// The number of statements, 0 of an empty text; `None` when the text could not be parsed.
    pub statements: Option<usize>,
    /// Whether rows or tables are locked: FOR UPDATE, FOR SHARE, LOCK.
    pub locks: bool,
    /// Whether something of the session may outlive the statement: a setting, LISTEN, a temporary table, a cursor,
    /// a prepared statement, an advisory lock, an open transaction. A pooled connection is reset after it.
    pub changes_session: bool,
    /// Whether a transaction is begun or ended.
    pub transaction_control: bool,
    /// Whether definitions change, so that what is known of the database is to be read anew.
    pub changes_definitions: bool,
    /// Whether it reads the clock, the user or the session by a word of the grammar, or by a text that stands for a moment,
    /// as `CURRENT_DATE` or `'today'`.
    pub reads_surroundings: bool,
    /// The functions called.
    pub functions: Box<[ObjectName]>,
    /// The operators used.
    pub operators: Box<[ObjectName]>,
    /// The types named in casts.
    pub types: Box<[ObjectName]>,
    /// The relations read or written, and where a WITH clause defines one of the name, perhaps that one.
    pub relations: Box<[ObjectName]>,
    /// What is read of rows by `row.name`, which calls a function where the row has no such column.
    pub attributes: Box<[Box<str>]>,
    /// The names that WITH clauses define.
    pub common_tables: Box<[Box<str>]>,
}

impl Verdict {
    /// Whether the text is exactly one statement, which the extended protocol takes.
    #[must_use]
    pub fn is_single_statement(&self) -> bool {
        self.statements == Some(1)
    }

    /// Whether the text itself says that something is written, which a transaction must make durable. Of calls of functions
    /// and of code only the server can tell.
    #[must_use]
    pub fn surely_writes(&self) -> bool {
        use StatementKind::{Copy, Definition, Delete, Insert, Merge, Session, Several, Update};
        // Of what concerns the session, NOTIFY is meant, which the server delivers when the transaction is committed.
        let may =
            matches!(self.kind, Insert | Update | Delete | Merge | Copy | Definition | Session | Several);
        may && self.access == Access::Write
    }

    /// Whether it counts as a read in metrics.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.access == Access::Read
    }
}
