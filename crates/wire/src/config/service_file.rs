//! The service file (`pg_service.conf`): named sets of parameters, each under its `[name]`.

use std::fs;
use std::path::{Path, PathBuf};

use super::settings::{Settings, printable};
use crate::error::ConfigError;

/// Sets what the service that is asked for says of parameters that the connection string leaves out. Its name is that of the
/// parameter `service`, else of `PGSERVICE`. As with libpq, the user's file comes before that of the system.
pub(super) fn read(
    settings: &mut Settings,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(), ConfigError> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let Some(service) = settings.get("service").map(str::to_owned).or_else(|| variable("PGSERVICE")) else {
        return Ok(());
    };
    let files = [
        variable("PGSERVICEFILE").map(PathBuf::from).or_else(|| user_file(&variable)),
        variable("PGSYSCONFDIR").map(|directory| Path::new(&directory).join("pg_service.conf")),
    ];
    for file in files.into_iter().flatten() {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        if let Some(parameters) = section(&text, &service) {
            return add(settings, parameters, &file);
        }
    }
    Err(ConfigError::new("service", format!("no service file has the service {}", printable(&service))))
}

fn user_file(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if cfg!(windows) {
        return Some(Path::new(&variable("APPDATA")?).join("postgresql").join(".pg_service.conf"));
    }
    Some(Path::new(&variable("HOME")?).join(".pg_service.conf"))
}

/// The lines of a service; `None` if the text does not have it.
fn section<'t>(text: &'t str, service: &str) -> Option<Vec<(usize, &'t str)>> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let name = |line: &'t str| line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
    lines.find(|(_, line)| name(line) == Some(service))?;
    Some(lines.take_while(|(_, line)| !line.starts_with('[')).collect())
}

/// The message does not repeat a line, which may hold a password.
fn add(settings: &mut Settings, lines: Vec<(usize, &str)>, file: &Path) -> Result<(), ConfigError> {
    let has_host = settings.get("host").is_some();
    for (number, line) in lines {
        let problem =
            |what: &str| ConfigError::new("service", format!("line {number} of {}: {what}", file.display()));
        let (name, value) = line.split_once('=').ok_or_else(|| problem("there is no = after a name"))?;
        let name = name.trim_end();
        if name == "service" {
            return Err(problem("a service cannot name another"));
        }
        // The addresses and the names of hosts belong together.
        let is_given = settings.get(name).is_some() || name == "hostaddr" && has_host;
        if !is_given {
            settings.set(name, value.trim_start().to_owned()).map_err(|error| problem(&error.to_string()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# ours\n[shop]\nhost = db.example\n port=5433\ndbname=shop\npassword=a=b #c\n\n[other]\nhost=x\n[twice]\nservice=shop\n[bad]\nno sign\n[odd]\ncolour=s3cret\n";

    fn with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".pg_service.conf"), FILE).unwrap();
        fs::write(folder.path().join("pg_service.conf"), "[system]\nhost=s\n[shop]\nhost=never\n").unwrap();
        let place = folder.path().to_str().unwrap().to_owned();
        let environment = |name: &str| match name {
            "HOME" | "APPDATA" | "PGSYSCONFDIR" => Some(place.clone()),
            name => variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
        };
        let mut settings = Settings::default();
        super::super::uri::read(text, &mut settings)?;
        read(&mut settings, &environment)?;
        Ok(settings)
    }

    fn values(settings: &Settings) -> Vec<Option<&str>> {
        ["host", "port", "dbname", "password"].into_iter().map(|name| settings.get(name)).collect()
    }

    #[test]
    fn a_service_gives_what_the_connection_string_leaves_out() {
        let settings = with("?service=shop", &[]).ok().unwrap();
        assert_eq!(values(&settings), [Some("db.example"), Some("5433"), Some("shop"), Some("a=b #c")]);
        let settings = with("h:1/d", &[("PGSERVICE", "shop")]).ok().unwrap();
        assert_eq!(values(&settings), [Some("h"), Some("1"), Some("d"), Some("a=b #c")]);
        let settings = with("?service=system", &[]).ok().unwrap();
        assert_eq!(values(&settings), [Some("s"), None, None, None]);
    }

    #[test]
    fn what_is_wrong_with_a_service_is_told_without_its_values() {
        for (service, expected) in [
            ("gone", "no service file has the service gone"),
            ("twice", "line 11 of"),
            ("bad", "line 13 of"),
            ("odd", "line 15 of"),
        ] {
            let error = with(&format!("?service={service}"), &[]).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
