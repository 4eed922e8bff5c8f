//! The tree file: replicas, rules and routing as JSON, with passwords masked.

use std::io::Write;
use std::path::Path;

use data::PoolSize;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::topology::{Feed, ReadRouting, Replica, Role, Topology};

/// The content of a tree file.
#[derive(Serialize)]
pub(crate) struct Tree<'a> {
    replicas: IndexMap<&'a str, IndexMap<&'a str, Entry<'a>>>,
    rules: IndexMap<&'a str, &'a Rule>,
    routing: IndexMap<&'a str, &'static str>,
}

/// What a tree file says of replicas that were not connected, by project and name.
pub(crate) type KeptReplicas = IndexMap<String, IndexMap<String, serde_json::Value>>;

/// What stands in place of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// `***`.
    Masked,
    /// A reference to a variable that holds the whole URI.
    Variables,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Entered(ReplicaEntry),
    Kept(&'a serde_json::Value),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplicaEntry {
    role: Role,
    dialect: String,
    uri: String,
    pool: PoolEntry,
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_tolerance: Option<u64>,
    schema_strategy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    feed: Option<&'static str>,
}

#[derive(Serialize)]
struct PoolEntry {
    min: usize,
    max: usize,
}

impl From<PoolSize> for PoolEntry {
    fn from(PoolSize { min, max }: PoolSize) -> Self {
        Self { min, max }
    }
}

impl<'a> Tree<'a> {
    pub(crate) fn of(
        topology: &'a Topology,
        kept: &'a KeptReplicas,
        rules: &'a IndexMap<String, Rule>,
        secrets: Secrets,
    ) -> Self {
        let mut replicas: IndexMap<&'a str, IndexMap<&'a str, Entry<'a>>> = IndexMap::new();
        for project in topology.projects() {
            let entered = topology.replicas(project).map(|replica| {
                (replica.config.name.as_str(), Entry::Entered(entry(project, replica, secrets)))
            });
            replicas.insert(project, entered.collect());
        }
        for (project, names) in kept {
            let entries = replicas.entry(project).or_default();
            for (name, entry) in names {
                entries.entry(name).or_insert(Entry::Kept(entry));
            }
        }
        Self {
            replicas,
            rules: rules.iter().map(|(name, rule)| (name.as_str(), rule)).collect(),
            routing: topology
                .routings()
                .map(|(project, routing)| (project.as_str(), routing.name()))
                .collect(),
        }
    }

    /// Writes the file whole or not at all, and makes its folder.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let fail = |error: &dyn std::fmt::Display| tree_error(path, format!("cannot be written: {error}"));
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| fail(&error))?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| fail(&error))?;
        let text = serde_json::to_string_pretty(self).map_err(|error| fail(&error))?;
        file.write_all(text.as_bytes()).map_err(|error| fail(&error))?;
        file.as_file().sync_all().map_err(|error| fail(&error))?;
        file.persist(path).map_err(|error| fail(&error.error))?;
        Ok(())
    }
}

fn entry(project: &str, replica: &Replica, secrets: Secrets) -> ReplicaEntry {
    let config = &replica.config;
    let masked = mask_password(&config.uri);
    let uri = match secrets {
        Secrets::Variables if masked != config.uri => format!("${{{}}}", uri_variable(project, &config.name)),
        _ => masked,
    };
    ReplicaEntry {
        role: config.role,
        dialect: config.dialect.clone(),
        uri,
        pool: config.pool.into(),
        lag_tolerance: config.lag_tolerance,
        schema_strategy: config.schema_strategy.name(),
        feed: (config.feed != Feed::Auto).then(|| config.feed.name()),
    }
}

/// The variable that holds the URI of a replica: capitals, and anything else than letters and digits as one `_`.
fn uri_variable(project: &str, name: &str) -> String {
    let part = |text: &str| {
        text.chars().fold(String::new(), |mut part, letter| {
            if letter.is_ascii_alphanumeric() {
                part.push(letter.to_ascii_uppercase());
            } else if !part.ends_with('_') {
                part.push('_');
            }
            part
        })
    };
    format!("REPLICATOR_{}_{}_URI", part(project), part(name))
}

/// What a tree file gives back: the rules and the routing, and replicas as they stand there, as their passwords are masked.
#[derive(Debug)]
pub(crate) struct LoadedTree {
    pub(crate) rules: Vec<Rule>,
    pub(crate) routing: Vec<(String, ReadRouting)>,
    pub(crate) replicas: KeptReplicas,
}

#[derive(Deserialize)]
struct RawTree {
    #[serde(default)]
    replicas: KeptReplicas,
    #[serde(default)]
    rules: IndexMap<String, serde_json::Value>,
    #[serde(default)]
    routing: IndexMap<String, String>,
}

impl LoadedTree {
    /// Reads and checks the whole file before anything of it is used.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| tree_error(path, format!("cannot be read: {error}")))?;
        let not_a_tree = |error: serde_json::Error| tree_error(path, format!("is not a tree file: {error}"));
        // A list would be taken for the fields in order, so that the text is read as an object first.
        let object: serde_json::Map<_, _> = serde_json::from_str(&text).map_err(not_a_tree)?;
        let raw: RawTree = serde_json::from_value(object.into()).map_err(not_a_tree)?;
        let invalid = |error: Error| tree_error(path, error.to_string());
        check_roles(&raw.replicas).map_err(invalid)?;
        let rules = raw.rules.into_iter().map(|(name, mut rule)| {
            if let Some(fields) = rule.as_object_mut() {
                fields.entry("name").or_insert_with(|| name.into());
            }
            Rule::from_json(rule).map_err(invalid)
        });
        let routing = raw.routing.into_iter().map(|(project, strategy)| {
            ReadRouting::parse(&strategy).map(|routing| (project, routing)).map_err(invalid)
        });
        Ok(Self {
            rules: rules.collect::<Result<_>>()?,
            routing: routing.collect::<Result<_>>()?,
            replicas: raw.replicas,
        })
    }
}

/// What else replicas say is looked at once they are connected.
fn check_roles(replicas: &KeptReplicas) -> Result<()> {
    for (project, replicas) in replicas {
        for (name, replica) in replicas {
            let is_known = |role: &serde_json::Value| matches!(role.as_str(), Some("master" | "slave"));
            if replica.get("role").is_some_and(|role| !is_known(role)) {
                let problem = "expected \"master\" or \"slave\"";
                return Err(Error::config(format!("replicas.{project}.{name}.role"), problem));
            }
        }
    }
    Ok(())
}

/// Replaces the password of a URI by `***`. It ends at the last `@` before the path, because a password that was
/// not percent-encoded may hold one; a password given as a query parameter is masked too.
pub(crate) fn mask_password(uri: &str) -> String {
    let Some(authority) = uri.find("://").map(|scheme| scheme + 3) else {
        return mask_keyword(uri);
    };
    let mut masked = uri.to_owned();
    let end = uri[authority..].find(['/', '?']).map_or(uri.len(), |length| authority + length);
    // A slash within an unencoded password would end the authority too early; the last @ decides.
    let end = if uri[authority..end].contains('@') { end } else { uri.len() };
    if let Some(at) = uri[authority..end].rfind('@').map(|at| authority + at)
        && let Some(colon) = uri[authority..at].find(':').map(|colon| authority + colon)
    {
        masked.replace_range(colon + 1..at, "***");
    }
    mask_parameters(&masked)
}

/// Masks the password of a connection string of `name=value` pairs, whose values may be in quotes.
fn mask_keyword(text: &str) -> String {
    let Some(name) = text.find("password") else { return text.to_owned() };
    let rest = &text[name + "password".len()..];
    let Some(value) = rest.trim_start().strip_prefix('=').map(str::trim_start) else {
        return text.to_owned();
    };
    let start = text.len() - value.len();
    let length = match value.strip_prefix('\'') {
        Some(quoted) => closing_quote(quoted).map_or(value.len(), |end| end + 2),
        None => value.find(char::is_whitespace).unwrap_or(value.len()),
    };
    format!("{}***{}", &text[..start], &text[start + length..])
}

/// Where the quote that ends a value stands; one behind a backslash belongs to the value.
fn closing_quote(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\'' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

/// Masks the parameters that hold a secret: passwords of any kind, and the session token among MongoDB's
/// `authMechanismProperties`.
fn mask_parameters(uri: &str) -> String {
    let Some((base, query)) = uri.split_once('?') else { return uri.to_owned() };
    let is_secret = |name: &str| {
        let name = name.to_lowercase();
        name.ends_with("password") || name == "authmechanismproperties"
    };
    let masked = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}=***"),
        _ => pair.to_owned(),
    });
    format!("{base}?{}", masked.collect::<Vec<_>>().join("&"))
}

fn tree_error(path: &Path, problem: String) -> Error {
    Error::TreeFile { path: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_wherever_a_uri_holds_them() {
        for (uri, masked) in [
            ("postgres://u:secret@h:1/db", "postgres://u:***@h:1/db"),
            ("mongodb://u:p%40ss@a:1,b:2/db?replicaSet=r", "mongodb://u:***@a:1,b:2/db?replicaSet=r"),
            ("postgres://u:p@ss@h/db", "postgres://u:***@h/db"),
            ("postgres://u:p/ss@h/db", "postgres://u:***@h/db"),
            ("postgres://h/db?user=u&password=secret", "postgres://h/db?user=u&password=***"),
            ("postgres://u@h/db?sslpassword=secret", "postgres://u@h/db?sslpassword=***"),
            (
                "mongodb://h/?tlsCertificateKeyFilePassword=s&w=1",
                "mongodb://h/?tlsCertificateKeyFilePassword=***&w=1",
            ),
            ("postgres://u@h/db", "postgres://u@h/db"),
            ("/var/lib/app.db", "/var/lib/app.db"),
            ("host=h password=secret dbname=d", "host=h password=*** dbname=d"),
            ("host=h password = 'se cret' dbname=d", "host=h password = *** dbname=d"),
            (r"password='a\'b c' host=h", "password=*** host=h"),
        ] {
            assert_eq!(mask_password(uri), masked);
        }
    }

    #[test]
    fn a_corrupt_file_is_refused_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tree.json");
        for text in [
            "{",
            "[]",
            r#"{"rules": {"r": {"mode": "snapshot"}}}"#,
            r#"{"routing": {"p": "nearest"}}"#,
            r#"{"replicas": {"p": {"m": {"role": "boss"}}}}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            let error = LoadedTree::read(&path).unwrap_err();
            assert!(
                matches!(error, Error::TreeFile { .. }) && error.to_string().contains("tree.json"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_keeps_rules_routing_and_replicas_that_were_not_connected_but_no_password() {
        let mut topology = Topology::default();
        let mut config = crate::topology::ReplicaConfig::for_tests("m", Role::Master);
        config.uri = "postgres://u:secret@h/db".to_owned();
        topology.reserve("shop", Replica::connecting(config, Vec::new())).unwrap();
        topology.set_routing("shop", ReadRouting::LeastLag);
        let rule = serde_json::json!({"name": "r", "source": "shop", "target": "x", "mode": "cdc", "collections": ["*"]});
        let rules = IndexMap::from([("r".to_owned(), Rule::from_json(rule).unwrap())]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/tree.json");
        let kept = KeptReplicas::from([(
            "shop".to_owned(),
            IndexMap::from([
                ("m".to_owned(), serde_json::json!({})),
                ("n".to_owned(), serde_json::json!({"uri": "n.db"})),
            ]),
        )]);
        Tree::of(&topology, &kept, &rules, Secrets::Masked).save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("postgres://u:***@h/db") && !text.contains("secret"));
        assert!(text.starts_with("{\n  \"replicas\": {\n    \"shop\""), "{text}");
        let loaded = LoadedTree::read(&path).unwrap();
        assert_eq!(loaded.rules, [rules["r"].clone()]);
        assert_eq!(loaded.routing, [("shop".to_owned(), ReadRouting::LeastLag)]);
        assert_eq!(loaded.replicas["shop"]["m"]["role"], "master");
        assert_eq!(loaded.replicas["shop"]["n"]["uri"], "n.db");
        Tree::of(&topology, &kept, &rules, Secrets::Variables).save(&path).unwrap();
        let loaded = LoadedTree::read(&path).unwrap();
        assert_eq!(loaded.replicas["shop"]["m"]["uri"], "${REPLICATOR_SHOP_M_URI}");
    }
}
