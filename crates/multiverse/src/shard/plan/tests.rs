//! What becomes of statements over shards.

use std::sync::Arc;

use super::*;
use crate::config::{Sharding, ShardingStrategy};
use crate::shard::catalogue::tests::catalogue_of;
use crate::shard::merge_plan::{Bound, Part, Place};

const INT4: u32 = 23;
const INT8: u32 = 20;
const TEXT: u32 = 25;

fn planned(sql: &str) -> Plan {
    let strategy = ShardingStrategy::Hash { partitions: 4 };
    let cluster = ShardedCluster {
        id: "main".into(),
        sharding: Sharding { key: "user_id".to_owned(), strategy, shards: Vec::new(), member: None },
        shards: (0..4).map(|number| Arc::from(format!("main/{number}"))).collect(),
        keys: [("other".to_owned(), "id".to_owned())].into(),
        search_path: vec!["public".to_owned()],
    };
    let catalogue = catalogue_of(&[
        (
            "public",
            "orders",
            &[("id", INT4), ("user_id", INT4), ("amount", INT4), ("note", TEXT), ("code", TEXT)],
        ),
        ("public", "items", &[("user_id", INT8), ("order_id", INT4)]),
        ("public", "country", &[("code", TEXT)]),
        ("other", "things", &[("id", INT4)]),
    ]);
    plan(sql, &cluster, &catalogue, None)
}

fn parameters(values: &[&str]) -> BindParameters {
    BindParameters::from_texts(&values.iter().map(|value| Some(*value)).collect::<Vec<_>>())
}

fn shards(sql: &str, values: &[&str]) -> Result<Needed, &'static str> {
    match planned(sql) {
        Plan::Rows(rows) => rows.needed(&parameters(values), 4).map_err(|error| error.code),
        Plan::Refused(error) => Err(error.code),
        other => panic!("{sql}: {other:?}"),
    }
}

fn parts(sql: &str) -> Parts {
    match planned(sql) {
        Plan::Rows(rows) => rows.parts.unwrap_or_else(|error| panic!("{sql}: {error}")),
        other => panic!("{sql}: {other:?}"),
    }
}

fn refusal(sql: &str) -> &'static str {
    match planned(sql) {
        Plan::Rows(rows) => rows.parts.err().map_or("", |error| error.code),
        Plan::Refused(error) => error.code,
        _ => "",
    }
}

#[test]
fn a_statement_runs_on_the_shard_of_the_value_that_its_key_is_compared_with() {
    let Ok(Needed::One(one)) = shards("SELECT * FROM orders WHERE user_id = $1", &["1"]) else { panic!() };
    let cases: [(&str, &[&str]); 11] = [
        ("SELECT * FROM orders WHERE user_id = 1 AND amount > 5", &[]),
        ("SELECT * FROM orders o WHERE '1' = o.user_id", &[]),
        ("SELECT count(DISTINCT note) FROM orders WHERE user_id = $1::int HAVING count(*) > 1", &["1"]),
        ("SELECT * FROM orders WHERE user_id IN ($1, 1)", &["1"]),
        ("SELECT * FROM orders WHERE user_id = ANY($1)", &["{1,1}"]),
        ("SELECT * FROM orders o JOIN items i USING (user_id) WHERE user_id = $1", &["1"]),
        ("SELECT * FROM orders o, items i WHERE o.user_id = i.user_id AND i.user_id = $1", &["1"]),
        ("SELECT (SELECT count(*) FROM items WHERE user_id = $1) FROM orders WHERE user_id = 1", &["1"]),
        ("UPDATE orders SET amount = 0 WHERE user_id = 1", &[]),
        ("DELETE FROM public.orders WHERE user_id = 1", &[]),
        ("SELECT 1 FROM orders WHERE user_id = 1 UNION SELECT 2 FROM items WHERE user_id = 1", &[]),
    ];
    for (sql, values) in cases {
        assert_eq!(shards(sql, values), Ok(Needed::One(one)), "{sql}");
    }
    assert_eq!(shards("SELECT * FROM orders WHERE user_id = $1", &["x"]), Err("ERR_SHARD_KEY_VALUE"));
}

#[test]
fn several_values_need_the_shards_of_all_of_them_and_none_needs_all_shards() {
    let all = Ok(Needed::Several(vec![0, 1, 2, 3]));
    for sql in [
        "SELECT * FROM orders",
        "SELECT * FROM orders WHERE user_id = 1 OR amount = 5",
        "SELECT * FROM orders WHERE user_id > 1",
        "SELECT * FROM orders o LEFT JOIN items i ON o.user_id = i.user_id AND o.user_id = 1",
        "UPDATE orders SET amount = 1",
    ] {
        assert_eq!(shards(sql, &[]), all, "{sql}");
    }
    let Ok(Needed::Several(found)) = shards("SELECT * FROM orders WHERE user_id IN (1, 2, 3, 4, 5, 6)", &[])
    else {
        panic!()
    };
    assert!(found.len() > 1);
}

#[test]
fn what_needs_rows_of_several_shards_together_is_refused() {
    for sql in [
        "SELECT * FROM orders o JOIN items i ON o.id = i.order_id",
        "SELECT * FROM orders o CROSS JOIN items i",
        "SELECT * FROM (SELECT user_id FROM orders LIMIT 5) o",
        "WITH o AS (SELECT * FROM orders) SELECT * FROM o",
        "SELECT * FROM orders WHERE id IN (SELECT order_id FROM items)",
        "SELECT * FROM orders o LEFT JOIN items i ON o.user_id = 5",
        "SELECT * FROM orders o WHERE EXISTS (SELECT FROM items i LEFT JOIN items j ON i.user_id = o.user_id)",
        "(SELECT * FROM orders o CROSS JOIN orders p) UNION ALL SELECT * FROM orders, orders p",
        "SELECT * FROM (orders o CROSS JOIN items i) LEFT JOIN orders p ON o.user_id = i.user_id AND p.user_id = o.user_id",
        "SELECT 1 FROM orders UNION SELECT 2 FROM items",
        "SELECT rank() OVER (ORDER BY amount) FROM orders",
        "SELECT amount, string_agg(note, ',') FROM orders GROUP BY amount",
        "SELECT count(DISTINCT amount) FROM orders",
        "SELECT amount, count(*) FROM orders GROUP BY amount HAVING count(*) > 1",
        "SELECT DISTINCT ON (amount) * FROM orders",
        "SELECT sum(amount) + 1 FROM orders",
        "SELECT amount FROM orders GROUP BY ROLLUP (amount)",
        "SELECT * FROM orders FOR UPDATE",
        "SELECT * FROM orders WHERE visits(id) > 1",
        "SELECT (SELECT count(*) FROM orders)",
        "SELECT * FROM orders LIMIT amount",
        "SELECT max(id), max(amount) FROM orders ORDER BY max",
    ] {
        assert_eq!(refusal(sql), "ERR_SHARD_UNMERGEABLE", "{sql}");
    }
    for (sql, code) in [
        ("SELECT * FROM country", "ERR_SHARD_TABLE"),
        ("SELECT * FROM nowhere", "ERR_SHARD_TABLE"),
        ("UPDATE orders SET user_id = 5 WHERE user_id = 4", "ERR_SHARD_KEY_UPDATE"),
        ("INSERT INTO orders (id) VALUES (1)", "ERR_SHARD_KEY_REQUIRED"),
        ("INSERT INTO orders SELECT * FROM orders", "ERR_SHARD_KEY_REQUIRED"),
        ("INSERT INTO orders (user_id) VALUES (floor(1))", "ERR_SHARD_KEY_REQUIRED"),
        ("INSERT INTO orders (user_id, id) VALUES (1, 2) ON CONFLICT (id) DO NOTHING", "ERR_SHARD_STATEMENT"),
        (
            "INSERT INTO orders (user_id) VALUES (1) ON CONFLICT (user_id) DO UPDATE SET user_id = 2",
            "ERR_SHARD_KEY_UPDATE",
        ),
        ("SELECT 1; SELECT 2", "ERR_SHARD_STATEMENT"),
        ("SET work_mem = 1", "ERR_SHARD_STATEMENT"),
        ("SELECT visits(1)", "ERR_SHARD_STATEMENT"),
        ("SELECT 1 FROM", "ERR_SHARD_STATEMENT"),
    ] {
        assert_eq!(refusal(sql), code, "{sql}");
    }
}

#[test]
fn joins_and_subqueries_by_the_key_run_in_parts() {
    for sql in [
        "SELECT * FROM orders o JOIN items i ON o.user_id = i.user_id",
        "SELECT * FROM orders o LEFT JOIN items i USING (user_id)",
        "SELECT * FROM orders o WHERE EXISTS (SELECT FROM items i WHERE i.user_id = o.user_id)",
        "SELECT *, (SELECT count(*) FROM items WHERE items.user_id = orders.user_id) FROM orders",
        "SELECT user_id, string_agg(note, ',') FROM orders GROUP BY user_id HAVING count(*) > 1",
        "SELECT user_id, rank() OVER (PARTITION BY user_id ORDER BY amount) FROM orders",
        "SELECT count(DISTINCT user_id) FROM orders",
        "SELECT * FROM other.things a, other.things b WHERE a.id = b.id",
    ] {
        assert_eq!(refusal(sql), "", "{sql}");
    }
}

#[test]
fn a_function_that_makes_many_rows_of_one_is_refused_among_several_rows_as_by_a_server() {
    let called =
        |rest: &str| refusal(&format!("INSERT INTO items VALUES (1, unnest('{{1,2}}'::int[])){rest}"));
    assert_eq!(called(""), "");
    assert_eq!(called(", (2, 3)"), "ERR_SHARD_STATEMENT");
}

#[test]
fn as_many_rows_as_there_may_be_are_asked_of_shards_where_limit_and_offset_together_are_more() {
    let limit_of = |rest: &str| {
        let text = parts(&format!("SELECT note FROM orders {rest}")).text;
        text.split_once("LIMIT ").map(|(_, limit)| limit.to_owned()).unwrap_or_default()
    };
    assert_eq!(limit_of("LIMIT 2147483647 OFFSET 1"), "2147483648");
    assert_eq!(limit_of("LIMIT 9223372036854775807 OFFSET 1"), "9223372036854775807");
    assert_eq!(limit_of("LIMIT 3000000000::int8 OFFSET 1"), "3000000001");
    let both = "LEAST($1::bigint::numeric + $2::bigint::numeric, 9223372036854775807)::bigint";
    assert_eq!(limit_of("LIMIT $1 OFFSET $2"), both);
    for sql in
        ["SELECT 1 FROM orders LIMIT 9223372036854775808", "SELECT 1 FROM orders LIMIT 3000000000::int4"]
    {
        assert_eq!(refusal(sql), "ERR_SHARD_UNMERGEABLE", "{sql}");
    }
}

#[test]
fn shards_are_asked_for_what_merging_needs() {
    let plain = "SELECT id FROM orders WHERE amount > $1 ORDER BY id LIMIT 5";
    assert_eq!(&*parts(plain).text, plain);
    let parts = parts("SELECT note FROM orders ORDER BY code DESC LIMIT 5 OFFSET $1");
    assert_eq!(
        &*parts.text,
        "SELECT note, code AS replicaverse_hidden_0 FROM orders ORDER BY code DESC LIMIT LEAST(5::numeric + $1::bigint::numeric, 9223372036854775807)::bigint"
    );
    assert_eq!((parts.merge.hidden, parts.merge.offset), (1, Some(Bound::Parameter(0))));
    assert!(parts.merge.sort.first().is_some_and(|key| key.by_bytes && key.is_descending && key.nulls_first));
}

#[test]
fn aggregates_are_made_of_those_of_shards() {
    let parts = parts(
        "SELECT amount % 2 AS odd, avg(id), count(*)::int FROM orders GROUP BY odd ORDER BY max(id) LIMIT 3",
    );
    let expected = "SELECT amount % 2 AS odd, avg(id), count(*)::int, max(id) AS replicaverse_hidden_0, \
                    sum(id) AS replicaverse_hidden_1, count(id) AS replicaverse_hidden_2, \
                    count(*) AS replicaverse_hidden_3 FROM orders GROUP BY odd";
    assert_eq!(&*parts.text, expected);
    let grouping = parts.merge.grouping.unwrap();
    assert_eq!(grouping.keys, [0]);
    let expected = [
        Part::Same,
        Part::Mean { sum: 4, count: 5 },
        Part::Sum { of: 6 },
        Part::Max { by_bytes: true },
        Part::Same,
        Part::Same,
        Part::Same,
    ];
    assert_eq!(grouping.parts, expected);
    assert_eq!(parts.merge.limit, Some(Bound::Rows(3)));
}

#[test]
fn rows_of_an_insert_go_to_their_shards() {
    let Plan::Insert(insert) =
        planned("INSERT INTO orders (id, user_id) VALUES ($1, $2), (5, 7) RETURNING id")
    else {
        panic!()
    };
    let values = parameters(&["1", "7"]);
    let places: Vec<u32> = insert.keys.iter().map(|key| insert.pin.place(key, &values).unwrap()).collect();
    assert_eq!(places[0], places[1]);
    assert_eq!(
        insert.text_of(|row| row == 1).unwrap(),
        "INSERT INTO orders (id, user_id) VALUES (5, 7) RETURNING id"
    );
}

#[test]
fn rows_without_a_partner_are_on_every_shard() {
    let joined = "FROM orders o LEFT JOIN items i ON i.user_id = o.user_id";
    assert_eq!(
        refusal(&format!("SELECT i.user_id, array_agg(o.id) {joined} GROUP BY i.user_id")),
        "ERR_SHARD_UNMERGEABLE"
    );
    assert_eq!(refusal(&format!("SELECT o.user_id, array_agg(i.order_id) {joined} GROUP BY o.user_id")), "");
    assert!(parts(&format!("SELECT DISTINCT i.user_id {joined}")).merge.distinct);
    assert!(!parts(&format!("SELECT DISTINCT o.user_id {joined}")).merge.distinct);
}

#[test]
fn what_only_looks_like_rows_is_refused() {
    for sql in [
        "SELECT count(*) FROM orders TABLESAMPLE BERNOULLI (100)",
        "SELECT JSON_ARRAYAGG(amount) FROM orders",
        "SELECT (SELECT sum(o.amount)) FROM orders o",
        r#"SELECT DISTINCT note COLLATE "de-x-icu" FROM orders"#,
    ] {
        assert_ne!(refusal(sql), "", "{sql}");
    }
}

#[test]
fn a_table_is_no_common_table_outside_of_the_query_that_has_it() {
    let sql = "SELECT * FROM orders o WHERE o.user_id = 1 AND o.amount > (WITH items AS (SELECT 1 AS x) SELECT max(x) FROM items)
               AND EXISTS (SELECT 1 FROM items i WHERE i.order_id = o.id)";
    assert_ne!(shards(sql, &[]).ok(), shards("SELECT * FROM orders WHERE user_id = 1", &[]).ok());
}

#[test]
fn functions_that_read_tables_are_refused_on_one_shard_too() {
    for sql in [
        "SELECT total_of(2) FROM orders WHERE user_id = 1",
        "SELECT 1 FROM orders o WHERE user_id = 1 AND doubled_total(o.id) > 1",
        "SELECT o.total_of FROM orders o WHERE user_id = 1",
        "UPDATE orders SET amount = total_of(1) WHERE user_id = 1",
        "INSERT INTO orders (user_id, amount) VALUES (1, total_of(1))",
        "SELECT doubled_total(1) FROM orders",
    ] {
        let refused = match planned(sql) {
            Plan::Refused(error) => Err(error.code),
            _ => shards(sql, &[]).map(drop),
        };
        assert_eq!(refused, Err("ERR_SHARD_UNMERGEABLE"), "{sql}");
    }
    for sql in [
        "SELECT visits(1) FROM orders WHERE user_id = 1",
        "SELECT doubled(id), o.amount FROM orders o WHERE user_id = 1",
    ] {
        assert!(matches!(shards(sql, &[]), Ok(Needed::One(_))), "{sql}");
    }
    assert_eq!(refusal("SELECT doubled(id) FROM orders"), "");
}

#[test]
fn an_insert_without_names_of_columns_gets_those_by_which_its_key_was_found() {
    let Plan::Insert(insert) = planned("INSERT INTO orders VALUES ($1, $2), (3, 4)") else { panic!() };
    assert_eq!(insert.named.as_deref(), Some("INSERT INTO orders (id, user_id) VALUES ($1, $2), (3, 4)"));
    assert_eq!(
        insert.text_of(|row| row == 0).as_deref(),
        Some("INSERT INTO orders (id, user_id) VALUES ($1, $2)")
    );
    let Plan::Insert(insert) = planned("INSERT INTO orders (user_id) VALUES (1)") else { panic!() };
    assert_eq!(insert.named, None);
    assert_eq!(refusal("INSERT INTO orders VALUES (1, 2, 3, '', '', 6)"), "ERR_SHARD_TABLE");
}

#[test]
fn columns_are_ordered_by_the_names_that_the_server_gives_them() {
    for (sql, place) in [
        ("SELECT count(*) FROM orders GROUP BY amount ORDER BY count", 0),
        ("SELECT id, COALESCE(amount, 0) FROM orders ORDER BY coalesce", 1),
        ("SELECT (amount + 1)::int8 FROM orders ORDER BY int8", 0),
        ("SELECT CASE WHEN true THEN 1 ELSE 2 END FROM orders ORDER BY \"case\"", 0),
        ("SELECT CASE WHEN true THEN 1 ELSE amount END FROM orders ORDER BY amount", 0),
        (
            "SELECT id, (SELECT max(order_id) FROM items i WHERE i.user_id = o.user_id) FROM orders o ORDER BY max",
            1,
        ),
    ] {
        let sort = parts(sql).merge.sort;
        assert_eq!(sort.first().map(|key| key.place), Some(Place::Visible(place)), "{sql}");
    }
}
