//! Opening connections: how many, when, and what a failure means for those who wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use wire::{ConnectConfig, Connection, KeepAlive, Pipeline, RootCertificates, SslMode, TextTypes};

use super::{Pool, PooledConnection, Ticket, random};
use crate::config::{ConfigError, PoolConfig};
use crate::engine::{ConnectionWaker, Core, EngineSettings, Event, Place, Timer, Token};
use crate::error::{Error, is_full, is_refusal};
use crate::server::ServerConfig;

/// The most attempts of one pool that are under way at once: a server forks for each.
const MOST_ATTEMPTS: usize = 8;
/// The longest pause between attempts while somebody waits, and while nobody does.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_IDLE_PAUSE: Duration = Duration::from_secs(15);
/// The system counts the time between probes in seconds.
const SHORTEST_PROBE: Duration = Duration::from_secs(1);
/// A connection that takes longer to open is not waited for, where there is room behind fast requests.
const USUAL_TIME: Duration = Duration::from_millis(200);
/// How long a server is taken at its word that it has no more connections to give.
const GRANT_HOLDS: Duration = Duration::from_secs(2);

/// How to connect to a server. `place` names it in errors.
///
/// # Errors
/// The setting that cannot be used.
pub(crate) fn connect_config(
    place: &str,
    server: &ServerConfig,
    pool: &PoolConfig,
    settings: &EngineSettings,
) -> Result<ConnectConfig, ConfigError> {
    let mut text = String::new();
    let mut put = |name: &str, value: &str| {
        let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
        text.push_str(&format!("{name}='{quoted}' "));
    };
    put("host", &server.host);
    put("port", &server.port.to_string());
    put("dbname", &server.database);
    put("user", &server.user);
    if let Some(name) = &settings.application_name {
        put("application_name", name);
    }
    if !server.search_path.is_empty() {
        put("options", &search_path_option(&server.search_path));
    }
    let of_field = |error: wire::Error| ConfigError { field: place.to_owned(), problem: error.to_string() };
    let mut config = ConnectConfig::parse_in(&text, &|_| None).map_err(of_field)?;
    config.set_password(server.password.clone());
    config.ssl_mode = SslMode::Disable;
    if let Some(tls) = &server.tls {
        config.ssl_mode = if tls.reject_unauthorized { SslMode::VerifyFull } else { SslMode::Require };
        config.root_certificates = match &tls.ca {
            _ if !tls.reject_unauthorized => RootCertificates::None,
            Some(ca) => RootCertificates::Pem(ca.clone()),
            None => RootCertificates::System,
        };
        if let Some(identity) = &tls.identity {
            config.set_client_identity(identity.cert.clone(), identity.key.clone());
        }
        config.ssl_server_name = tls.server_name.clone();
        config
            .check_tls()
            .map_err(|error| ConfigError { field: format!("{place}.ssl"), problem: error.to_string() })?;
    }
    config.connect_timeout = Some(pool.create_timeout);
    config.statement_cache_capacity = settings.prepared_statements;
    config.keep_alive = keep_alive(settings.dead_after);
    Ok(config)
}

/// Has a peer that is gone noticed in this time, also where the system's own default is hours: half of it passes before
/// three probes, of which none may be answered.
fn keep_alive(dead_after: Duration) -> KeepAlive {
    KeepAlive {
        enabled: true,
        idle: Some((dead_after / 2).max(SHORTEST_PROBE)),
        interval: Some((dead_after / 6).max(SHORTEST_PROBE)),
        count: Some(3),
        unacknowledged: Some(dead_after),
    }
}

/// `-c search_path=…`, with every name quoted, and spaces and backslashes escaped as the server splits options.
fn search_path_option(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    let value = quoted.join(", ").replace('\\', "\\\\").replace(' ', "\\ ");
    format!("-c search_path={value}")
}

/// Opens a connection, within the time that its settings give the whole of it.
async fn open(config: Arc<ConnectConfig>, text_types: Arc<TextTypes>) -> Result<Box<Pipeline>, wire::Error> {
    let attempt = async { Connection::connect(&config).await?.into_pipeline(text_types).await };
    let pipeline = match config.connect_timeout {
        None => attempt.await?,
        Some(limit) => timeout(limit, attempt)
            .await
            .unwrap_or_else(|_| Err(wire::Error::Timeout { context: "connecting".to_owned(), limit }))?,
    };
    Ok(Box::new(pipeline))
}

impl Core {
    /// Opens connections for those who wait, and up to the pool's minimum.
    pub(crate) fn grow(&mut self, key: usize) {
        let now = self.now;
        let Some(pool) = self.pools.get_mut(key) else { return };
        let missing = pool.settings.min.saturating_sub(pool.connections.len() + pool.connecting);
        let mut wanted = pool.waiting.saturating_sub(pool.connecting).max(missing);
        while wanted > 0 && pool.connecting < MOST_ATTEMPTS && pool.can_grow(now) {
            wanted -= 1;
            pool.connecting += 1;
            pool.growing_until = Some(now + USUAL_TIME);
            let (config, events) = (Arc::clone(&pool.connect), self.events.clone());
            let (generation, text_types) = (pool.generation, Arc::clone(&self.text_types));
            self.runtime.spawn(async move {
                let result = open(config, text_types).await;
                // When the engine has ended nobody asks any more.
                let _ = events.send(Event::Connected { pool: key, generation, result });
            });
        }
    }

    pub(crate) fn connected(
        &mut self,
        key: usize,
        generation: u64,
        result: Result<Box<Pipeline>, wire::Error>,
    ) {
        let Some(pool) = self.pools.get_mut(key) else { return };
        pool.connecting = pool.connecting.saturating_sub(1);
        match result {
            Ok(mut pipeline) if pool.is_leaving || generation != pool.generation => pipeline.terminate(),
            Ok(pipeline) => self.admit(key, *pipeline),
            Err(error) => self.not_connected(key, error),
        }
        self.call_dispatch(key);
    }

    fn admit(&mut self, key: usize, mut pipeline: Pipeline) {
        let now = self.now;
        pipeline.set_text_types(Arc::clone(&self.text_types));
        let Some(pool) = self.pools.get_mut(key) else { return };
        let was_down = !pool.is_up;
        pool.welcome();
        pool.last_error = None;
        pool.created += 1;
        self.serials += 1;
        let entry = pool.connections.vacant_entry();
        let token = Token { pool: key, slot: entry.key(), serial: self.serials };
        let readiness = ConnectionWaker::new(token, &self.readiness);
        let mut connection = PooledConnection::new(token, pipeline, readiness, now);
        // Spread over a tenth of the lifetime, so that connections opened together are not replaced together.
        connection.expires =
            pool.settings.max_lifetime.map(|lifetime| now + lifetime.mul_f64(1.0 - 0.1 * random()));
        entry.insert(connection);
        if was_down {
            self.prove(key);
        }
        self.settle(token);
        // The first look sets the waker, so that its end is noticed while it is free.
        self.receive(token);
    }

    fn not_connected(&mut self, key: usize, error: wire::Error) {
        let now = self.now;
        let Some(pool) = self.pools.get_mut(key) else { return };
        tracing::debug!(server = %pool.id, %error, "no connection could be opened");
        pool.last_error = Some(error.to_string().into());
        pool.error_rate.record(1.0);
        if is_full(&error) {
            pool.granted = Some((pool.connections.len().max(1), now + GRANT_HOLDS.mul_f64(0.5 + random())));
        }
        let longest = match pool.waiting {
            0 => LONGEST_IDLE_PAUSE.min(self.settings.manager.recovery_check_interval),
            _ => LONGEST_PAUSE,
        };
        let until = pool.back_off.fail(now, longest);
        pool.set_grow_timer(until, key, &mut self.timers);
        let is_gone = !is_full(&error) && !is_refusal(&error);
        if pool.connecting == 0 && (pool.connections.is_empty() || is_gone && pool.reads_nothing()) {
            // A server that is full, or does not know the password, is up; but it is of no use either.
            pool.is_up = false;
            let source = Arc::new(error);
            pool.unreachable = Some(Arc::clone(&source));
            if is_gone {
                self.suspect(key);
            }
            self.fail_waiting(key, source);
        }
    }

    /// Those who wait for a server that cannot be reached go elsewhere, try again later, or fail.
    fn fail_waiting(&mut self, key: usize, source: Arc<wire::Error>) {
        let Some(pool) = self.pools.get_mut(key) else { return };
        let (server, is_held) = (Arc::clone(&pool.id), pool.is_held && !is_refusal(&source));
        let queue = std::mem::take(&mut pool.queue);
        pool.waiting = 0;
        for ticket in queue {
            let error = Error::Connect { server: Arc::clone(&server), source: Arc::clone(&source) };
            match ticket {
                Ticket::Request { key: request, id } => {
                    let Some(pending) = self.requests.get_mut(request) else { continue };
                    if pending.id != id || pending.place != Place::Queued {
                        continue;
                    }
                    if is_held && !pending.is_own {
                        self.hold_ticket(key, ticket);
                        continue;
                    }
                    // It stands in no queue now.
                    pending.place = Place::Delayed;
                    if pending.on_replica && !pending.rerouted {
                        pending.rerouted = true;
                        self.reroute(request);
                    } else if pending.retry.attempts > 0 && !is_refusal(&source) {
                        self.retry_later(request);
                    } else {
                        self.end(request, Err(error));
                    }
                }
                Ticket::Session(_) if is_held => self.hold_ticket(key, ticket),
                Ticket::Session(id) => self.fail_session(id, error),
            }
        }
    }

    /// The pause after a failure has passed.
    pub(crate) fn may_grow(&mut self, key: usize) {
        let now = self.now;
        let Some(pool) = self.pools.get_mut(key) else { return };
        pool.grow_timer = false;
        if let Some(until) = pool.back_off.waits_until(now) {
            // Another failure has come in between.
            return pool.set_grow_timer(until, key, &mut self.timers);
        }
        self.probe_if_down(key);
        self.call_dispatch(key);
    }

    /// A server that is down is tried again although nobody waits for it.
    fn probe_if_down(&mut self, key: usize) {
        let now = self.now;
        let Some(pool) = self.pools.get_mut(key) else { return };
        if !pool.is_up
            && pool.waiting == 0
            && pool.connecting == 0
            && pool.settings.min == 0
            && pool.can_grow(now)
        {
            // One who waits for nothing stands for the attempt.
            pool.waiting = 1;
            self.grow(key);
            if let Some(pool) = self.pools.get_mut(key) {
                pool.waiting = 0;
            }
        }
    }
}

impl Pool {
    pub(super) fn set_grow_timer(
        &mut self,
        at: std::time::Instant,
        key: usize,
        timers: &mut crate::engine::Timers,
    ) {
        if !std::mem::replace(&mut self.grow_timer, true) {
            timers.add(at, Timer::Grow { pool: key });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_search_path_are_quoted_and_escaped_for_the_server() {
        let names = ["tenant one".to_owned(), "a\"b\\c".to_owned()];
        assert_eq!(search_path_option(&names), r#"-c search_path="tenant\ one",\ "a""b\\c""#);
    }
}
