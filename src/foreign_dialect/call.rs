//! Calls of the object in JavaScript: an operation by its name and its arguments as JSON, answered by JSON.

use data::{DatabaseReport, Error, ErrorKind, Record, Result, Value, json_text};
use napi::Status;
use napi::bindgen_prelude::{FnArgs, Promise};
use napi::threadsafe_function::ThreadsafeFunction;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::value::{read_list, write_records};

/// A JavaScript function that carries out an operation, given with its arguments as JSON. It does not keep the process
/// alive. Its promise does not reject: an error is an answer.
pub(crate) type ForeignFunction = ThreadsafeFunction<
    FnArgs<(String, String)>,
    Promise<String>,
    FnArgs<(String, String)>,
    Status,
    false,
    true,
>;

/// What an operation is given. Values stand in texts of rows, as they leave for JavaScript everywhere.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) collection: Option<&'a str>,
    /// Rows to be written, or keys as rows with nothing but their `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rows: Option<String>,
    /// How many rows are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limit: Option<usize>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) keys_only: bool,
    /// Only rows that hold this text in this column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) discriminator: Option<(&'a str, &'a str)>,
    /// Only rows that hold this moment, in ms, or a later one, or none, in this column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) changed_since: Option<(&'a str, i64)>,
    /// A further column in which that moment counts as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) or_changed_since: Option<&'a str>,
}

/// What an operation answers.
#[derive(Deserialize)]
struct Answer {
    /// A list: rows, or how many there were.
    ok: Option<Box<RawValue>>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    kind: String,
    code: Option<String>,
    message: String,
}

/// The object in JavaScript.
pub(super) struct ForeignCall(ForeignFunction);

impl ForeignCall {
    pub(super) fn new(function: ForeignFunction) -> Self {
        Self(function)
    }

    /// Runs an operation that answers nothing.
    pub(super) async fn run(&self, operation: &str, request: &Request<'_>) -> Result<()> {
        self.ask(operation, request).await.map(drop)
    }

    /// Runs an operation that answers with rows.
    pub(super) async fn rows(&self, operation: &str, request: &Request<'_>) -> Result<Vec<Record>> {
        let row = |value| match value {
            Value::Object(record) => Ok(*record),
            other => Err(malformed(operation, &format!("a row that is {}", other.type_name()))),
        };
        self.ask(operation, request).await?.into_iter().map(row).collect()
    }

    /// Runs an operation that answers with a number.
    pub(super) async fn count(&self, operation: &str, request: &Request<'_>) -> Result<u64> {
        let answer = self.ask(operation, request).await?;
        let count = answer.first().and_then(Value::as_integer).and_then(|count| u64::try_from(count).ok());
        count.ok_or_else(|| malformed(operation, "no number"))
    }

    async fn ask(&self, operation: &str, request: &Request<'_>) -> Result<Vec<Value>> {
        let arguments = serde_json::to_string(request)
            .map_err(|error| Error::new(ErrorKind::Internal, format!("arguments as JSON: {error}")))?;
        let call = self.0.call_async_catch(FnArgs::from((operation.to_owned(), arguments))).await;
        let promise = call.map_err(|error| gone(operation, &error))?;
        let text = promise.await.map_err(|error| gone(operation, &error))?;
        let answer: Answer =
            serde_json::from_str(&text).map_err(|error| malformed(operation, &error.to_string()))?;
        match answer {
            Answer { error: Some(failure), .. } => Err(failure.into_error()),
            Answer { ok: Some(list), .. } => read_list(Some(list.get())),
            Answer { .. } => Ok(Vec::new()),
        }
    }
}

impl Failure {
    fn into_error(self) -> Error {
        let error = Error::new(kind_of(&self.kind), self.message);
        match self.code {
            Some(code) => error.with_report(DatabaseReport { code, ..DatabaseReport::default() }),
            None => error,
        }
    }
}

/// The kind of this name. What an object says in words of its own concerns the statement.
fn kind_of(name: &str) -> ErrorKind {
    const KINDS: [ErrorKind; 20] = [
        ErrorKind::Config,
        ErrorKind::Connection,
        ErrorKind::Authentication,
        ErrorKind::Timeout,
        ErrorKind::Schema,
        ErrorKind::UnknownEntity,
        ErrorKind::UnknownTable,
        ErrorKind::Filter,
        ErrorKind::Value,
        ErrorKind::UniqueViolation,
        ErrorKind::NotNullViolation,
        ErrorKind::ForeignKeyViolation,
        ErrorKind::CheckViolation,
        ErrorKind::ReadOnly,
        ErrorKind::DiskFull,
        ErrorKind::Permission,
        ErrorKind::Conflict,
        ErrorKind::Transaction,
        ErrorKind::Unsupported,
        ErrorKind::Closed,
    ];
    KINDS.into_iter().find(|kind| format!("{kind:?}") == name).unwrap_or(ErrorKind::Statement)
}

/// The function cannot be reached: its environment is ending, or it broke its promise not to throw.
fn gone(operation: &str, error: &napi::Error) -> Error {
    Error::new(
        ErrorKind::Closed,
        format!("{operation}: the dialect's object cannot be called: {}", error.reason),
    )
}

fn malformed(operation: &str, what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("{operation}: the dialect's object answered with {what}"))
}

/// Keys as rows with nothing but their `id`.
pub(super) fn keys_as_rows(keys: &[Vec<Value>]) -> Result<String> {
    let row = |key: &Vec<Value>| match key.as_slice() {
        [id] => Ok(Record::from_iter([(data::schema::ID.to_owned(), id.clone())])),
        key => {
            let text = key.iter().map(json_text).collect::<Vec<_>>().join(", ");
            Err(Error::new(ErrorKind::Value, format!("({text}) is no key of an entity")))
        }
    };
    write_records(&keys.iter().map(row).collect::<Result<Vec<_>>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_object_keeps_its_kind_and_code() {
        let failure = |kind: &str, code: Option<&str>| {
            let code = code.map(str::to_owned);
            Failure { kind: kind.to_owned(), code, message: "no".to_owned() }.into_error()
        };
        let taken = failure("UniqueViolation", Some("ORA-00001"));
        assert_eq!((taken.kind(), taken.code()), (ErrorKind::UniqueViolation, "ORA-00001"));
        assert_eq!(failure("SomethingElse", None).kind(), ErrorKind::Statement);
    }

    #[test]
    fn only_a_key_of_one_column_is_a_key_of_an_entity() {
        assert_eq!(keys_as_rows(&[vec!["a".into()]]).unwrap(), r#"{"rows":[{"id":"a"}]}"#);
        assert!(keys_as_rows(&[vec!["a".into(), 1.into()]]).is_err());
    }
}
