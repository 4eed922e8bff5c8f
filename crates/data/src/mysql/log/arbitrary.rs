//! Bytes that no server sends: whatever they are, they are refused, and nothing panics.

use super::bytes::Bytes;
use super::charset::Charset;
use super::event::{Rows, RowsForm, inflated, mariadb_gtid, mysql_gtid, query};
use super::json_binary::json_text_of;
use super::json_diff::changed;
use super::place::Place;
use super::statement::parse;
use super::table_map::{MappedColumn, TableMap};
use super::value::{Kind, pass_over, value};
use crate::value::Value;

const ROUNDS: usize = 60_000;

/// Numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let [.., byte] = self.0.to_le_bytes();
        // Small numbers are lengths and types, and lead further than others do.
        if byte & 1 == 0 { byte >> 4 } else { byte }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.roll() % 60);
        (0..length).map(|_| self.roll()).collect()
    }
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    let mut dice = Dice(7);
    let kinds = [
        Kind::Plain,
        Kind::Unsigned,
        Kind::Text(Charset::Utf8),
        Kind::Text(Charset::Utf16),
        Kind::FixedBytes(20),
        Kind::Enum(vec!["a".to_owned()]),
        Kind::Set(vec!["a".to_owned(); 70]),
        Kind::Uuid,
        Kind::Inet4,
        Kind::Inet6,
    ];
    for round in 0..ROUNDS {
        let bytes = dice.bytes();
        let column = MappedColumn { type_number: dice.roll(), first: dice.roll(), second: dice.roll() };
        for kind in &kinds {
            let (mut rest, mut passed) = (Bytes(&bytes), Bytes(&bytes));
            if value(kind, column, &mut rest).is_ok() {
                pass_over(column, &mut passed).unwrap();
                assert_eq!(rest.0, passed.0, "a value is as long as what is passed over: {column:?}");
            }
        }
        // Every type comes often enough.
        let type_number = u8::try_from(round % 256).unwrap();
        let _ =
            value(&kinds[round % kinds.len()], MappedColumn { type_number, ..column }, &mut Bytes(&bytes));
        let _ = TableMap::head(&bytes);
        let _ = TableMap::parse(&bytes);
        let _ = mariadb_gtid(&bytes, 1);
        let _ = mysql_gtid(&bytes, false);
        let _ = query(&bytes, round % 2 == 0, round % 14);
        let _ = inflated(&bytes);
        let _ = json_text_of(&bytes);
        let _ = changed(Value::Array(vec![Value::Null]), &bytes);
        if let Some(form) = RowsForm::of(dice.roll())
            && let Ok(rows) = Rows::parse(&bytes, form)
        {
            let _ = rows.unpacked();
        }
        let text = String::from_utf8_lossy(&bytes);
        let _ = (parse(&text).mentions("t"), Place::mariadb(&text), Place::mysql(&text));
    }
}

#[test]
fn a_table_map_that_is_cut_or_changed_in_one_byte_is_refused_or_read() {
    let event = b"\x07\0\0\0\0\0\x01\0\x01d\0\x01t\0\x03\x03\x0f\xfe\x04\x50\0\xf7\x01\0\x01\x01\0\x04\x09\x02id\x02na\x02en";
    assert!(TableMap::parse(event).is_ok());
    for at in 0..event.len() {
        for byte in 0..=255 {
            let mut changed = event.to_vec();
            changed[at] = byte;
            let _ = TableMap::parse(&changed);
            let _ = TableMap::parse(&changed[..at]);
        }
    }
}
