//! How dumps are cut into pieces.

use super::*;

fn pieces(text: &str, flavor: SqlFlavor) -> Result<Vec<(u64, Piece)>> {
    let mut scanner = Scanner::new(Path::new("d.sql"), text.as_bytes(), flavor, 0, 0);
    let mut found = Vec::new();
    while let Some(placed) = scanner.next()? {
        let at = usize::try_from(placed.statement).unwrap();
        let again = text[at..].trim_start();
        assert!(!again.is_empty(), "the statement of {:?} begins at the end", placed.piece);
        found.push((placed.line, placed.piece));
    }
    Ok(found)
}

fn rows(text: &str, flavor: SqlFlavor) -> Vec<String> {
    let rows = pieces(text, flavor).unwrap().into_iter().filter_map(|(_, piece)| match piece {
        Piece::InsertRow(row) | Piece::CopyRow(row) => Some(row),
        _ => None,
    });
    rows.collect()
}

#[test]
fn an_insert_is_cut_into_its_rows() {
    let text = "-- (a;\nINSERT INTO \"t;\" (a, \"b)\") VALUES\n  (1, 'x;''(y'),\n  (2, f(')')) ON CONFLICT (a) DO NOTHING;\nSELECT 1;";
    assert_eq!(
        pieces(text, SqlFlavor::Postgres).unwrap(),
        [
            (2, Piece::InsertHead("INSERT INTO \"t;\" (a, \"b)\") VALUES\n  ".into())),
            (3, Piece::InsertRow("(1, 'x;''(y')".into())),
            (4, Piece::InsertRow("(2, f(')'))".into())),
            (5, Piece::Statement("SELECT 1".into())),
        ]
    );
}

#[test]
fn backslashes_escape_quotes_only_where_the_dialect_says_so() {
    assert_eq!(rows(r"INSERT INTO t VALUES ('a\'b'),('\\');", SqlFlavor::Mysql), [r"('a\'b')", r"('\\')"]);
    assert_eq!(rows(r"INSERT INTO t VALUES ('a\'),(E'\'');", SqlFlavor::Postgres), [r"('a\')", r"(E'\'')"]);
}

#[test]
fn comments_dollar_quotes_and_client_directives_are_passed_over() {
    let text = "\\restrict x\n/* ; ' */ # ' \nDELIMITER ;;\nCREATE TRIGGER x BEGIN a; END;;\nDELIMITER ;\nINSERT INTO t VALUES (1);";
    let found = pieces(text, SqlFlavor::Mysql).unwrap();
    assert_eq!(found[0], (4, Piece::Statement("CREATE TRIGGER x BEGIN a; END".into())));
    assert_eq!(found.last().unwrap(), &(6, Piece::InsertRow("(1)".into())));
    let body = "CREATE FUNCTION f() AS $body$ a; ' $x$; $body$ LANGUAGE sql;";
    assert_eq!(pieces(body, SqlFlavor::Postgres).unwrap().len(), 1);
}

#[test]
fn the_rows_of_a_copy_block_end_with_their_mark() {
    let text = "COPY public.t (a) FROM stdin;\nx;'y\n\\\\.\n\\.\nSELECT 1;\n";
    assert_eq!(rows(text, SqlFlavor::Postgres), ["x;'y", "\\\\."]);
}

#[test]
fn a_dump_that_is_cut_off_says_where() {
    for (text, problem) in [
        ("SELECT 1;\nINSERT INTO t VALUES ('x\n", "d.sql:2: a quote is not closed"),
        ("INSERT INTO t VALUES (1,\n", "d.sql:1: a row is cut off"),
        ("COPY t (a) FROM stdin;\n1\n", "d.sql:2: a COPY block is cut off"),
    ] {
        let error = pieces(text, SqlFlavor::Postgres).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
}
