//! The password file (`~/.pgpass`): lines of `host:port:database:user:password`.

use std::fs;
use std::path::Path;

use super::Host;

/// The password of the first line that matches. A file that others may read is not used, as with libpq.
pub(super) fn find(file: &Path, host: &Host, database: &str, user: &str) -> Option<String> {
    let metadata = fs::metadata(file).ok()?;
    if !metadata.is_file() || is_readable_by_others(&metadata) {
        tracing::warn!(
            file = %file.display(),
            "the password file is not used: it must be a plain file that only its owner can read (mode 0600)"
        );
        return None;
    }
    let text = fs::read_to_string(file).ok()?;
    let (name, port) = match host {
        Host::Tcp { name, port, .. } => (name.clone(), port.to_string()),
        Host::Unix { directory, port } if is_default_socket(directory) => {
            ("localhost".to_owned(), port.to_string())
        }
        Host::Unix { directory, port } => (directory.to_string_lossy().into_owned(), port.to_string()),
    };
    text.lines().find_map(|line| password(line, &[&name, &port, database, user]))
}

fn is_default_socket(directory: &Path) -> bool {
    directory == Path::new("/tmp") || directory == Path::new("/var/run/postgresql")
}

#[cfg(unix)]
fn is_readable_by_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &fs::Metadata) -> bool {
    false
}

/// The password in a line, where its other fields match `wanted` or are `*`.
fn password(line: &str, wanted: &[&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = split(line).into_iter();
    for value in wanted {
        let (raw, text) = fields.next()?;
        if raw != "*" && text != *value {
            return None;
        }
    }
    fields.next().map(|(_, password)| password)
}

/// The five fields of a line, each as written and with its escapes (`\:` and `\\`) undone. A colon in the
/// password needs no escape.
fn split(line: &str) -> Vec<(String, String)> {
    let mut fields = vec![(String::new(), String::new())];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let is_last = fields.len() == 5;
        let Some((raw, text)) = fields.last_mut() else { break };
        match character {
            ':' if !is_last => fields.push((String::new(), String::new())),
            '\\' => {
                let escaped = characters.next().unwrap_or('\\');
                raw.extend(['\\', escaped]);
                text.push(escaped);
            }
            _ => {
                raw.push(character);
                text.push(character);
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::password;

    const WANTED: [&str; 4] = ["db:1", "5432", "shop", "alice"];

    #[test]
    fn a_line_matches_by_its_fields_by_stars_and_by_escaped_colons() {
        assert_eq!(password(r"db\:1:5432:shop:alice:secret", &WANTED), Some("secret".into()));
        assert_eq!(password("*:*:*:*:secret", &WANTED), Some("secret".into()));
        assert_eq!(password(r"*:*:*:*:a\:b\\c:d", &WANTED), Some(r"a:b\c:d".into()));
    }

    #[test]
    fn a_line_of_another_server_a_comment_and_a_short_line_give_no_password() {
        for line in [r"other:5432:shop:alice:x", "*:5433:*:*:x", "#*:*:*:*:x", "", "*:*:*:*", r"\*:*:*:*:x"] {
            assert_eq!(password(line, &WANTED), None, "{line}");
        }
    }
}
