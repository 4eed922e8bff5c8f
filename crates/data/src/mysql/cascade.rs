//! Tables whose rows the server changes by itself, without that any log tells it.

use super::pool::Link;
use super::session::fetch_on;
use super::syntax::quote;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::Access;

/// Refuses a table whose foreign keys change its rows: `why` says what does not tell of that.
///
/// # Errors
/// [`ErrorKind::Capture`] with the statement to run.
pub(super) async fn check(link: &mut Link, table: &str, why: &str) -> Result<()> {
    let sql = "SELECT CONSTRAINT_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS \
               WHERE CONSTRAINT_SCHEMA = DATABASE() AND TABLE_NAME = ? \
               AND (DELETE_RULE NOT IN ('RESTRICT', 'NO ACTION') OR UPDATE_RULE NOT IN ('RESTRICT', 'NO ACTION'))";
    let found = fetch_on(link, Access::Read, sql, &[table.into()]).await?.into_scalar();
    let Some(constraint) = found else { return Ok(()) };
    let constraint = constraint.as_text().unwrap_or_default();
    Err(Error::new(
        ErrorKind::Capture,
        format!(
            "changes of table \"{table}\" cannot be captured, as its foreign key \"{constraint}\" cascades, which {why}; \
             replace the key by one with RESTRICT: ALTER TABLE {} DROP FOREIGN KEY {}",
            quote(table),
            quote(constraint)
        ),
    ))
}
