//! Many rows created in one call, each for itself, in a transaction that they share where they are written at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use data::relation::Entity;
use data::{Dialect, Error, ErrorKind, Value};
use napi::Env;
use napi::bindgen_prelude::{Array, AsyncBlockBuilder};
use napi_derive::napi;

use super::NativeDialect;
use crate::error::js_error;
use crate::schema::NativeSchema;
use crate::task::without_panic;
use crate::value::{RowText, read_list};

/// The creation of a row, which gives its text.
type RowFuture = Pin<Box<dyn Future<Output = data::Result<RowText>> + Send>>;

/// What came of a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The next of the rows.
    Row,
    /// The next of the errors.
    Failed,
    /// The next of the promises.
    Pending,
    /// Nothing, not even a failure: what was done has been undone with the rest.
    Undone,
}

impl Outcome {
    /// What JavaScript knows it by.
    fn letter(self) -> char {
        match self {
            Self::Row => 'r',
            Self::Failed => 'f',
            Self::Pending => 'p',
            Self::Undone => 'u',
        }
    }
}

/// What came of several creations.
#[derive(Default)]
struct Outcomes {
    each: Vec<Outcome>,
    rows: Vec<RowText>,
    errors: Vec<Error>,
    pending: Vec<RowFuture>,
}

#[napi]
impl NativeDialect {
    /// Inserts these records, which are a list, each for itself. Gives what came of each as a text of one letter for each: `r`
    /// a row, which is the next in the list that the second text holds; `f` an error, the next of the third; `p` a promise,
    /// the next of the fourth; `u` nothing has happened.
    #[napi(ts_return_type = "[string, string, string[], Promise<string>[]]")]
    pub fn create_each<'env>(
        &self,
        env: &'env Env,
        schema: &NativeSchema,
        records: String,
    ) -> napi::Result<Array<'env>> {
        let records = read_list(Some(&records)).map_err(|error| js_error(&error))?;
        let dialect = self.session.get()?.dialect();
        let shared = schema.entity.share_transaction(&*dialect);
        let mut outcomes = Outcomes::default();
        {
            let _entered = self.session.runtime().enter();
            for record in records {
                let created = created_row(schema.entity.clone(), Arc::clone(&dialect), record);
                outcomes.add(Box::pin(without_panic(created)));
            }
        }
        if shared.is_some_and(|shared| !shared.end()) {
            outcomes.undo();
        }
        outcomes.into_array(env)
    }
}

impl Outcomes {
    fn add(&mut self, mut future: RowFuture) {
        // Nobody has to be woken: the runtime takes the next step in any case.
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(row)) => {
                self.each.push(Outcome::Row);
                self.rows.push(row);
            }
            Poll::Ready(Err(error)) => {
                self.each.push(Outcome::Failed);
                self.errors.push(error);
            }
            Poll::Pending => {
                self.each.push(Outcome::Pending);
                self.pending.push(future);
            }
        }
    }

    /// Forgets what was finished.
    fn undo(&mut self) {
        self.rows.clear();
        self.errors.clear();
        for outcome in self.each.iter_mut().filter(|outcome| **outcome != Outcome::Pending) {
            *outcome = Outcome::Undone;
        }
    }

    fn into_array(self, env: &Env) -> napi::Result<Array<'_>> {
        let mut outcomes = env.create_array(4)?;
        outcomes.set(0, self.each.into_iter().map(Outcome::letter).collect::<String>())?;
        outcomes.set(1, RowText::list(&self.rows))?;
        let mut errors = env.create_array(0)?;
        for error in &self.errors {
            errors.insert(js_error(error).reason.clone())?;
        }
        outcomes.set(2, errors)?;
        let mut promises = env.create_array(0)?;
        for future in self.pending {
            let text = async move { future.await.map(RowText::finish).map_err(|error| js_error(&error)) };
            promises.insert(AsyncBlockBuilder::new(text).build(env)?)?;
        }
        outcomes.set(3, promises)?;
        Ok(outcomes)
    }
}

/// The row that a record became.
async fn created_row(entity: Entity, dialect: Arc<dyn Dialect>, record: Value) -> data::Result<RowText> {
    let Value::Object(record) = record else {
        let found = record.type_name();
        return Err(Error::new(ErrorKind::Value, format!("expected a record, found {found}")));
    };
    let mut row = RowText::default();
    entity.create_into(&*dialect, *record, &mut row).await?;
    Ok(row)
}
