//! How columns are packed, by the values that come.

use data::Value;

use super::*;

fn column(values: &[Value]) -> Column {
    let mut column = Column::new();
    values.iter().for_each(|value| column.push(Cell::from(value)));
    column
}

fn text(column: &Column) -> String {
    match column.text() {
        Some(JsText::OneByte(text)) => text.into_iter().map(char::from).collect(),
        Some(JsText::TwoByte(text)) => String::from_utf16(&text).unwrap(),
        None => String::new(),
    }
}

fn words(column: &Column) -> Vec<i32> {
    column.words().collect()
}

#[test]
fn texts_are_one_text_with_the_end_of_each() {
    let column = column(&["é\"".into(), Value::Null, "".into(), "a😀".into()]);
    assert_eq!((column.packing(), text(&column)), (Packing::Text, "é\"a😀".to_owned()));
    assert_eq!(words(&column), [2, -1, 2, 5]);
}

#[test]
fn a_text_that_was_there_before_is_not_there_twice() {
    let mut column = column(&["é".into(), Value::Null, "b".into(), "é".into(), "b".into(), "é".into()]);
    assert_eq!((text(&column), words(&column)), ("éb".to_owned(), vec![1, -1, 2, -2, -4, -2]));
    column.push(Cell::Bool(true));
    assert_eq!(text(&column), r#"["é",null,"b","é","b","é",true]"#);
    column.empty();
    column.push(Cell::Text("é"));
    assert_eq!((text(&column), words(&column)), ("é".to_owned(), vec![1]));
}

#[test]
fn whole_numbers_are_words_until_one_is_not() {
    let mut column = column(&[Value::Null, 7.into(), Value::Float(-3.0)]);
    assert_eq!((column.packing(), words(&column)), (Packing::IntOrNull, vec![1, 0, 7, -3]));
    column.push(Cell::Float(-0.0));
    column.push(Cell::Integer(1 << 53));
    column.push(Cell::Float(f64::NAN));
    assert_eq!((column.packing(), words(&column)), (Packing::DoubleOrNull, vec![1]));
    let bits = column.doubles().iter().map(|double| double.to_bits()).collect::<Vec<_>>();
    let expected = [0.0, 7.0, -3.0, -0.0, 9_007_199_254_740_992.0, f64::NAN].map(f64::to_bits);
    assert_eq!(bits, expected);
}

#[test]
fn which_numbers_are_null_is_told_by_a_bit_for_each() {
    let mut column = Column::new();
    (0..33).for_each(|number| column.push(Cell::Integer(number)));
    column.push(Cell::Null);
    column.push(Cell::Integer(-1));
    assert_eq!(words(&column)[..2], [0, 2]);
    assert_eq!(words(&column).len(), 2 + 35);
}

#[test]
fn flags_and_moments_tell_null_by_a_value_of_their_own() {
    assert_eq!(words(&column(&[true.into(), Value::Null, false.into()])), [1, -1, 0]);
    let moments =
        column(&[Value::Timestamp(Timestamp(-1)), Value::Null, Value::Timestamp(Timestamp::NEG_INFINITY)]);
    assert_eq!(moments.packing(), Packing::Moment);
    assert!(matches!(moments.doubles(), [-1.0, null, f64::NEG_INFINITY] if null.is_nan()));
}

#[test]
fn documents_are_one_list() {
    let list = column(&[Value::Null, Value::Array(vec![1.into()]), Value::JsonNull]);
    assert_eq!((list.packing(), text(&list)), (Packing::Json, "[null,[1],null]".to_owned()));
    let dated = column(&[
        Value::object([("a", 1.into())]),
        Value::object([("a", Value::Timestamp(Timestamp(5_000)))]),
    ]);
    assert_eq!((dated.packing(), text(&dated)), (Packing::Tagged, r#"[{"a":1},{"a":{"$$date":5}}]"#.into()));
}

#[test]
fn values_of_several_types_are_tagged() {
    let far = Value::Timestamp(Timestamp(9_000_000_000_000_000_000));
    for (values, expected) in [
        (vec!["a".into(), Value::Null, "é".into(), 7.into()], r#"["a",null,"é",7]"#),
        (vec![1.into(), Value::Null, "x".into()], r#"[1,null,"x"]"#),
        (vec![Value::Float(f64::NAN), true.into()], r#"[{"$$number":"NaN"},true]"#),
        (vec![true.into(), Value::Null, 0.5.into()], "[true,null,0.5]"),
        (
            vec![Value::Timestamp(Timestamp(2_000)), Value::Null, far.clone()],
            r#"[{"$$date":2},null,{"$$date":"+287168-08-24T16:00:00.000Z"}]"#,
        ),
        (vec![1.into(), i64::MAX.into()], r#"[1,{"$$bigint":"9223372036854775807"}]"#),
        (vec![Value::Bytes(vec![1].into()), Value::Null], r#"[{"$$bytes":"AQ=="},null]"#),
        (vec![Value::JsonNull, Value::Timestamp(Timestamp::INFINITY)], r#"[null,{"$$date":"Infinity"}]"#),
    ] {
        let column = column(&values);
        assert_eq!((column.packing(), text(&column)), (Packing::Tagged, expected.to_owned()));
    }
}

#[test]
fn an_emptied_column_begins_anew() {
    let mut column = column(&["a".into(), 1.into()]);
    column.empty();
    column.push(Cell::Integer(1));
    assert_eq!((column.packing(), words(&column)), (Packing::Int, vec![1]));
}
