//! The door for fuzz targets to the protocol core, which has no socket.

use crate::protocol::state::ProtocolState;

/// Reads bytes as a server's, from the beginning of a connection and from the middle of an answer, whole and in two
/// parts.
pub fn read_as_from_a_server(bytes: &[u8]) {
    for is_running in [false, true] {
        for cut in [0, bytes.len() / 2] {
            let mut state = ProtocolState::new();
            if is_running {
                let _ = state.start(&[("user", "x")]);
                state.inbound.extend_from_slice(b"Z\0\0\0\x05I");
                let _ = state.next_event();
                let _ = state.simple_query("SELECT 1");
            }
            let (first, second) = bytes.split_at(cut);
            for part in [first, second] {
                state.inbound.extend_from_slice(part);
                while let Ok(Some(_)) = state.next_event() {}
            }
        }
    }
}
