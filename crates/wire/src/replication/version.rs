//! The server's major version, on which the syntax of commands and the options of a stream depend.

use crate::connection::Connection;
use crate::error::{Error, Result};

impl Connection {
    /// The server's major version, as 15 (9 for every 9.x).
    ///
    /// # Errors
    /// [`Error::Protocol`] where the server has reported none.
    pub fn server_major_version(&self) -> Result<u32> {
        self.parameter("server_version")
            .and_then(major)
            .ok_or_else(|| Error::protocol("the server has not told its version"))
    }
}

fn major(version: &str) -> Option<u32> {
    let end = version.find(|character: char| !character.is_ascii_digit()).unwrap_or(version.len());
    version.get(..end)?.parse().ok()
}

/// # Errors
/// The server is older than `needed`.
pub(super) fn require(present: u32, needed: u32, parameter: &str) -> Result<()> {
    if present >= needed {
        return Ok(());
    }
    Err(Error::config(
        parameter,
        format!("it needs PostgreSQL {needed} or later, and the server is {present}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_the_number_at_the_beginning() {
        for (text, number) in [
            ("15.14 (Debian 15.14-0+deb12u1)", Some(15)),
            ("17beta1", Some(17)),
            ("9.6.24", Some(9)),
            ("18", Some(18)),
            ("", None),
            ("devel", None),
        ] {
            assert_eq!(major(text), number, "{text}");
        }
    }

    #[test]
    fn what_an_older_server_lacks_is_refused_by_its_name() {
        assert!(require(14, 14, "streaming").is_ok());
        let error = require(13, 14, "streaming").unwrap_err().to_string();
        assert!(error.contains("streaming") && error.contains("14 or later"), "{error}");
    }
}
