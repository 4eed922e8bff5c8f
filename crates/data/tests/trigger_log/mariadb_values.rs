//! Values of MariaDB, as the log tells them: the same as a scan gives.

use crate::database::Database;
use crate::follower::{Follower, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_every_type_are_told_exactly() {
    let db = Database::mariadb();
    let dialect = db.open().await;
    let create = "CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, b BOOLEAN, i8 TINYINT, u8 TINYINT UNSIGNED, \
                  i16 SMALLINT, i24 MEDIUMINT, i32 INT, u32 INT UNSIGNED ZEROFILL, i64 BIGINT, n DECIMAL(65,30), f FLOAT, \
                  d DOUBLE, c CHAR(5), v VARCHAR(20) CHARACTER SET latin1, x LONGTEXT COLLATE utf8mb4_nopad_bin, \
                  vb VARBINARY(10), bl BLOB, bits BIT(7), flag BIT(1), y YEAR, dt DATE, t TIME(6), m DATETIME(6), \
                  ts TIMESTAMP(3) NULL, j JSON, e ENUM('it''s', 'b'), s SET('x', 'y'), u UUID, ip INET6, p POINT, \
                  g VARCHAR(30) AS (CONCAT(c, '!')) VIRTUAL, st INT AS (i32 + 1) PERSISTENT)";
    run(&dialect, &[create]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(
        &dialect,
        &[
            "INSERT INTO t (id, b, i8, u8, i16, i24, i32, u32, i64, n, f, d, c, v, x, vb, bl, bits, flag, y, dt, t, m, ts, \
             j, e, s, u, ip, p) VALUES (18446744073709551615, TRUE, -128, 255, -32768, 8388607, -2147483648, 42, \
             -9223372036854775808, 99999999999999999999999999999999999.999999999999999999999999999999, 0.1, 1.7e308, 'ü', \
             'é', 'x\u{1F600}\\\\''', x'00ff', x'00', b'1010101', b'1', 2024, '2024-02-29', '-838:59:59.000001', \
             '9999-12-31 23:59:59.999999', '2024-01-01 10:00:00.123', '{\"a\": [1, 1.50]}', 'it''s', 'x,y', \
             '123e4567-e89b-12d3-a456-426655440000', '::1', POINT(1, 2))",
            "INSERT INTO t (id) VALUES (0)",
            "INSERT INTO t (id, dt, m, e, s, c, bl) VALUES (1, '0000-00-00', '0000-00-00 00:00:00', 'b', '', 'a  ', '')",
            "UPDATE t SET f = 16777216.5, d = 0.1, i32 = 7, c = 'b' WHERE id = 0",
            "UPDATE t SET id = 5 WHERE id = 1",
        ],
    )
    .await;
    follower.catch_up().await;
    assert_eq!(follower.changes.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_a_collation_takes_for_the_same_are_told_apart() {
    let db = Database::mariadb();
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (id VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n INTEGER)"])
        .await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES ('a', 1)", "UPDATE t SET id = 'A'"]).await;
    run(
        &dialect,
        &["REPLACE INTO t VALUES ('a', 2)", "INSERT INTO t VALUES ('A', 0) ON DUPLICATE KEY UPDATE n = 3"],
    )
    .await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+a", "a=A", "-A", "+a", "=a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_of_the_writing_session_do_not_change_what_is_recorded() {
    let db = Database::mariadb();
    let dialect = db.open().await;
    run(&dialect, &["CREATE TABLE t (id INTEGER PRIMARY KEY, ts TIMESTAMP(6) NULL, v VARCHAR(5), d DATE)"])
        .await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    let name = db.uri.rsplit('/').next().unwrap();
    crate::database::mariadb().sql(&format!(
        "USE {name}; SET time_zone = '+05:30', sql_mode = '', NAMES latin1; \
         INSERT INTO t VALUES (1, '2024-01-01 10:00:00', 'longer than that', '2024-00-00')"
    ));
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1"]);
}
