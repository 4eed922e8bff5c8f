//! LZ4 for what JavaScript keeps: the length before the compressed bytes.

use napi::bindgen_prelude::Buffer;
use napi_derive::napi;

/// The compressed bytes.
#[napi(js_name = "lz4Compress")]
pub fn compress(bytes: &[u8]) -> Buffer {
    lz4_flex::compress_prepend_size(bytes).into()
}

/// What was compressed.
///
/// # Errors
/// The bytes are not what [`compress`] gives.
#[napi(js_name = "lz4Decompress")]
pub fn decompress(bytes: &[u8]) -> napi::Result<Buffer> {
    let decompressed = lz4_flex::decompress_size_prepended(bytes);
    decompressed.map(Into::into).map_err(|error| napi::Error::from_reason(error.to_string()))
}
