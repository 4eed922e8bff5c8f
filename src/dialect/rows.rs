//! Reading and writing the rows of an entity.

use data::record::identity_filter;
use napi::Env;
use napi::bindgen_prelude::{AsyncBlock, Either};
use napi_derive::napi;

use super::batches::{NativeRowBatches, read_rows};
use super::{NativeDialect, js_count};
use crate::js_text::JsText;
use crate::schema::NativeSchema;
use crate::value::{
    RowText, RowWriter, SomeRows, read_filter, read_options, read_record, read_value, write_row,
};

#[napi]
impl NativeDialect {
    /// The rows that pass the filter: all of them if they are few.
    #[napi(ts_return_type = "Promise<string | [string, ArrayBuffer, ...string[]] | NativeRowBatches>")]
    pub fn find(
        &self,
        env: &Env,
        schema: &NativeSchema,
        filter: Option<String>,
        options: Option<String>,
    ) -> napi::Result<AsyncBlock<Either<SomeRows, NativeRowBatches>>> {
        let entity = schema.entity.clone();
        let statements = self.statements.clone();
        self.run(env, |dialect| async move {
            let filter = read_filter(filter.as_deref())?;
            let options = read_options(options.as_deref())?;
            let read = |mut rows: RowWriter| async move {
                entity.find_into(&*dialect, &filter, &options, &mut rows).await?;
                Ok(rows)
            };
            read_rows(|rows| statements.record(read(rows))).await
        })
    }

    /// The row, if there is one, of an id, of `{id}`, or of the fields of a unique index.
    #[napi(ts_return_type = "string | Promise<string>")]
    pub fn find_by_id(
        &self,
        env: &Env,
        schema: &NativeSchema,
        identity: String,
        options: Option<String>,
    ) -> napi::Result<Either<JsText, AsyncBlock<JsText>>> {
        let entity = schema.entity.clone();
        self.run_on_row(env, identity.len(), |dialect| async move {
            let filter = identity_filter(entity.schema(), &read_value(&identity)?)?;
            let mut options = read_options(options.as_deref())?;
            options.limit = Some(1);
            let mut row = RowText::default();
            entity.find_into(&*dialect, &filter, &options, &mut row).await?;
            Ok(row.finish())
        })
    }

    /// How many rows pass the filter.
    #[napi]
    pub fn count(
        &self,
        env: &Env,
        schema: &NativeSchema,
        filter: Option<String>,
        options: Option<String>,
    ) -> napi::Result<AsyncBlock<f64>> {
        let entity = schema.entity.clone();
        self.run(env, |dialect| async move {
            let filter = read_filter(filter.as_deref())?;
            let options = read_options(options.as_deref())?;
            Ok(js_count(dialect.count(entity.schema(), &filter, options.include_deleted).await?))
        })
    }

    /// Inserts a row and gives it as stored.
    #[napi(ts_return_type = "string | Promise<string>")]
    pub fn create(
        &self,
        env: &Env,
        schema: &NativeSchema,
        record: String,
    ) -> napi::Result<Either<JsText, AsyncBlock<JsText>>> {
        let entity = schema.entity.clone();
        self.run_on_row(env, record.len(), |dialect| async move {
            let mut row = RowText::default();
            entity.create_into(&*dialect, read_record(&record)?, &mut row).await?;
            Ok(row.finish())
        })
    }

    /// Changes the row of an id and gives it as stored, if there is one.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn update(
        &self,
        env: &Env,
        schema: &NativeSchema,
        id: String,
        changes: String,
    ) -> napi::Result<AsyncBlock<JsText>> {
        let entity = schema.entity.clone();
        self.run(env, |dialect| async move {
            let record = entity.update(&*dialect, &read_value(&id)?, read_record(&changes)?).await?;
            Ok(write_row(record.as_ref()))
        })
    }

    /// Deletes the row of an id; whether there was one.
    #[napi]
    pub fn delete(&self, env: &Env, schema: &NativeSchema, id: String) -> napi::Result<AsyncBlock<bool>> {
        let entity = schema.entity.clone();
        self.run(env, |dialect| async move { entity.delete(&*dialect, &read_value(&id)?).await })
    }

    /// Changes the first row that passes the filter or inserts one, and gives it as stored.
    #[napi(ts_return_type = "Promise<string>")]
    pub fn upsert(
        &self,
        env: &Env,
        schema: &NativeSchema,
        filter: Option<String>,
        record: String,
    ) -> napi::Result<AsyncBlock<JsText>> {
        let entity = schema.entity.clone();
        self.run(env, |dialect| async move {
            let filter = read_filter(filter.as_deref())?;
            let upserted = entity.upsert(&*dialect, &filter, read_record(&record)?).await?;
            Ok(write_row(Some(&upserted.record)))
        })
    }

    /// Changes every row that passes the filter; how many there were.
    #[napi]
    pub fn update_many(
        &self,
        env: &Env,
        schema: &NativeSchema,
        filter: Option<String>,
        changes: String,
    ) -> napi::Result<AsyncBlock<f64>> {
        let entity = schema.entity.clone();
        self.run(env, |dialect| async move {
            let filter = read_filter(filter.as_deref())?;
            Ok(js_count(entity.update_many(&*dialect, &filter, read_record(&changes)?).await?))
        })
    }

    /// Deletes every row that passes the filter; how many there were.
    #[napi]
    pub fn delete_many(
        &self,
        env: &Env,
        schema: &NativeSchema,
        filter: Option<String>,
    ) -> napi::Result<AsyncBlock<f64>> {
        let entity = schema.entity.clone();
        self.run(env, |dialect| async move {
            let filter = read_filter(filter.as_deref())?;
            Ok(js_count(entity.delete_many(&*dialect, &filter).await?))
        })
    }
}
