//! What a caller asks of the engine: a statement, its parameters, and how far the engine may go for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::answer::Answer;
use crate::cache::CacheOptions;
use crate::route::RouteOptions;

/// The number of a request, given by the caller and unique among the requests an engine holds at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Requests that this crate makes on pinned connections have this bit, and those of callers never, so that numbers never
/// meet.
const OWN: u64 = 1 << 31;
/// Requests that are parts of one for several shards have this bit, and those of callers never.
const PART: u64 = 1 << 30;

impl RequestId {
    /// The number of the next request of this crate on a pinned connection.
    pub(crate) fn next_own() -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(1);
        Self(u64::from(NUMBERS.fetch_add(1, Ordering::Relaxed)) << 32 | OWN)
    }

    /// The number of the next request that is a part of one for several shards.
    pub(crate) fn next_part() -> Self {
        static NUMBERS: AtomicU32 = AtomicU32::new(1);
        Self(u64::from(NUMBERS.fetch_add(1, Ordering::Relaxed)) << 32 | PART)
    }

    /// Whether this crate made the request on a pinned connection.
    pub(crate) fn is_own(self) -> bool {
        self.0 & OWN != 0
    }
}

/// The number of a pinned connection, given by [`crate::Engine::open_session`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// One call of `query()`.
pub struct Request {
    /// The number by which it is cancelled and resumed; below 2³⁰ in its lower half.
    pub id: RequestId,
    /// The text. Without parameters it may hold several statements, each with a result of its own.
    pub sql: Arc<str>,
    /// The values of `$1`, `$2`, ….
    pub parameters: BindParameters,
    /// What decides on which server it runs; for a request of a session only the schema counts.
    pub route: RouteOptions,
    /// The pinned connection to run on; `None` for any of the pool.
    pub session: Option<SessionId>,
    /// The most time from submitting to the end; then the statement is cancelled on the server.
    pub timeout: Option<Duration>,
    /// What to do when a connection is lost or cannot be opened.
    pub retry: Retry,
    /// Whether the rows are taken as slowly as the application likes, so that no other request may wait behind it on
    /// its connection. A request that may answer [`crate::Flow::Pause`] for long must say so.
    pub streamed: bool,
    /// What the call says about caching, if anything. Ignored within a session and for streamed requests.
    pub cache: Option<Arc<CacheOptions>>,
    /// Where the results go.
    pub answer: Box<dyn Answer>,
}

/// How often, and after which pause, a request is tried again whose connection could not be opened or was lost. A
/// statement that may have written is never sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retry {
    /// The number of further attempts.
    pub attempts: u32,
    /// The pause before each.
    pub delay: Duration,
}

/// Parameters in the form of a Bind message: Int16 number of formats, the formats, Int16 number of values, and for each
/// value Int32 length (-1 for NULL) and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindParameters {
    section: Bytes,
    types: Option<Box<[u32]>>,
}

const NO_PARAMETERS: &[u8] = &[0, 0, 0, 0];

impl BindParameters {
    /// No parameters.
    pub const fn none() -> Self {
        Self { section: Bytes::from_static(NO_PARAMETERS), types: None }
    }

    /// Parameters that are already in the form of the message. A section that is malformed makes the server end the
    /// connection, so the caller must write it with care.
    pub fn from_section(section: Bytes) -> Self {
        Self { section, types: None }
    }

    /// Parameters as text, `None` for NULL. Their types are inferred by the server. Of more than the protocol's 65,535
    /// only the number modulo 65,536 would be told, so the server rejects them.
    pub fn from_texts(values: &[Option<&str>]) -> Self {
        let mut section =
            BytesMut::with_capacity(4 + values.iter().map(|v| 4 + v.map_or(0, str::len)).sum::<usize>());
        section.put_u16(0);
        section.put_u16(values.len() as u16);
        for value in values {
            match value {
                Some(text) => {
                    section.put_u32(text.len() as u32);
                    section.put_slice(text.as_bytes());
                }
                None => section.put_i32(-1),
            }
        }
        Self { section: section.freeze(), types: None }
    }

    /// The same with the oids of the types of the first parameters; 0 is inferred by the server.
    #[must_use]
    pub fn with_types(self, types: Vec<u32>) -> Self {
        Self { types: Some(types.into_boxed_slice()).filter(|types| !types.is_empty()), ..self }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self.section == *NO_PARAMETERS
    }

    /// The part of the Bind message.
    pub fn section(&self) -> &[u8] {
        &self.section
    }

    /// The oids of declared types.
    pub fn types(&self) -> &[u32] {
        self.types.as_deref().unwrap_or_default()
    }
}
