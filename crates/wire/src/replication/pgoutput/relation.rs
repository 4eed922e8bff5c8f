//! Tables and types as the stream describes them.

use super::body::Body;
use super::error::DecodeError;

/// Which columns of the old row a change of a table tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplicaIdentity {
    /// Those of the primary key; none where there is no primary key.
    Default,
    /// None.
    Nothing,
    /// All.
    Full,
    /// Those of an index.
    Index,
}

/// A table as the stream describes it, before its first change and after each change of its definition.
///
/// Of generated columns only those that the publication includes are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The oid of the table; of the root, where a publication publishes partitions as their root.
    pub oid: u32,
    /// The schema.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// Which columns of the old row its changes tell.
    pub replica_identity: ReplicaIdentity,
    /// The columns that are published, in the order in which rows have them.
    pub columns: Vec<RelationColumn>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationColumn {
    /// Whether it belongs to the replica identity.
    pub is_key: bool,
    /// The name.
    pub name: String,
    /// The data type.
    pub type_oid: u32,
    /// The type's modifier (`atttypmod`), -1 without one.
    pub type_modifier: i32,
}

/// The name of a data type that is not built in, told before the first table that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    /// The oid of the type.
    pub oid: u32,
    /// The schema.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Relation {
    pub(super) fn read(mut body: Body<'_>) -> Result<Self, DecodeError> {
        let oid = body.u32()?;
        let namespace = namespace(&mut body)?;
        let name = body.string("name")?;
        let replica_identity = match body.u8()? {
            b'd' => ReplicaIdentity::Default,
            b'n' => ReplicaIdentity::Nothing,
            b'f' => ReplicaIdentity::Full,
            b'i' => ReplicaIdentity::Index,
            _ => return Err(body.invalid("replica identity")),
        };
        let count = body.u16()?;
        let mut columns = Vec::new();
        for _ in 0..count {
            columns.push(RelationColumn {
                is_key: body.u8()? & 1 == 1,
                name: body.string("column name")?,
                type_oid: body.u32()?,
                type_modifier: body.i32()?,
            });
        }
        body.end()?;
        Ok(Self { oid, namespace, name, replica_identity, columns })
    }
}

impl TypeName {
    pub(super) fn read(mut body: Body<'_>) -> Result<Self, DecodeError> {
        let this = Self { oid: body.u32()?, namespace: namespace(&mut body)?, name: body.string("name")? };
        body.end()?;
        Ok(this)
    }
}

/// The schema `pg_catalog` is sent as an empty name.
fn namespace(body: &mut Body<'_>) -> Result<String, DecodeError> {
    let namespace = body.string("namespace")?;
    Ok(if namespace.is_empty() { "pg_catalog".to_owned() } else { namespace })
}
