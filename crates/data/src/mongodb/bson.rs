//! Values as BSON, both ways: a writer that appends to one buffer, and a reader of raw documents.

use bytes::Bytes;
use mongodb::bson::spec::{BinarySubtype, ElementType};
use mongodb::bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf};

use super::error::malformed;
use super::{decimal, extended};
use crate::error::{Error, ErrorKind, Result};
use crate::value::{Object, ObjectId, Timestamp, Value};

/// The end of a document, and the bytes of its length before it.
const END: u8 = 0;

/// Writes BSON documents into a growing buffer without an intermediate tree.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

/// Where a document began, to be handed back when it ends.
#[must_use]
pub(super) struct Opened(usize);

impl Writer {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// How many bytes are written.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets what was written after a length.
    pub(super) fn truncate(&mut self, length: usize) {
        self.bytes.truncate(length);
    }

    /// Begins the outermost document.
    pub(super) fn open(&mut self) -> Opened {
        let start = self.bytes.len();
        self.bytes.extend([0; 4]);
        Opened(start)
    }

    /// Begins a document or array that is an element of the one being written.
    pub(super) fn open_element(&mut self, element_type: ElementType, name: &str) -> Result<Opened> {
        self.name(element_type, name)?;
        Ok(self.open())
    }

    /// Ends a document, whose length is now known.
    pub(super) fn close(&mut self, opened: Opened) {
        self.bytes.push(END);
        let length = i32::try_from(self.bytes.len() - opened.0).unwrap_or(i32::MAX);
        // `open` has put four bytes there.
        self.bytes[opened.0..opened.0 + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// The document, after its end.
    pub(super) fn into_document(self) -> Result<RawDocumentBuf> {
        RawDocumentBuf::from_bytes(self.bytes).map_err(malformed)
    }

    fn name(&mut self, element_type: ElementType, name: &str) -> Result<()> {
        if name.as_bytes().contains(&0) {
            return Err(Error::new(
                ErrorKind::Value,
                format!("{name:?}: MongoDB stores no name with a NUL character"),
            ));
        }
        self.bytes.push(element_type as u8);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        Ok(())
    }

    /// Appends an element.
    ///
    /// # Errors
    /// [`ErrorKind::Value`] if BSON has no equivalent: an infinite moment, a NUL in a name, or a length beyond 2 GiB.
    pub(super) fn element(&mut self, name: &str, value: &Value) -> Result<()> {
        match value {
            Value::Null | Value::JsonNull => self.name(ElementType::Null, name)?,
            Value::Bool(flag) => {
                self.name(ElementType::Boolean, name)?;
                self.bytes.push(u8::from(*flag));
            }
            Value::Int32(number) => self.fixed(ElementType::Int32, name, &number.to_le_bytes())?,
            Value::Int64(number) => self.fixed(ElementType::Int64, name, &number.to_le_bytes())?,
            Value::Float(number) => self.fixed(ElementType::Double, name, &number.to_le_bytes())?,
            Value::Decimal(text) => match decimal::encode(text) {
                Some(bytes) => self.fixed(ElementType::Decimal128, name, &bytes)?,
                None => self.string(name, text)?,
            },
            Value::Text(text) => self.string(name, text)?,
            Value::Bytes(bytes) => self.binary(name, BinarySubtype::Generic, bytes)?,
            Value::Timestamp(moment) if moment.is_infinite() => {
                return Err(Error::new(
                    ErrorKind::Value,
                    format!("the date {moment} has no equivalent in MongoDB"),
                ));
            }
            // Digits beyond milliseconds are dropped, as documented; `coerce` has reported them.
            Value::Timestamp(moment) => {
                self.fixed(ElementType::DateTime, name, &moment.millis().to_le_bytes())?
            }
            Value::ObjectId(ObjectId(bytes)) => self.fixed(ElementType::ObjectId, name, bytes)?,
            Value::Array(items) => {
                let array = self.open_element(ElementType::Array, name)?;
                for (position, item) in items.iter().enumerate() {
                    self.item(position, item)?;
                }
                self.close(array);
            }
            Value::Object(object) => match extended::to_raw(object) {
                Some(foreign) => self.foreign(name, &foreign)?,
                None => {
                    let document = self.open_element(ElementType::EmbeddedDocument, name)?;
                    self.elements(object)?;
                    self.close(document);
                }
            },
        }
        Ok(())
    }

    /// Appends every entry of an object.
    pub(super) fn elements(&mut self, object: &Object) -> Result<()> {
        object.iter().try_for_each(|(name, value)| self.element(name, value))
    }

    /// Appends an element of an array, whose name is its position.
    pub(super) fn item(&mut self, position: usize, value: &Value) -> Result<()> {
        let mut digits = [0; 20];
        self.element(decimal_digits(position, &mut digits), value)
    }

    /// Begins a document that is an element of an array.
    pub(super) fn open_item(&mut self, position: usize) -> Result<Opened> {
        let mut digits = [0; 20];
        self.open_element(ElementType::EmbeddedDocument, decimal_digits(position, &mut digits))
    }

    /// Appends a document that is written already.
    pub(super) fn document(&mut self, name: &str, document: &RawDocument) -> Result<()> {
        self.fixed(ElementType::EmbeddedDocument, name, document.as_bytes())
    }

    fn foreign(&mut self, name: &str, foreign: &RawDocument) -> Result<()> {
        // The element is the first of a document that holds nothing else: its type, the empty name, its bytes, the
        // end of the document.
        let bytes = foreign.as_bytes();
        let (Some(element_type), Some(value)) =
            (bytes.get(4).copied().and_then(ElementType::from), bytes.get(6..bytes.len().saturating_sub(1)))
        else {
            return Err(malformed("an element without a type"));
        };
        self.fixed(element_type, name, value)
    }

    fn fixed(&mut self, element_type: ElementType, name: &str, bytes: &[u8]) -> Result<()> {
        self.name(element_type, name)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn string(&mut self, name: &str, text: &str) -> Result<()> {
        self.name(ElementType::String, name)?;
        self.bytes.extend_from_slice(&length(text.len() + 1)?);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(0);
        Ok(())
    }

    fn binary(&mut self, name: &str, subtype: BinarySubtype, bytes: &[u8]) -> Result<()> {
        self.name(ElementType::Binary, name)?;
        self.bytes.extend_from_slice(&length(bytes.len())?);
        self.bytes.push(subtype.into());
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

fn length(bytes: usize) -> Result<[u8; 4]> {
    i32::try_from(bytes).map(i32::to_le_bytes).map_err(|_| {
        Error::new(
            ErrorKind::Value,
            format!("{bytes} bytes do not fit a MongoDB document, which holds 16 MiB"),
        )
    })
}

fn decimal_digits(mut number: usize, buffer: &mut [u8; 20]) -> &str {
    let mut start = buffer.len();
    loop {
        start -= 1;
        // Twenty digits hold every usize, so `start` stays within the buffer.
        buffer[start] = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        if number == 0 {
            return std::str::from_utf8(&buffer[start..]).unwrap_or_default();
        }
    }
}

/// The document of an object.
///
/// # Errors
/// As [`Writer::element`].
pub(super) fn document_of(object: &Object) -> Result<RawDocumentBuf> {
    let mut writer = Writer::default();
    let document = writer.open();
    writer.elements(object)?;
    writer.close(document);
    writer.into_document()
}

/// A single value for a command that is built as a tree, such as a filter.
///
/// # Errors
/// As [`Writer::element`].
pub(super) fn bson_of(value: &Value) -> Result<Bson> {
    let mut writer = Writer::default();
    let document = writer.open();
    writer.element("", value)?;
    writer.close(document);
    let mut document = Document::try_from(writer.into_document()?).map_err(malformed)?;
    Ok(document.remove("").unwrap_or(Bson::Null))
}

/// The value of a BSON element. Types that have no value of their own become objects in MongoDB Extended JSON, which
/// are written back as what they were.
///
/// # Errors
/// [`ErrorKind::Internal`] if the bytes are no BSON.
pub(super) fn value_of(element: RawBsonRef<'_>) -> Result<Value> {
    Ok(match element {
        RawBsonRef::Null => Value::Null,
        RawBsonRef::Boolean(flag) => Value::Bool(flag),
        RawBsonRef::Int32(number) => Value::Int32(number),
        RawBsonRef::Int64(number) => Value::Int64(number),
        RawBsonRef::Double(number) => Value::Float(number),
        RawBsonRef::Decimal128(number) => Value::Decimal(decimal::decode(number.bytes()).into()),
        RawBsonRef::String(text) => Value::Text(text.to_owned()),
        RawBsonRef::DateTime(moment) => Value::Timestamp(Timestamp::from_millis(moment.timestamp_millis())),
        RawBsonRef::ObjectId(id) => Value::ObjectId(ObjectId(id.bytes())),
        RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Generic => {
            Value::Bytes(Bytes::copy_from_slice(binary.bytes))
        }
        RawBsonRef::Array(array) => Value::Array(
            array.into_iter().map(|item| value_of(item.map_err(malformed)?)).collect::<Result<Vec<_>>>()?,
        ),
        RawBsonRef::Document(document) => Value::Object(Box::new(object_of(document)?)),
        foreign => extended::to_value(foreign)?,
    })
}

/// The entries of a document.
///
/// # Errors
/// As [`value_of`].
pub(super) fn object_of(document: &RawDocument) -> Result<Object> {
    document
        .iter()
        .map(|entry| {
            let (name, element) = entry.map_err(malformed)?;
            Ok((name.as_str().to_owned(), value_of(element)?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(value: &Value) -> Value {
        let document = document_of(&Object::from_iter([("v".to_owned(), value.clone())])).unwrap();
        object_of(&document).unwrap().shift_remove("v").unwrap()
    }

    #[test]
    fn every_kind_of_value_survives_bson() {
        for value in [
            Value::Null,
            Value::Bool(true),
            Value::Int32(-1),
            Value::Int64(1 << 40),
            Value::Float(f64::NEG_INFINITY),
            Value::Decimal("12.340".into()),
            Value::from("a\0é"),
            Value::Bytes(Bytes::from_static(b"\0\xff")),
            Value::Timestamp(Timestamp::from_millis(-1)),
            Value::ObjectId(ObjectId([7; 12])),
            Value::Array((0..12).map(Value::Int32).collect()),
            Value::object([
                ("$gt", Value::Int32(1)),
                ("a.b", Value::Array(vec![Value::Null])),
                ("", Value::Null),
            ]),
        ] {
            assert_eq!(round_trip(&value), value);
        }
    }

    #[test]
    fn a_decimal_of_more_than_34_digits_becomes_text() {
        let digits = "0.12345678901234567890123456789012345";
        assert_eq!(round_trip(&Value::Decimal(digits.into())), Value::from(digits));
    }

    #[test]
    fn an_infinite_date_and_a_nul_in_a_name_are_refused() {
        for value in [Value::Timestamp(Timestamp::INFINITY), Value::object([("a\0b", Value::Null)])] {
            assert_eq!(bson_of(&value).unwrap_err().kind(), ErrorKind::Value);
        }
    }
}
