//! Tables in parts by key: every row lies in one part, and keys are found in the part that holds their row.

use std::sync::Arc;

use data::table::{KeyRange, ScanOptions};

use crate::source::{Source, rows};

/// Each row is in exactly one part, and its key is located there.
async fn check(source: &Source, name: &str, rows_per_part: u64, least_parts: usize) {
    let table = source.table(name).await;
    let bounds = source.log().split(&table, rows_per_part).await.unwrap();
    assert!(bounds.len() + 1 >= least_parts, "{name}: {} bounds", bounds.len());
    let snapshot = source.store().snapshot().await.unwrap();
    let all = rows(&*snapshot, &table, ScanOptions::default()).await;
    let mut total = 0;
    for part in 0..=bounds.len() {
        let after = part.checked_sub(1).map(|last| bounds[last].clone());
        let range = Some(KeyRange { after, up_to: bounds.get(part).cloned() });
        let options = ScanOptions { range, ..ScanOptions::default() };
        let part_rows = rows(&*snapshot, &table, options).await;
        let keys: Vec<_> = part_rows.iter().map(|row| table.key_of(row)).collect();
        let located = source.log().locate(&table, &bounds, &keys).await.unwrap();
        assert!(located.iter().all(|found| *found == part), "{name}: {located:?} in part {part}");
        assert!(part_rows.len() < all.len() || bounds.is_empty(), "{name}: one part has all rows");
        total += part_rows.len();
    }
    assert_eq!(total, all.len(), "{name}");
}

#[tokio::test]
async fn keys_of_every_kind_are_split_by_the_order_of_the_database() {
    let source = Source::new(
        "CREATE TABLE numbers AS SELECT i AS id FROM generate_series(1, 20000) i; ALTER TABLE numbers ADD PRIMARY KEY (id);
         CREATE TABLE texts AS SELECT (CASE WHEN i % 2 = 0 THEN 'B' ELSE 'a' END || i || '''\\') COLLATE \"C\" AS \"Key '\"
           FROM generate_series(1, 5000) i; ALTER TABLE texts ADD PRIMARY KEY (\"Key '\");
         CREATE TABLE pairs AS SELECT i % 7 AS a, gen_random_uuid() AS b, now() + i * interval '1 s' AS c
           FROM generate_series(1, 5000) i; ALTER TABLE pairs ADD PRIMARY KEY (c, a, b);
         CREATE TYPE mood AS ENUM ('z', 'm', 'a');
         CREATE TABLE moods AS SELECT (ARRAY['a', 'z', 'm'])[i % 3 + 1]::mood AS m, i / 7.0 AS n, decode(md5(i::text), 'hex') AS b,
           date '2000-01-01' + i AS d FROM generate_series(1, 5000) i; ALTER TABLE moods ADD PRIMARY KEY (m, n, b, d);
         CREATE TABLE years (y int, v int, PRIMARY KEY (y, v)) PARTITION BY RANGE (y);
         CREATE TABLE years_1 PARTITION OF years FOR VALUES FROM (0) TO (50);
         CREATE TABLE years_2 PARTITION OF years FOR VALUES FROM (50) TO (100);
         INSERT INTO years SELECT i % 100, i FROM generate_series(1, 5000) i;
         CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small VALUES (1), (2); ANALYZE",
    )
    .await;
    check(&source, "numbers", 1500, 8).await;
    check(&source, "texts", 1000, 4).await;
    check(&source, "pairs", 1000, 4).await;
    check(&source, "moods", 1000, 4).await;
    check(&source, "years", 1000, 4).await;
    check(&source, "small", 1000, 1).await;
}

#[tokio::test]
async fn a_key_with_a_collation_of_its_own_is_ordered_by_it() {
    let source = Source::new(
        "CREATE COLLATION loose (provider = icu, locale = 'en-u-ks-level2-kn-true');
         CREATE TABLE t (k text COLLATE loose PRIMARY KEY);
         INSERT INTO t SELECT CASE WHEN i % 2 = 0 THEN 'Item ' ELSE 'item ' END || i FROM generate_series(1, 3000) i; ANALYZE t",
    )
    .await;
    check(&source, "t", 500, 5).await;
}

#[tokio::test]
async fn no_table_is_split_that_is_empty() {
    let source = Source::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let table = source.table("t").await;
    assert!(source.log().split(&table, 10).await.unwrap().is_empty());
    assert_eq!(source.log().locate(&table, &[], &[vec![1.into()]]).await.unwrap(), [0]);
    assert!(Arc::strong_count(&table) == 1);
}
