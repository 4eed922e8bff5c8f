//! Connection URIs: `postgresql://user:password@host:port,host2/dbname?parameter=value`.

use percent_encoding::percent_decode_str;

use super::settings::Settings;
use crate::error::ConfigError;

/// What follows the scheme of a connection URI, where `text` is one.
pub(super) fn strip_scheme(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://"))
}

/// Reads a URI without its scheme.
///
/// Every part may be missing. What the parts before the `?` set, a parameter after it overrides.
pub(super) fn read(text: &str, settings: &mut Settings) -> Result<(), ConfigError> {
    let rest = read_credentials(text, settings)?;
    let rest = read_hosts(rest, settings)?;
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (rest, None),
    };
    if let Some(name) = path.strip_prefix('/').filter(|name| !name.is_empty()) {
        settings.set("dbname", decode("dbname", name)?)?;
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        read_parameters(query, settings)?;
    }
    Ok(())
}

/// Credentials end at the first `@`, where no `/` comes before it.
fn read_credentials<'a>(text: &'a str, settings: &mut Settings) -> Result<&'a str, ConfigError> {
    let Some((credentials, rest)) = text.split_once('@').filter(|(before, _)| !before.contains('/')) else {
        return Ok(text);
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    if !user.is_empty() {
        settings.set("user", decode("user", user)?)?;
    }
    if !password.is_empty() {
        settings.set("password", decode("password", password)?)?;
    }
    Ok(rest)
}

/// Reads `host:port,host:port` and returns what follows, which begins with `/` or `?` or is empty.
fn read_hosts<'a>(text: &'a str, settings: &mut Settings) -> Result<&'a str, ConfigError> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    let mut rest = text;
    loop {
        let host;
        (host, rest) = read_host(rest)?;
        hosts.push(decode("host", host)?);
        let mut port = "";
        if let Some(after) = rest.strip_prefix(':') {
            (port, rest) = split_before(after, &['/', '?', ',']);
        }
        ports.push(decode("port", port)?);
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => break,
        }
    }
    if hosts.len() > 1 || hosts.iter().any(|host| !host.is_empty()) {
        settings.set("host", hosts.join(","))?;
    }
    if ports.iter().any(|port| !port.is_empty()) {
        settings.set("port", ports.join(","))?;
    }
    Ok(rest)
}

/// Splits off one host name, IPv4 address or IPv6 address in brackets.
fn read_host(text: &str) -> Result<(&str, &str), ConfigError> {
    let Some(inside) = text.strip_prefix('[') else {
        return Ok(split_before(text, &[':', '/', '?', ',']));
    };
    let error = |message: &str| ConfigError::new("host", message);
    let (address, rest) =
        inside.split_once(']').ok_or_else(|| error("the ] that ends the IPv6 address is missing"))?;
    if address.is_empty() {
        return Err(error("the IPv6 address in [] is missing"));
    }
    if !(rest.is_empty() || rest.starts_with([':', '/', '?', ','])) {
        return Err(error("only a port, a database, parameters or another host can follow an IPv6 address"));
    }
    Ok((address, rest))
}

fn split_before<'a>(text: &'a str, ends: &[char]) -> (&'a str, &'a str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

fn read_parameters(query: &str, settings: &mut Settings) -> Result<(), ConfigError> {
    for pair in query.split('&') {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| ConfigError::new("URI", "a parameter after the ? has no = after its name"))?;
        let name = decode("URI", name)?;
        let value = if value.contains('=') {
            return Err(ConfigError::new(
                super::settings::printable(&name),
                "its value has a second =, write %3D",
            ));
        } else {
            decode(&name, value)?
        };
        // Drivers of other languages write ssl=true for what is called sslmode here.
        if name == "ssl" && value == "true" {
            settings.set("sslmode", "require".to_owned())?;
        } else {
            settings.set(&name, value)?;
        }
    }
    Ok(())
}

/// Decodes %XX; the message never repeats the text, which may be a password.
fn decode(parameter: &str, text: &str) -> Result<String, ConfigError> {
    let error = |message: &str| ConfigError::new(super::settings::printable(parameter), message);
    let mut escapes = text.split('%');
    escapes.next();
    for after in escapes {
        match after.as_bytes() {
            [b'0', b'0', ..] => return Err(error("%00 is not allowed")),
            [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {}
            _ => return Err(error("a % must be followed by two hexadecimal digits")),
        }
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| error("it is not UTF-8"))?;
    Ok(decoded.into_owned())
}
