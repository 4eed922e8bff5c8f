//! The tables beneath the entities: dropping and emptying them.

use std::sync::Arc;

use data::EntitySchema;
use napi::Env;
use napi::bindgen_prelude::AsyncBlock;
use napi_derive::napi;

use super::NativeDialect;
use crate::schema::NativeSchema;

#[napi]
impl NativeDialect {
    /// Brings the tables of these entities into being, as the schema strategy says.
    #[napi]
    pub fn init_schema(&self, env: &Env, schemas: Vec<&NativeSchema>) -> napi::Result<AsyncBlock<()>> {
        let schemas = cores_of(schemas);
        self.run(env, |dialect| async move { dialect.init_schema(&schemas).await })
    }

    /// Drops a table, given without the prefix, if it exists.
    #[napi]
    pub fn drop_table(&self, env: &Env, collection: String) -> napi::Result<AsyncBlock<()>> {
        self.run(env, |dialect| async move { dialect.drop_table(&collection).await })
    }

    /// Empties a table, given without the prefix.
    #[napi]
    pub fn truncate_table(&self, env: &Env, collection: String) -> napi::Result<AsyncBlock<()>> {
        self.run(env, |dialect| async move { dialect.truncate_table(&collection).await })
    }

    /// Drops the tables of these entities with their junctions, and gives their names.
    #[napi]
    pub fn drop_schema(
        &self,
        env: &Env,
        schemas: Vec<&NativeSchema>,
    ) -> napi::Result<AsyncBlock<Vec<String>>> {
        let schemas = cores_of(schemas);
        self.run(env, |dialect| async move { dialect.drop_schema(&schemas).await })
    }

    /// Empties the tables of these entities with their junctions, and gives their names.
    #[napi]
    pub fn truncate_all(
        &self,
        env: &Env,
        schemas: Vec<&NativeSchema>,
    ) -> napi::Result<AsyncBlock<Vec<String>>> {
        let schemas = cores_of(schemas);
        self.run(env, |dialect| async move { dialect.truncate_all(&schemas).await })
    }

    /// Drops every table of the application.
    #[napi]
    pub fn drop_all_tables(&self, env: &Env) -> napi::Result<AsyncBlock<()>> {
        self.run(env, |dialect| async move { dialect.drop_all_tables().await })
    }
}

fn cores_of(schemas: Vec<&NativeSchema>) -> Vec<Arc<EntitySchema>> {
    schemas.into_iter().map(|native| Arc::clone(&native.schema)).collect()
}
