//! Stands in for bindgen in the build of the SQL parser (`pg_query`), so that building needs no libclang.
//!
//! The build script of `pg_query` has bindgen read `pg_query.h` with libclang, which few machines have, and write
//! `bindings.rs`. The header is short and changes with the parser's version only, so this crate answers the same calls
//! with declarations that stand beside it, and refuses a header it was not written for.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the build script writes as `bindings.rs`.
const DECLARATIONS: &str = include_str!("declarations.rs.in");

/// The line of the header that names the version that the declarations are for.
const VERSION_LINE: &str = "#define PG_VERSION_NUM 180006";

/// Takes the header's path, as the builder of bindgen does.
#[derive(Debug, Default)]
pub struct Builder {
    header: PathBuf,
}

/// The declarations for the header.
#[derive(Debug)]
pub struct Bindings {
    text: &'static str,
}

/// The header is not the one that the declarations were written for.
#[derive(Debug)]
pub struct HeaderError {
    header: PathBuf,
    problem: String,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (header, problem) = (self.header.display(), &self.problem);
        write!(f, "{header}: {problem}; crates/parser-bindings must follow the version of pg_query")
    }
}

impl std::error::Error for HeaderError {}

impl Builder {
    /// Sets the header to declare.
    #[must_use]
    pub fn header(mut self, path: impl AsRef<str>) -> Self {
        self.header = PathBuf::from(path.as_ref());
        self
    }

    /// Gives the declarations of the header.
    ///
    /// # Errors
    /// [`HeaderError`] when the header cannot be read or is of another version.
    pub fn generate(self) -> Result<Bindings, HeaderError> {
        let problem = match fs::read_to_string(&self.header) {
            Ok(text) if text.lines().any(|line| line.trim() == VERSION_LINE) => {
                return Ok(Bindings { text: DECLARATIONS });
            }
            Ok(_) => format!("has no line {VERSION_LINE:?}"),
            Err(error) => error.to_string(),
        };
        Err(HeaderError { header: self.header, problem })
    }
}

impl Bindings {
    /// Writes the declarations to a file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_to_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        fs::write(path, self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_another_version_is_refused() {
        let path = std::env::temp_dir().join(format!("parser-bindings-{}.h", std::process::id()));
        fs::write(&path, "#define PG_VERSION_NUM 170000\n").unwrap();
        let refused = Builder::default().header(path.to_str().unwrap()).generate();
        fs::write(&path, format!("{VERSION_LINE}\n")).unwrap();
        let accepted = Builder::default().header(path.to_str().unwrap()).generate();
        fs::remove_file(&path).unwrap();
        assert!(refused.unwrap_err().to_string().contains("must follow the version"));
        assert!(accepted.is_ok());
    }
}
