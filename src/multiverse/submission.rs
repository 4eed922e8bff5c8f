//! Requests as JavaScript writes them into its buffer; `lib/pg-multiverse/request-writer.ts` is the other end.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use multiverse::route::RouteOptions;
use multiverse::{BindParameters, CacheOptions, Retry};

use super::route_text::{CallOptions, read_call};

const STATEMENT: u8 = 1;
const ROUTE: u8 = 2;
const REQUEST: u8 = 3;

const HAS_SESSION: u8 = 1;
const HAS_TIMEOUT: u8 = 2;
const HAS_RETRY: u8 = 4;
const IS_STREAM: u8 = 8;

/// The buffer is not as JavaScript writes it: the addon and the JavaScript code are of different versions.
#[derive(Debug, thiserror::Error)]
#[error("the requests cannot be read: {0}")]
pub(super) struct Unreadable(String);

impl From<bytes::TryGetError> for Unreadable {
    fn from(error: bytes::TryGetError) -> Self {
        Self(error.to_string())
    }
}

/// One request as it was written.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) slot: i32,
    /// Tells the request apart from others that use the slot before and after it.
    pub(super) epoch: u32,
    pub(super) sql: Arc<str>,
    pub(super) route: RouteOptions,
    pub(super) cache: Option<Arc<CacheOptions>>,
    pub(super) session: Option<u64>,
    pub(super) timeout: Option<Duration>,
    pub(super) retry: Retry,
    pub(super) is_stream: bool,
    pub(super) parameters: BindParameters,
}

impl Submission {
    /// The number of the request for the engine.
    pub(super) fn request(&self) -> u64 {
        request_number(self.slot, self.epoch)
    }
}

/// The number of a request for the engine.
pub(super) fn request_number(slot: i32, epoch: u32) -> u64 {
    u64::from(epoch) << 32 | u64::from(slot.cast_unsigned())
}

/// What numbers stand for, as JavaScript defined them.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    statements: Vec<Arc<str>>,
    calls: Vec<CallOptions>,
}

impl Definitions {
    /// Reads the definitions and requests of a buffer.
    ///
    /// # Errors
    /// The buffer is cut off, or names what is not defined. Then no request of it is carried out.
    pub(super) fn read(&mut self, buffer: &[u8]) -> Result<Vec<Submission>, Unreadable> {
        let mut rest = Bytes::copy_from_slice(buffer);
        let mut submissions = Vec::new();
        while rest.has_remaining() {
            match rest.try_get_u8()? {
                STATEMENT => {
                    let (slot, text) = read_definition(&mut rest)?;
                    put(&mut self.statements, slot, Arc::from(text), || Arc::from(""));
                }
                ROUTE => {
                    let (slot, text) = read_definition(&mut rest)?;
                    let call = read_call(&text).map_err(Unreadable)?;
                    put(&mut self.calls, slot, call, CallOptions::default);
                }
                REQUEST => submissions.push(self.read_request(&mut rest)?),
                other => return Err(Unreadable(format!("a record of kind {other}"))),
            }
        }
        Ok(submissions)
    }

    fn read_request(&self, rest: &mut Bytes) -> Result<Submission, Unreadable> {
        let flags = rest.try_get_u8()?;
        let slot = rest.try_get_i32_le()?;
        let epoch = rest.try_get_u32_le()?;
        let statement = rest.try_get_u32_le()?;
        let route = rest.try_get_u32_le()?;
        let has = |flag| flags & flag != 0;
        let session = if has(HAS_SESSION) { Some(rest.try_get_u32_le()?.into()) } else { None };
        let timeout = if has(HAS_TIMEOUT) { Some(millis(rest.try_get_u32_le()?)) } else { None };
        let retry = if has(HAS_RETRY) {
            Retry { attempts: rest.try_get_u32_le()?, delay: millis(rest.try_get_u32_le()?) }
        } else {
            Retry::default()
        };
        let section = read_bytes(rest)?;
        let call = if route == 0 { CallOptions::default() } else { defined(&self.calls, route)?.clone() };
        Ok(Submission {
            slot,
            epoch,
            sql: Arc::clone(defined(&self.statements, statement)?),
            route: call.route,
            cache: call.cache,
            session,
            timeout,
            retry,
            is_stream: has(IS_STREAM),
            parameters: BindParameters::from_section(section),
        })
    }
}

fn millis(millis: u32) -> Duration {
    Duration::from_millis(millis.into())
}

fn read_definition(rest: &mut Bytes) -> Result<(u32, String), Unreadable> {
    let slot = rest.try_get_u32_le()?;
    // JavaScript writes nothing but UTF-8.
    Ok((slot, String::from_utf8_lossy(&read_bytes(rest)?).into_owned()))
}

fn read_bytes(rest: &mut Bytes) -> Result<Bytes, Unreadable> {
    let length = rest.try_get_u32_le()? as usize;
    if length > rest.remaining() {
        return Err(Unreadable(format!("{length} bytes where {} are left", rest.remaining())));
    }
    Ok(rest.split_to(length))
}

/// JavaScript bounds its numbers, so that the list stays small.
fn put<T>(list: &mut Vec<T>, slot: u32, value: T, empty: impl Fn() -> T) {
    let slot = slot as usize;
    if list.len() <= slot {
        list.resize_with(slot + 1, empty);
    }
    if let Some(place) = list.get_mut(slot) {
        *place = value;
    }
}

fn defined<T>(list: &[T], slot: u32) -> Result<&T, Unreadable> {
    list.get(slot as usize).ok_or_else(|| Unreadable(format!("number {slot} is not defined")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(kind: u8, slot: u32, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap();
        [&[kind][..], &slot.to_le_bytes(), &length.to_le_bytes(), text.as_bytes()].concat()
    }

    fn request(flags: u8, words: &[u32], section: &[u8]) -> Vec<u8> {
        let length = u32::try_from(section.len()).unwrap();
        let words = words.iter().chain([&length]).flat_map(|word| word.to_le_bytes());
        [REQUEST, flags].into_iter().chain(words).chain(section.iter().copied()).collect()
    }

    #[test]
    fn a_request_names_what_was_defined_before_it() {
        let mut definitions = Definitions::default();
        let buffer = [
            definition(STATEMENT, 1, "SELECT $1"),
            definition(ROUTE, 1, r#"{"schema":"users"}"#),
            request(HAS_SESSION | HAS_TIMEOUT | HAS_RETRY, &[5, 9, 1, 1, 3, 250, 2, 1000], &[0, 0, 0, 0]),
            // The number stands for another text from here on.
            definition(STATEMENT, 1, "SELECT 2"),
            request(IS_STREAM, &[6, 10, 1, 0], &[0, 0, 0, 0]),
        ]
        .concat();
        let [first, second] = &definitions.read(&buffer).unwrap()[..] else { panic!("two requests") };
        assert_eq!((&*first.sql, first.slot, first.epoch, first.session), ("SELECT $1", 5, 9, Some(3)));
        assert_eq!(first.timeout, Some(Duration::from_millis(250)));
        assert_eq!(first.retry, Retry { attempts: 2, delay: Duration::from_secs(1) });
        assert_eq!(first.route.schema.as_deref(), Some("users"));
        assert_eq!((&*second.sql, second.is_stream, second.timeout), ("SELECT 2", true, None));
        assert_eq!(second.request(), 10 << 32 | 6);
    }

    #[test]
    fn a_buffer_that_is_cut_off_or_unknown_is_refused() {
        let whole = request(0, &[5, 9, 1, 0], &[0, 0, 0, 0]);
        let mut definitions = Definitions::default();
        definitions.read(&definition(STATEMENT, 1, "SELECT 1")).unwrap();
        for end in 1..whole.len() {
            assert!(definitions.read(&whole[..end]).is_err(), "{end}");
        }
        assert!(definitions.read(&whole).is_ok());
        assert!(definitions.read(&[9]).is_err());
        assert!(definitions.read(&request(0, &[5, 9, 7, 0], &[])).is_err());
    }
}
