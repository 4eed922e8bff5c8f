//! What a server is: its kind, and what it takes.

/// The two kinds of servers, which differ in their SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerKind {
    Mysql,
    Mariadb,
}

impl ServerKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
        }
    }

    /// The collation of text: every character counts, case, accents and trailing spaces too. MySQL has it since 8.0.17.
    pub(super) fn exact_collation(self) -> &'static str {
        match self {
            Self::Mysql => "utf8mb4_0900_bin",
            Self::Mariadb => "utf8mb4_nopad_bin",
        }
    }
}

/// A server as it was found on connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) kind: ServerKind,
    /// The longest packet that it takes, in bytes.
    pub(super) max_packet: usize,
}

impl Server {
    /// A server by what `VERSION()` and `@@max_allowed_packet` say.
    pub(super) fn new(version: &str, max_packet: usize) -> Self {
        let is_mariadb = version.to_ascii_lowercase().contains("mariadb");
        Self { kind: if is_mariadb { ServerKind::Mariadb } else { ServerKind::Mysql }, max_packet }
    }

    /// What every session is set to, whatever the server's defaults: values that do not fit are refused and never cut,
    /// and moments are in UTC.
    pub(super) fn session_settings(self) -> String {
        let collation = self.kind.exact_collation();
        format!(
            "SET NAMES utf8mb4 COLLATE {collation}, time_zone = '+00:00', \
             sql_mode = 'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_is_told_by_the_version() {
        for (version, kind) in [
            ("10.11.14-MariaDB-0+deb12u2", ServerKind::Mariadb),
            ("5.5.5-11.8.2-MariaDB-log", ServerKind::Mariadb),
            ("8.4.3", ServerKind::Mysql),
            ("8.0.36-28 Percona Server", ServerKind::Mysql),
        ] {
            assert_eq!(Server::new(version, 0).kind, kind, "{version}");
        }
    }
}
