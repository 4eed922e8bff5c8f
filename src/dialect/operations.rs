//! Searching and summing up the rows of an entity, and atomic changes of one field.

use std::sync::Arc;

use data::Pipeline;
use data::record::including_deleted;
use napi::Env;
use napi::bindgen_prelude::AsyncBlock;
use napi_derive::napi;

use super::NativeDialect;
use crate::js_text::JsText;
use crate::schema::NativeSchema;
use crate::value::{
    read_filter, read_list, read_options, read_value, write_records, write_row, write_values,
};

#[napi]
impl NativeDialect {
    /// The different values of a field among the rows that pass the filter.
    #[napi]
    pub fn distinct(
        &self,
        env: &Env,
        schema: &NativeSchema,
        field: String,
        filter: Option<String>,
        options: Option<String>,
    ) -> napi::Result<AsyncBlock<String>> {
        let schema = Arc::clone(&schema.schema);
        self.run(env, |dialect| async move {
            let mut filter = read_filter(filter.as_deref())?;
            if read_options(options.as_deref())?.include_deleted {
                filter = including_deleted(&schema, filter);
            }
            write_values(dialect.distinct(&schema, &field, &filter).await?)
        })
    }

    /// The rows that the stages of an aggregation make.
    #[napi]
    pub fn aggregate(
        &self,
        env: &Env,
        schema: &NativeSchema,
        stages: String,
        options: Option<String>,
    ) -> napi::Result<AsyncBlock<String>> {
        let schema = Arc::clone(&schema.schema);
        self.run(env, |dialect| async move {
            let mut pipeline = Pipeline::parse(&read_list(Some(&stages))?)?;
            if read_options(options.as_deref())?.include_deleted {
                pipeline = pipeline.including_deleted(&schema);
            }
            write_records(&dialect.aggregate(&schema, &pipeline).await?)
        })
    }

    /// The rows that hold a text in one of the fields; without fields, in one of the string and text fields.
    #[napi]
    pub fn search(
        &self,
        env: &Env,
        schema: &NativeSchema,
        text: String,
        fields: Vec<String>,
        options: Option<String>,
    ) -> napi::Result<AsyncBlock<String>> {
        let schema = Arc::clone(&schema.schema);
        self.run(env, |dialect| async move {
            let options = read_options(options.as_deref())?;
            write_records(&dialect.search(&schema, &text, &fields, &options).await?)
        })
    }

    /// Adds an amount to a number field of one row and gives the row as it now is, if there is one.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn increment(
        &self,
        env: &Env,
        schema: &NativeSchema,
        id: String,
        field: String,
        amount: String,
    ) -> napi::Result<AsyncBlock<JsText>> {
        let entity = schema.entity.clone();
        self.run(env, |dialect| async move {
            let (id, amount) = (read_value(&id)?, read_value(&amount)?);
            Ok(write_row(entity.increment(&*dialect, &id, &field, &amount).await?.as_ref()))
        })
    }

    /// Adds a value to a list of one row, unless it is in it, and gives the row as it now is, if there is one.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn add_to_set(
        &self,
        env: &Env,
        schema: &NativeSchema,
        id: String,
        field: String,
        value: String,
    ) -> napi::Result<AsyncBlock<JsText>> {
        let entity = schema.entity.clone();
        self.run(env, |dialect| async move {
            let (id, value) = (read_value(&id)?, read_value(&value)?);
            Ok(write_row(entity.add_to_set(&*dialect, &id, &field, value).await?.as_ref()))
        })
    }

    /// Removes a value from a list of one row and gives the row as it now is, if there is one.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn pull(
        &self,
        env: &Env,
        schema: &NativeSchema,
        id: String,
        field: String,
        value: String,
    ) -> napi::Result<AsyncBlock<JsText>> {
        let entity = schema.entity.clone();
        self.run(env, |dialect| async move {
            let (id, value) = (read_value(&id)?, read_value(&value)?);
            Ok(write_row(entity.pull(&*dialect, &id, &field, &value).await?.as_ref()))
        })
    }
}
