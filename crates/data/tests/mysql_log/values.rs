//! Values, as the log tells them: the same as a scan gives.

use crate::follower::{Follower, run};
use crate::source::{database, name_of, server};

const TYPES: &str = "id BIGINT UNSIGNED PRIMARY KEY, b BOOLEAN, i8 TINYINT, u8 TINYINT UNSIGNED, \
    i16 SMALLINT, i24 MEDIUMINT, u24 MEDIUMINT UNSIGNED, i32 INT, u32 INT UNSIGNED ZEROFILL, i64 BIGINT, n DECIMAL(65,30), \
    f FLOAT, d DOUBLE, c CHAR(5), cl CHAR(200) CHARACTER SET utf8mb4, v VARCHAR(20) CHARACTER SET latin1, \
    vl VARCHAR(300), x LONGTEXT COLLATE utf8mb4_nopad_bin, u2 VARCHAR(10) CHARACTER SET ucs2, \
    k VARCHAR(10) CHARACTER SET koi8r, bi BINARY(8), vb VARBINARY(10), bl BLOB, bits BIT(7), wide BIT(64), flag BIT(1), \
    y YEAR, dt DATE, t TIME(6), t0 TIME, t3 TIME(3), t1 TIME(1), m DATETIME(6), m0 DATETIME, m2 DATETIME(2), \
    ts TIMESTAMP(3) NULL, ts0 TIMESTAMP NULL, j JSON, e ENUM('it''s', 'b'), s SET('x', 'y', 'z'), u UUID, \
    ip INET6, ip4 INET4, p POINT, st INT AS (i32 + 1) PERSISTENT";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_of_every_type_are_told_exactly() {
    let dialect = database().await;
    run(&dialect, &[&format!("CREATE TABLE t ({TYPES})")]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(
        &dialect,
        &[
            "INSERT INTO t (id, b, i8, u8, i16, i24, u24, i32, u32, i64, n, f, d, c, cl, v, vl, x, u2, k, bi, vb, bl, bits, \
             wide, flag, y, dt, t, t0, t3, t1, m, m0, m2, ts, ts0, j, e, s, u, ip, ip4, p) VALUES (18446744073709551615, \
             TRUE, -128, 255, -32768, -8388608, 16777215, -2147483648, 4000000000, -9223372036854775808, \
             99999999999999999999999999999999999.999999999999999999999999999999, 0.1, 1.7e308, 'ü', 'long', \
             'é€', 'vl', 'x\u{1F600}\\\\''', 'ñж', 'Жы', x'ff00', x'00ff00', x'00', b'1010101', \
             x'ffffffffffffffff', b'1', 2024, '2024-02-29', '-838:59:59.000001', '-10:20:30', '-00:00:00.001', '-1:00:00.1', \
             '9999-12-31 23:59:59.999999', '2024-01-01 10:00:00', '2024-01-01 10:00:00.25', '2024-01-01 10:00:00.123', \
             '2024-07-01 10:00:00', '{\"a\": [1, 1.50]}', 'it''s', 'x,z', '123e4567-e89b-12d3-a456-426655440000', '::1', \
             '10.0.0.0', POINT(1, 2))",
            "INSERT INTO t (id) VALUES (0)",
            "INSERT INTO t (id, dt, m, m0, ts0, e, s, c, bl, y, t, t1, n, u, ip, ip4) VALUES (1, '0000-00-00', \
             '0000-00-00 00:00:00', '2024-00-00 00:00:00', '0000-00-00 00:00:00', 'b', '', 'a  ', '', 0, '838:59:59', \
             '00:00:00.9', -0.5, '0189d5a8-1c00-7a3b-8000-000000000000', 'fe80::1:0:0', '0.0.0.1')",
            "INSERT INTO t (id, u, ip) VALUES (3, 'a3bb189e-8bf9-4888-9912-ace4e6543002', '::ffff:1.2.3.4'), \
             (4, '00000000-0000-0000-0000-000000000000', '::1.2.3.4'), (6, 'ffffffff-ffff-ffff-ffff-ffffffffffff', '::')",
            "UPDATE t SET f = 16777216.5, d = 0.1, i32 = 7, c = 'b' WHERE id = 0",
            "UPDATE t SET id = 5 WHERE id = 1",
            "DELETE FROM t WHERE id = 4",
        ],
    )
    .await;
    follower.catch_up().await;
    assert_eq!(follower.changes.len(), 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_events_are_unpacked() {
    let dialect = database().await;
    run(&dialect, &["CREATE TABLE t (id INT PRIMARY KEY, x LONGTEXT)"]).await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(
        &dialect,
        &[
            "SET GLOBAL log_bin_compress = ON",
            "INSERT INTO t VALUES (1, REPEAT('long ', 1000)), (2, 'b')",
            "UPDATE t SET x = REPEAT('other ', 2000)",
            "DELETE FROM t WHERE id = 2",
            "SET GLOBAL log_bin_compress = OFF",
        ],
    )
    .await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1", "+2", "=1", "=2", "-2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_settings_of_the_writing_session_do_not_change_what_is_told() {
    let dialect = database().await;
    run(&dialect, &["CREATE TABLE t (id INTEGER PRIMARY KEY, ts TIMESTAMP(6) NULL, v VARCHAR(5), d DATE)"])
        .await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    server().sql(&format!(
        "USE {}; SET time_zone = '+05:30', sql_mode = '', NAMES latin1; \
         INSERT INTO t VALUES (1, '2024-01-01 10:00:00', 'longer than that', '2024-00-00')",
        name_of(&dialect).await
    ));
    follower.catch_up().await;
    assert_eq!(follower.told, ["+1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_a_collation_takes_for_the_same_are_told_apart() {
    let dialect = database().await;
    run(&dialect, &["CREATE TABLE t (id VARCHAR(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n INTEGER)"])
        .await;
    let mut follower = Follower::new(&dialect, "r", &["t"]).await;
    run(&dialect, &["INSERT INTO t VALUES ('a', 1)", "UPDATE t SET id = 'A'"]).await;
    follower.catch_up().await;
    assert_eq!(follower.told, ["+a", "a=A"]);
}
