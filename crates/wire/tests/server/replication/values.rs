//! A property: whatever rows are written, the stream tells what SQL reads back.

use std::collections::BTreeMap;

use wire::replication::pgoutput::{Message, OldTuple, Tuple, TupleValue};
use wire::replication::{StartReplication, StreamMessage};
use wire::{Param, QueryOptions};

use super::Source;
use super::feed::row;

/// Makes the text of a value.
type Make = fn(&mut Noise) -> String;

const COLUMNS: [(&str, Make); 26] = [
    ("int2", |noise| (noise.next() as i16).to_string()),
    ("int4", |noise| (noise.next() as i32).to_string()),
    ("int8", |noise| (noise.next() as i64).to_string()),
    ("numeric", numeric),
    ("numeric(30, 5)", |noise| format!("{}.{:07}", noise.next() as i64, noise.below(10_000_000))),
    ("float4", |noise| float(noise, |bits| f32::from_bits(bits as u32).to_string())),
    ("float8", |noise| float(noise, |bits| f64::from_bits(bits).to_string())),
    ("bool", |noise| noise.pick(&["true", "false"]).to_owned()),
    ("text", text),
    ("varchar(20)", |noise| text(noise).chars().take(20).collect()),
    ("char(6)", |noise| text(noise).chars().take(6).collect()),
    ("uuid", |noise| format!("{:016x}{:016x}", noise.next(), noise.next())),
    ("inet", |noise| noise.pick(&["192.168.0.1", "10.1.2.3/8", "::1", "2001:db8::/32"]).to_owned()),
    ("mood", |noise| noise.pick(&["sad", "o'k", "happy, \"very\""]).to_owned()),
    ("timestamptz", |noise| timestamp(noise) + noise.pick(&["Z", "+05:30", "-11"])),
    ("timestamp", timestamp),
    ("date", |noise| noise.pick(&["4713-01-01 BC", "5874897-12-31", "2024-02-29", "infinity"]).to_owned()),
    ("time", |noise| {
        format!(
            "{:02}:{:02}:{:02}.{:06}",
            noise.below(24),
            noise.below(60),
            noise.below(60),
            noise.below(1_000_000)
        )
    }),
    ("interval", |noise| {
        format!(
            "{} months {} days {} microseconds",
            noise.next() as i16,
            noise.next() as i16,
            noise.next() as i32
        )
    }),
    ("json", |noise| format!("{{\"b\":  [{}, null], \"a\": {{}}}}", noise.next())),
    ("jsonb", |noise| format!("{{\"b\":  [{}, null], \"a\": \"ü\\n\", \"a\": {{}}}}", noise.next())),
    ("int4[]", |noise| format!("{{{{{},NULL}},{{2,{}}}}}", noise.next() as i32, noise.next() as i32)),
    ("text[]", |noise| noise.pick(&["{}", "{a,NULL,\"NULL\",\"\"}", "{\"x y\",\"\\\"\\\\\",ü}"]).to_owned()),
    ("bytea", |noise| {
        (0..noise.below(40)).fold("\\x".to_owned(), |hex, _| format!("{hex}{:02x}", noise.below(256)))
    }),
    ("int4range", |noise| noise.pick(&["empty", "[1,10)", "(,5]", "[3,3]"]).to_owned()),
    // Long enough to be stored out of line.
    ("text", |noise| format!("{:016x}", noise.next()).repeat(noise.below(600))),
];

/// Pseudo-random numbers that are the same each time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

fn numeric(noise: &mut Noise) -> String {
    match noise.below(8) {
        0 => noise.pick(&["NaN", "Infinity", "-Infinity", "0", "-0.000", "1e130", "1e-130"]).to_owned(),
        _ => format!("{}{:020}.{:020}", noise.pick(&["", "-"]), noise.next(), noise.next()),
    }
}

fn float(noise: &mut Noise, any: impl Fn(u64) -> String) -> String {
    match noise.below(6) {
        0 => noise.pick(&["NaN", "Infinity", "-Infinity", "-0", "0.1", "1e-30"]).to_owned(),
        _ => any(noise.next()).replace("inf", "Infinity"),
    }
}

fn text(noise: &mut Noise) -> String {
    const CHARACTERS: [char; 12] = ['a', 'Z', '0', ' ', '\'', '"', '\\', '\n', '\t', 'ü', '漢', '🦀'];
    (0..noise.below(30)).map(|_| CHARACTERS[noise.below(CHARACTERS.len())]).collect()
}

fn timestamp(noise: &mut Noise) -> String {
    let micros = noise.below(1_000_000);
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{micros:06}",
        1 + noise.below(9000),
        1 + noise.below(12),
        1 + noise.below(28),
        noise.below(24),
        noise.below(60),
        noise.below(60)
    )
}

/// A value or, now and then, NULL.
fn parameter(noise: &mut Noise, make: Make) -> Param<'static> {
    if noise.below(10) == 0 { Param::null() } else { Param::text(make(noise)) }
}

/// Writes at random: mostly inserts, some updates of one column, of all and of the key, some deletes.
async fn write(source: &mut Source, noise: &mut Noise, count: usize) {
    let all: Vec<String> = (0..COLUMNS.len()).map(|index| format!("c{index} = ${}", index + 2)).collect();
    for id in 0..count {
        let mut values = vec![Param::text(id.to_string())];
        values.extend(COLUMNS.map(|(_, make)| parameter(noise, make)));
        let places: Vec<String> = (1..=values.len()).map(|place| format!("${place}")).collect();
        let insert = format!("INSERT INTO thing VALUES ({})", places.join(", "));
        source.sql.execute(&insert, &values).await.unwrap();
        let other = noise.below(id + 1).to_string();
        match noise.below(6) {
            0 => {
                let column = noise.below(COLUMNS.len());
                let sql = format!("UPDATE thing SET c{column} = $2 WHERE id = $1");
                let value = parameter(noise, COLUMNS[column].1);
                source.sql.execute(&sql, &[Param::text(other), value]).await.unwrap();
            }
            1 => {
                values[0] = Param::text(other);
                source
                    .sql
                    .execute(&format!("UPDATE thing SET {} WHERE id = $1", all.join(", ")), &values)
                    .await
                    .unwrap();
            }
            2 => {
                let sql = "UPDATE thing SET id = -id - 1 WHERE id = $1";
                source.sql.execute(sql, &[Param::text(other)]).await.unwrap();
            }
            3 => drop(
                source.sql.execute("DELETE FROM thing WHERE id = $1", &[Param::text(other)]).await.unwrap(),
            ),
            _ => {}
        }
    }
}

type Values = Vec<Option<Vec<u8>>>;

/// The rows as a follower of the stream has them, by the bytes of their key.
#[derive(Default)]
struct Follower(BTreeMap<Vec<u8>, Values>);

impl Follower {
    fn apply(&mut self, message: &Message) {
        match message {
            Message::Insert(insert) => self.put(&insert.new, None),
            Message::Update(update) => {
                let old = update.old.as_ref().map_or(&update.new, OldTuple::tuple);
                let before = self.0.remove(&key(old)).expect("the row is there");
                self.put(&update.new, Some(before));
            }
            Message::Delete(delete) => {
                drop(self.0.remove(&key(delete.old.tuple())).expect("the row is there"))
            }
            _ => {}
        }
    }

    fn put(&mut self, tuple: &Tuple, before: Option<Values>) {
        let values = tuple.iter().enumerate().map(|(index, value)| match value {
            TupleValue::Null => None,
            TupleValue::Unchanged => before.as_ref().expect("an insert has every value")[index].clone(),
            TupleValue::Text(bytes) | TupleValue::Binary(bytes) => Some(bytes.to_vec()),
        });
        assert!(self.0.insert(key(tuple), values.collect()).is_none(), "{}", row(tuple));
    }
}

fn key(tuple: &Tuple) -> Vec<u8> {
    tuple.bytes(0).expect("the key is never null").to_vec()
}

/// The forms in which the stream writes text.
const FORMS: &str = "SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET timezone = 'UTC'; \
     SET extra_float_digits = 3; SET bytea_output = 'hex'";

async fn the_stream_tells_what_sql_reads(name: &str, binary: bool) {
    let columns: Vec<String> =
        COLUMNS.iter().enumerate().map(|(index, (type_name, _))| format!("c{index} {type_name}")).collect();
    let mut source = Source::new(name, "CREATE TYPE mood AS ENUM ('sad', 'o''k', 'happy, \"very\"')").await;
    source.run(&format!("CREATE TABLE thing (id int PRIMARY KEY, {})", columns.join(", "))).await;
    source.slot().await;
    write(&mut source, &mut Noise(7), 400).await;
    let start = StartReplication { binary, messages: true, ..source.start() };
    let mut feed = source.stream(&start).await;
    source.run("SELECT pg_logical_emit_message(true, 'end', '')").await;
    let mut follower = Follower::default();
    let mut recorded = Vec::new();
    loop {
        let StreamMessage::Data(data) = feed.stream.next().await.unwrap() else { continue };
        recorded.push(data.payload.clone());
        let message = feed.decoder.decode(data.payload).unwrap();
        if matches!(message, Message::Logical(_)) {
            break;
        }
        follower.apply(&message);
    }
    source.sql.simple_query(FORMS).await.unwrap();
    let options = if binary { QueryOptions::binary() } else { QueryOptions::default() };
    let read = source.sql.query_with("SELECT * FROM thing", &[], &options).await.unwrap();
    assert_eq!(read.rows.len(), follower.0.len());
    for row in read.rows.iter() {
        let expected: Values = row.iter().map(|cell| cell.map(<[u8]>::to_vec)).collect();
        let found = &follower.0[row.get(0).unwrap()];
        for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
            assert_eq!(found, expected, "column {index} of row {:?}", row.get(0));
        }
    }
    damaged_records_never_panic(&recorded);
}

/// The same stream, with a byte or a length changed here and there.
fn damaged_records_never_panic(recorded: &[bytes::Bytes]) {
    let mut noise = Noise(3);
    for _ in 0..20 {
        let mut decoder = wire::replication::pgoutput::Decoder::new();
        for payload in recorded {
            let mut damaged = payload.to_vec();
            let at = noise.below(damaged.len());
            match noise.below(4) {
                0 => damaged.truncate(at),
                1 => damaged[at] = noise.next() as u8,
                2 => damaged[at] = [0, 1, 0x7f, 0x80, 0xff][noise.below(5)],
                _ => {}
            }
            let _ = decoder.decode(damaged.into());
        }
    }
}

#[tokio::test]
async fn random_rows_of_all_types_come_as_sql_reads_them_as_text() {
    the_stream_tells_what_sql_reads("values_text", false).await;
}

#[tokio::test]
async fn random_rows_of_all_types_come_as_sql_reads_them_in_binary() {
    the_stream_tells_what_sql_reads("values_binary", true).await;
}
