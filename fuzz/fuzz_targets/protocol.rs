//! Whatever a server sends is read or refused, and never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| wire::fuzzing::read_as_from_a_server(bytes));
