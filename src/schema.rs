//! An entity schema, parsed once and then named by its handle.

use std::sync::Arc;

use data::{EntitySchema, Error, ErrorKind};
use napi_derive::napi;

use crate::error::js_error;

/// A checked entity schema.
#[napi]
pub struct NativeSchema {
    pub(crate) schema: Arc<EntitySchema>,
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
        Ok(Self { schema: Arc::new(schema) })
    }
}
