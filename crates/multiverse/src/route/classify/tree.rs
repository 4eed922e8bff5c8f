//! A walk over a whole syntax tree that cannot miss a node.
//!
//! There are some 270 kinds of nodes, and a walk written by hand misses those that their author forgot. This one lets the
//! tree serialise itself, and hears of every node, field and value.

use std::fmt;

use serde::Serialize;
use serde::ser::{self, Impossible, Serializer};

/// Hears what a tree consists of, from the outside in.
pub(super) trait TreeListener {
    /// A node, or a structure within a node, begins.
    fn enter(&mut self, kind: &'static str);
    /// The next value or node belongs to this field of the innermost node.
    fn field(&mut self, name: &'static str);
    /// A text value.
    fn text(&mut self, value: &str);
    /// An integer, the number of an enumeration's member, or 0 and 1 for a truth value.
    fn number(&mut self, value: i64);
    /// The innermost node ends.
    fn leave(&mut self);
}

/// Tells the listener of all of the tree. Whether all of it was understood, which is so for every tree of the parser.
pub(super) fn walk(tree: &impl Serialize, listener: &mut impl TreeListener) -> bool {
    tree.serialize(&mut Walk { listener }).is_ok()
}

struct Walk<'a, L> {
    listener: &'a mut L,
}

#[derive(Debug)]
struct NotUnderstood;

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of the syntax tree has an unknown form")
    }
}

impl std::error::Error for NotUnderstood {}

impl ser::Error for NotUnderstood {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

type Outcome = Result<(), NotUnderstood>;

macro_rules! numbers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Outcome {
            self.listener.number(i64::try_from(value).unwrap_or(i64::MAX));
            Ok(())
        })*
    };
}

impl<L: TreeListener> Serializer for &mut Walk<'_, L> {
    type Ok = ();
    type Error = NotUnderstood;
    type SerializeSeq = Self;
    type SerializeTuple = Impossible<(), NotUnderstood>;
    type SerializeTupleStruct = Impossible<(), NotUnderstood>;
    type SerializeTupleVariant = Impossible<(), NotUnderstood>;
    type SerializeMap = Impossible<(), NotUnderstood>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), NotUnderstood>;

    numbers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);
    numbers!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, value: bool) -> Outcome {
        self.listener.number(i64::from(value));
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Outcome {
        self.listener.text(value);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Outcome {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Outcome {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Outcome {
        value.serialize(self)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Self, NotUnderstood> {
        Ok(self)
    }

    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<Self, NotUnderstood> {
        self.listener.enter(name);
        Ok(self)
    }

    fn serialize_f32(self, _value: f32) -> Outcome {
        Ok(())
    }

    fn serialize_f64(self, _value: f64) -> Outcome {
        Ok(())
    }

    fn serialize_char(self, _value: char) -> Outcome {
        Ok(())
    }

    fn serialize_bytes(self, _value: &[u8]) -> Outcome {
        Ok(())
    }

    fn serialize_none(self) -> Outcome {
        Ok(())
    }

    fn serialize_unit(self) -> Outcome {
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Outcome {
        Ok(())
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, _variant: &'static str) -> Outcome {
        Ok(())
    }

    // The generated types have structures, lists and enumerations of one value; nothing serialises as what follows.

    fn serialize_tuple(self, _length: usize) -> Result<Self::SerializeTuple, NotUnderstood> {
        Err(NotUnderstood)
    }

    fn serialize_tuple_struct(
        self,
        _name: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleStruct, NotUnderstood> {
        Err(NotUnderstood)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, NotUnderstood> {
        Err(NotUnderstood)
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap, NotUnderstood> {
        Err(NotUnderstood)
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, NotUnderstood> {
        Err(NotUnderstood)
    }
}

impl<L: TreeListener> ser::SerializeSeq for &mut Walk<'_, L> {
    type Ok = ();
    type Error = NotUnderstood;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        value.serialize(&mut **self)
    }

    fn end(self) -> Outcome {
        Ok(())
    }
}

impl<L: TreeListener> ser::SerializeStruct for &mut Walk<'_, L> {
    type Ok = ();
    type Error = NotUnderstood;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Outcome {
        self.listener.field(key);
        value.serialize(&mut **self)
    }

    fn end(self) -> Outcome {
        self.listener.leave();
        Ok(())
    }
}
