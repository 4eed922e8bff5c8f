//! PostgreSQL's own parser, called through its C interface.

use std::ffi::{CString, c_char, c_int, c_void};

use pg_query::protobuf::ParseResult;
use prost::Message;

/// How the text is read where `standard_conforming_strings` is off: a backslash escapes in every string.
pub(super) const BACKSLASHES_ESCAPE: c_int = 32;

#[repr(C)]
struct Buffer {
    length: usize,
    bytes: *mut c_char,
}

#[repr(C)]
struct ParseOutcome {
    tree: Buffer,
    messages: *mut c_char,
    error: *mut c_void,
}

#[repr(C)]
struct ScannedToken {
    start: c_int,
    end: c_int,
    token: c_int,
    keyword_kind: c_int,
}

#[repr(C)]
struct ScanOutcome {
    tokens: *mut ScannedToken,
    count: c_int,
    error: *mut c_void,
}

unsafe extern "C" {
    fn pg_query_scan_tokens(input: *const c_char) -> ScanOutcome;
    fn pg_query_free_scan_tokens_result(outcome: ScanOutcome);
    fn pg_query_parse_protobuf_opts(input: *const c_char, options: c_int) -> ParseOutcome;
    fn pg_query_free_protobuf_parse_result(outcome: ParseOutcome);
}

/// Parses a text; `None` when it is not SQL that this version of PostgreSQL knows.
///
/// The crate's own `parse` is not used because it also collects names by a walk that is incomplete, and may panic.
/// The caller makes sure that the stack is deep enough for the nesting of the text.
pub(super) fn parse(sql: &str, options: c_int) -> Option<ParseResult> {
    let input = CString::new(sql).ok()?;
    // SAFETY: `input` is a C string that lives across the call; the parser keeps its state per thread.
    let outcome = unsafe { pg_query_parse_protobuf_opts(input.as_ptr(), options) };
    let tree = if outcome.error.is_null() && !outcome.tree.bytes.is_null() {
        // SAFETY: without an error the parser gives `length` bytes, which stay until they are freed below.
        let bytes =
            unsafe { std::slice::from_raw_parts(outcome.tree.bytes.cast::<u8>(), outcome.tree.length) };
        ParseResult::decode(bytes).ok()
    } else {
        None
    };
    // SAFETY: the outcome comes from the parser and is freed once.
    unsafe { pg_query_free_protobuf_parse_result(outcome) };
    tree
}

/// Gives the kinds of the text's tokens to `read`, as numbers of `pg_query::protobuf::Token`; `None` when the text does
/// not consist of tokens.
///
/// The crate's own `scan_tokens` is not used because a text without tokens makes it read from a null pointer.
pub(super) fn scan<T>(sql: &str, read: impl FnOnce(&mut dyn Iterator<Item = i32>) -> T) -> Option<T> {
    let input = CString::new(sql).ok()?;
    // SAFETY: `input` is a C string that lives across the call.
    let outcome = unsafe { pg_query_scan_tokens(input.as_ptr()) };
    let count = usize::try_from(outcome.count).unwrap_or(0);
    let answer = if !outcome.error.is_null() {
        None
    } else if outcome.tokens.is_null() || count == 0 {
        Some(read(&mut std::iter::empty()))
    } else {
        // SAFETY: without an error the scanner gives `count` tokens, which stay until they are freed below.
        let tokens = unsafe { std::slice::from_raw_parts(outcome.tokens, count) };
        Some(read(&mut tokens.iter().map(|token| token.token)))
    };
    // SAFETY: the outcome comes from the scanner and is freed once.
    unsafe { pg_query_free_scan_tokens_result(outcome) };
    answer
}
