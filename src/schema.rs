//! An entity schema, parsed once and then named by its handle.

use std::sync::Arc;

use data::relation::Entity;
use data::{EntitySchema, Error, ErrorKind};
use napi_derive::napi;

use crate::error::js_error;

/// A checked entity schema, with the entities that it is related to.
#[napi]
pub struct NativeSchema {
    pub(crate) schema: Arc<EntitySchema>,
    pub(crate) entity: Entity,
}

#[napi]
impl NativeSchema {
    /// Reads a schema from its JSON text.
    ///
    /// # Errors
    /// Of the kind `Schema`, naming the entity and the field.
    #[napi(constructor)]
    pub fn new(json: String) -> napi::Result<Self> {
        let json: serde_json::Value = serde_json::from_str(&json)
            .map_err(|error| js_error(&Error::new(ErrorKind::Schema, format!("schema: {error}"))))?;
        let schema = EntitySchema::from_json(&json).map_err(|error| js_error(&error))?;
        Ok(Self::of(Arc::new(schema), &[]))
    }

    /// The same schema with the entities that its relations lead to, and those whose relations lead to it, at any
    /// distance.
    #[napi]
    pub fn with_related(&self, related: Vec<&NativeSchema>) -> NativeSchema {
        let related: Vec<_> = related.into_iter().map(|native| Arc::clone(&native.schema)).collect();
        Self::of(Arc::clone(&self.schema), &related)
    }

    fn of(schema: Arc<EntitySchema>, related: &[Arc<EntitySchema>]) -> Self {
        Self { entity: Entity::new(Arc::clone(&schema), related), schema }
    }
}
