//! Reading rows together with what their relations lead to.

use data::record::identity_filter;
use napi::Env;
use napi::bindgen_prelude::AsyncBlock;
use napi_derive::napi;

use super::NativeDialect;
use crate::js_text::JsText;
use crate::schema::NativeSchema;
use crate::value::{read_filter, read_options, read_value, write_records, write_row};

#[napi]
impl NativeDialect {
    /// The rows that pass the filter, with these relations.
    #[napi]
    pub fn find_with_relations(
        &self,
        env: &Env,
        schema: &NativeSchema,
        filter: Option<String>,
        relations: Vec<String>,
        options: Option<String>,
    ) -> napi::Result<AsyncBlock<String>> {
        let entity = schema.entity.clone();
        self.run(env, |dialect| async move {
            let filter = read_filter(filter.as_deref())?;
            let options = read_options(options.as_deref())?;
            write_records(&entity.find_with_relations(&*dialect, &filter, &relations, &options).await?)
        })
    }

    /// The row, if there is one, of an id, of `{id}`, or of the fields of a unique index, with these relations.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn find_by_id_with_relations(
        &self,
        env: &Env,
        schema: &NativeSchema,
        identity: String,
        relations: Vec<String>,
        options: Option<String>,
    ) -> napi::Result<AsyncBlock<JsText>> {
        let entity = schema.entity.clone();
        self.run(env, |dialect| async move {
            let filter = identity_filter(entity.schema(), &read_value(&identity)?)?;
            let mut options = read_options(options.as_deref())?;
            options.limit = Some(1);
            let rows = entity.find_with_relations(&*dialect, &filter, &relations, &options).await?;
            Ok(write_row(rows.first()))
        })
    }
}
