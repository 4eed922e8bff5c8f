//! Prepared statements and batches: kept, given up, renewed.

use wire::{Connection, Param, TransactionStatus};

use crate::{connect, superuser, value};

const COUNT: &str = "SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql";

/// Asked with the simple protocol, which prepares nothing itself.
async fn prepared(connection: &mut Connection) -> u32 {
    let results = connection.simple_query(COUNT).await.unwrap();
    results[0].rows.get(0).unwrap().get_str(0).unwrap().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_text_is_prepared_once_and_again_for_other_types() {
    let mut connection = connect().await;
    for _ in 0..3 {
        connection.query("SELECT $1::int", &["1".into()]).await.unwrap();
    }
    assert_eq!(prepared(&mut connection).await, 1);
    connection.query("SELECT $1::int", &[Param::text("1").of_type(20)]).await.unwrap();
    assert_eq!(prepared(&mut connection).await, 2);
    let options = wire::QueryOptions { cache: false, ..wire::QueryOptions::default() };
    connection.query_with("SELECT 77", &[], &options).await.unwrap();
    assert_eq!(prepared(&mut connection).await, 2);
}

#[tokio::test]
async fn the_cache_is_bounded_on_the_server_too() {
    let mut config = superuser();
    config.statement_cache_capacity = 3;
    let mut connection = Connection::connect(&config).await.unwrap();
    for i in 0..20 {
        connection.query(&format!("SELECT {i}"), &[]).await.unwrap();
    }
    // The one that gave way last is closed with the next statement that is parsed.
    assert!((3..=4).contains(&prepared(&mut connection).await));
    config.statement_cache_capacity = 0;
    let mut connection = Connection::connect(&config).await.unwrap();
    assert_eq!(value(&mut connection, "SELECT 1").await, "1");
    assert_eq!(value(&mut connection, "SELECT 1").await, "1");
    assert_eq!(prepared(&mut connection).await, 0);
}

#[tokio::test]
async fn failed_statements_do_not_pile_up_on_the_server() {
    let mut connection = connect().await;
    for i in 0..10 {
        // Parsed well, then fails to be bound.
        connection.query(&format!("SELECT $1::int + {i}"), &["x".into()]).await.unwrap_err();
        connection.query(&format!("SELECT nothing{i}"), &[]).await.unwrap_err();
    }
    assert_eq!(prepared(&mut connection).await, 10);
}

#[tokio::test]
async fn a_statement_whose_result_changed_is_prepared_anew() {
    let mut connection = connect().await;
    connection
        .simple_query("CREATE TEMP TABLE changing (a int); INSERT INTO changing VALUES (1)")
        .await
        .unwrap();
    let sql = "SELECT * FROM changing";
    assert_eq!(connection.query(sql, &[]).await.unwrap().columns.len(), 1);
    connection.simple_query("ALTER TABLE changing ADD b text DEFAULT 'x'").await.unwrap();
    assert_eq!(connection.query(sql, &[]).await.unwrap().columns.len(), 2);

    connection.simple_query("ALTER TABLE changing ADD c int").await.unwrap();
    connection.begin(None, false).await.unwrap();
    let error = connection.query(sql, &[]).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("0A000"));
    assert_eq!(connection.transaction_status(), TransactionStatus::Failed);
    connection.rollback().await.unwrap();
    assert_eq!(connection.query(sql, &[]).await.unwrap().columns.len(), 3);

    connection.simple_query("ALTER TABLE changing ADD d int").await.unwrap();
    let results =
        connection.query_batch(&[("INSERT INTO changing VALUES (2)", &[]), (sql, &[])]).await.unwrap();
    assert_eq!((results[1].columns.len(), results[1].rows.len()), (4, 2));
}

#[tokio::test]
async fn parameters_take_the_types_that_columns_have_got_from_others() {
    let mut connection = connect().await;
    let mut other = connect().await;
    other.simple_query("CREATE TABLE retyped (v int)").await.unwrap();
    let (insert, find) = ("INSERT INTO retyped VALUES ($1)", "SELECT count(*) FROM retyped WHERE v = $1");
    let count = async |connection: &mut Connection, value: &'static str| {
        let result = connection.query(find, &[value.into()]).await?;
        Ok::<_, wire::Error>(
            String::from_utf8_lossy(result.rows.get(0).unwrap().get(0).unwrap()).into_owned(),
        )
    };
    for (column_type, value) in
        [("int", "1"), ("text", "2"), ("text", "words"), ("numeric", "1.5"), ("jsonb", "[1]")]
    {
        other.simple_query("TRUNCATE retyped").await.unwrap();
        other
            .simple_query(&format!(
                "ALTER TABLE retyped ALTER v TYPE {column_type} USING NULL::{column_type}"
            ))
            .await
            .unwrap();
        connection.query(insert, &[value.into()]).await.unwrap();
        assert_eq!(count(&mut connection, value).await.unwrap(), "1", "{column_type}");
    }
    // A value that is wrong stays so, and within a transaction the error does.
    let error = connection.query(insert, &["{".into()]).await.unwrap_err();
    assert_eq!(error.sqlstate(), Some("22P02"));
    other.simple_query("ALTER TABLE retyped ALTER v TYPE text").await.unwrap();
    connection.begin(None, false).await.unwrap();
    assert!(connection.query(insert, &["{".into()]).await.is_err());
    connection.rollback().await.unwrap();
    connection.begin(None, false).await.unwrap();
    connection.query(insert, &["{".into()]).await.unwrap();
    connection.rollback().await.unwrap();
    other.simple_query("DROP TABLE retyped").await.unwrap();
}

#[tokio::test]
async fn statements_deallocated_behind_the_cache_are_prepared_anew() {
    let mut connection = connect().await;
    let sql = "SELECT 'here'";
    for deallocate in ["DEALLOCATE ALL", "DISCARD ALL", "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"] {
        assert_eq!(value(&mut connection, sql).await, "here");
        connection.simple_query(deallocate).await.unwrap();
        assert_eq!(value(&mut connection, sql).await, "here", "{deallocate}");
    }
}

#[tokio::test]
async fn preparing_tells_parameters_and_columns_and_serves_later_queries() {
    let mut connection = connect().await;
    let sql = "SELECT $1::int8 AS a, $2 || 'x' AS b";
    let statement = connection.prepare(sql, &[]).await.unwrap();
    assert_eq!(statement.parameter_types(), [20, 25]);
    let columns: Vec<_> =
        statement.columns().iter().map(|column| (column.name.as_str(), column.type_oid)).collect();
    assert_eq!(columns, [("a", 20), ("b", 25)]);
    connection.query(sql, &["1".into(), "y".into()]).await.unwrap();
    assert_eq!(prepared(&mut connection).await, 1);
    assert!(connection.prepare("CREATE TEMP TABLE t ()", &[]).await.unwrap().columns().is_empty());
    assert_eq!(connection.prepare("SELEC", &[]).await.unwrap_err().sqlstate(), Some("42601"));
}

#[tokio::test]
async fn a_batch_runs_all_in_order_and_prepares_a_repeated_text_once() {
    let mut connection = connect().await;
    connection.simple_query("CREATE TEMP TABLE log (i int, t text)").await.unwrap();
    let numbers: Vec<[Param<'_>; 2]> =
        (0..5_000).map(|i| [i.to_string().into(), Some("x".repeat(50)).into()]).collect();
    let insert = "INSERT INTO log VALUES ($1, $2)";
    let mut batch: Vec<(&str, &[Param<'_>])> = numbers.iter().map(|row| (insert, &row[..])).collect();
    batch.push(("SELECT count(*), sum(i) FROM log", &[]));
    let results = connection.query_batch(&batch).await.unwrap();
    assert_eq!(results.len(), 5_001);
    assert!(results[..5_000].iter().all(|result| result.rows_affected == 1));
    let row: Vec<_> = results[5_000].rows.get(0).unwrap().iter().collect();
    assert_eq!(row, [Some(&b"5000"[..]), Some(b"12497500")]);
    assert_eq!(prepared(&mut connection).await, 2);
    assert!(connection.query_batch(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_that_fails_names_the_statement_and_leaves_nothing() {
    let mut connection = connect().await;
    connection.simple_query("CREATE TEMP TABLE strict (i int PRIMARY KEY)").await.unwrap();
    let insert = "INSERT INTO strict VALUES ($1)";
    let rows: Vec<[Param<'_>; 1]> = ["1", "2", "1", "3"].map(|i| [i.into()]).into();
    let batch: Vec<(&str, &[Param<'_>])> = rows.iter().map(|row| (insert, &row[..])).collect();
    let failure = connection.query_batch(&batch).await.unwrap_err();
    assert_eq!((failure.index, failure.error.sqlstate()), (Some(2), Some("23505")));
    assert_eq!(value(&mut connection, "SELECT count(*) FROM strict").await, "0");
    let wrong =
        connection.query_batch(&[("SELECT 1", &[]), ("SELEC 2", &[]), ("SELECT 3", &[])]).await.unwrap_err();
    assert_eq!((wrong.index, wrong.error.sqlstate()), (Some(1), Some("42601")));
    assert_eq!(value(&mut connection, "SELECT 1").await, "1");
}

#[tokio::test]
async fn a_copy_in_a_batch_is_refused_wherever_it_stands() {
    let mut connection = connect().await;
    connection.simple_query("CREATE TEMP TABLE none (i int)").await.unwrap();
    let (copy, select) = (("COPY none FROM STDIN", &[][..]), ("SELECT 1", &[][..]));
    let last = connection.query_batch(&[select, copy]).await.unwrap_err();
    assert_eq!((last.index, last.error.sqlstate()), (Some(1), Some("57014")));
    assert_eq!(value(&mut connection, "SELECT 1").await, "1");
    // The server cannot tell the next statement from COPY data, and ends the session.
    let first = connection.query_batch(&[copy, select]).await.unwrap_err();
    assert_eq!((first.index, first.error.server().is_some()), (Some(0), true));
    assert!(!connection.probe() || connection.query("SELECT 1", &[]).await.is_err());
    assert!(connection.is_broken());
}
