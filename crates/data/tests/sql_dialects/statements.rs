//! Statements of the application: several in one text, parameters, and how many rows were changed.

use data::{Dialect, ErrorKind, Value};

use crate::database::Database;

crate::behaviours!(
    several_statements_without_parameters_all_run,
    with_parameters_a_second_statement_is_refused_and_nothing_runs,
    only_changed_rows_are_counted,
    too_few_and_too_many_values_are_refused,
);

async fn count(dialect: &dyn Dialect) -> i64 {
    let rows = dialect.execute_query("SELECT count(*) AS n FROM t", Vec::new()).await.unwrap();
    rows[0]["n"].as_integer().unwrap()
}

async fn table(db: &Database) -> std::sync::Arc<dyn Dialect> {
    let dialect = db.open().await;
    dialect.execute_run("CREATE TABLE t (n INTEGER)", Vec::new()).await.unwrap();
    dialect
}

async fn several_statements_without_parameters_all_run(db: &Database) {
    let dialect = table(db).await;
    let text =
        "INSERT INTO t VALUES (1), (2); SELECT n FROM t WHERE n = 1; INSERT INTO t VALUES (3) -- the end\n;";
    let rows = dialect.execute_query(text, Vec::new()).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["n"].as_integer(), Some(1));
    assert_eq!(count(&*dialect).await, 3);
    let changed =
        dialect.execute_run("INSERT INTO t VALUES (4); DELETE FROM t WHERE n > 2;", Vec::new()).await;
    assert_eq!(changed.unwrap(), 3);
    assert_eq!(count(&*dialect).await, 2);
}

async fn with_parameters_a_second_statement_is_refused_and_nothing_runs(db: &Database) {
    let dialect = table(db).await;
    let text = format!("INSERT INTO t VALUES ({}); DELETE FROM t", db.mark());
    let run = dialect.execute_run(&text, vec![1.into()]).await.unwrap_err();
    let query = dialect.execute_query(&text, vec![1.into()]).await.unwrap_err();
    assert_eq!((run.kind(), query.kind()), (ErrorKind::Statement, ErrorKind::Statement), "{run}; {query}");
    let within = dialect.begin(None).await.unwrap();
    assert_eq!(within.execute_run(&text, vec![1.into()]).await.unwrap_err().kind(), ErrorKind::Statement);
    within.rollback().await.unwrap();
    assert_eq!(count(&*dialect).await, 0);
    let one = format!("INSERT INTO t VALUES ({}); ", db.mark());
    assert_eq!(dialect.execute_run(&one, vec![1.into()]).await.unwrap(), 1);
}

async fn only_changed_rows_are_counted(db: &Database) {
    let dialect = table(db).await;
    assert_eq!(dialect.execute_run("INSERT INTO t VALUES (1), (2), (3)", Vec::new()).await.unwrap(), 3);
    assert_eq!(dialect.execute_run("CREATE TABLE u (n INTEGER)", Vec::new()).await.unwrap(), 0);
    assert_eq!(dialect.execute_run("UPDATE t SET n = 0 WHERE n > 5", Vec::new()).await.unwrap(), 0);
}

async fn too_few_and_too_many_values_are_refused(db: &Database) {
    let dialect = table(db).await;
    let insert = format!("INSERT INTO t VALUES ({})", db.mark());
    for params in [vec![], vec![Value::Int32(1), Value::Int32(2)]] {
        let error = dialect.execute_run(&insert, params).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Statement, "{error}");
    }
    assert_eq!(count(&*dialect).await, 0);
}
