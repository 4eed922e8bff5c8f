//! The messages of the client, written into a buffer.

use std::io;

use bytes::{BufMut, BytesMut};
use postgres_protocol::message::frontend;

use super::row::Format;
use crate::error::{Error, Result};

/// The most parameters a statement can have: their number is sent in 16 bits.
const MOST_PARAMETERS: usize = 65_535;
/// The longest message the server accepts.
const LONGEST_MESSAGE: usize = 0x3fff_ffff;

/// One parameter of a Bind, ready to be written.
pub(crate) struct BindParameter<'a> {
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) format: Format,
}

pub(crate) fn query(sql: &str, buffer: &mut BytesMut) -> Result<()> {
    check_length("sql", sql.len())?;
    frontend::query(sql, buffer).map_err(|error| invalid("sql", &error))
}

/// `types` names the types of the first parameters; 0 and those left out are inferred by the server.
pub(crate) fn parse(name: &str, sql: &str, types: &[u32], buffer: &mut BytesMut) -> Result<()> {
    check_length("sql", sql.len())?;
    frontend::parse(name, sql, types.iter().copied(), buffer).map_err(|error| invalid("sql", &error))
}

pub(crate) fn describe_statement(name: &str, buffer: &mut BytesMut) -> Result<()> {
    frontend::describe(b'S', name, buffer).map_err(|error| invalid("statement", &error))
}

pub(crate) fn close_statement(name: &str, buffer: &mut BytesMut) -> Result<()> {
    frontend::close(b'S', name, buffer).map_err(|error| invalid("statement", &error))
}

/// Runs the unnamed portal to its end.
pub(crate) fn execute(buffer: &mut BytesMut) -> Result<()> {
    frontend::execute("", 0, buffer).map_err(|error| invalid("portal", &error))
}

/// Binds the unnamed portal.
pub(crate) fn bind<'a>(
    statement: &str,
    parameters: impl ExactSizeIterator<Item = BindParameter<'a>> + Clone,
    results: &[Format],
    buffer: &mut BytesMut,
) -> Result<()> {
    let count = u16::try_from(parameters.len()).map_err(|_| {
        Error::config(
            "parameters",
            format!("{} parameters are more than the protocol's {MOST_PARAMETERS}", parameters.len()),
        )
    })?;
    let result_count = u16::try_from(results.len())
        .map_err(|_| Error::config("result_format", "more formats than a result can have columns"))?;
    let values: usize = parameters.clone().map(|parameter| 4 + parameter.value.map_or(0, <[u8]>::len)).sum();
    check_length("parameters", values)?;

    let start = begin_bind(statement, values + 16 + 2 * results.len(), buffer);
    if parameters.clone().any(|parameter| parameter.format == Format::Binary) {
        buffer.put_u16(count);
        for parameter in parameters.clone() {
            buffer.put_i16(parameter.format.code());
        }
    } else {
        buffer.put_u16(0);
    }
    buffer.put_u16(count);
    for parameter in parameters {
        match parameter.value {
            // check_length has kept every value far below 2 GiB.
            Some(value) => {
                buffer.put_u32(value.len() as u32);
                buffer.put_slice(value);
            }
            None => buffer.put_i32(-1),
        }
    }
    buffer.put_u16(result_count);
    for format in results {
        buffer.put_i16(format.code());
    }
    patch_length(buffer, start);
    Ok(())
}

/// Binds the unnamed portal with parameters and result formats that are already in the form of the message.
pub(crate) fn bind_ready(
    statement: &str,
    parameters: &[u8],
    formats: &[u8],
    buffer: &mut BytesMut,
) -> Result<()> {
    check_length("parameters", parameters.len())?;
    let start = begin_bind(statement, parameters.len() + formats.len(), buffer);
    buffer.put_slice(parameters);
    buffer.put_slice(formats);
    patch_length(buffer, start);
    Ok(())
}

/// Writes a Bind up to its parameters, which take about `length` bytes. Returns where its length field is.
fn begin_bind(statement: &str, length: usize, buffer: &mut BytesMut) -> usize {
    buffer.reserve(statement.len() + length + 32);
    buffer.put_u8(b'B');
    let start = buffer.len();
    buffer.put_u32(0);
    buffer.put_u8(0);
    buffer.put_slice(statement.as_bytes());
    buffer.put_u8(0);
    start
}

/// Writes the length of the message whose length field is at `start`, now that its end is known.
pub(crate) fn patch_length(buffer: &mut BytesMut, start: usize) {
    let length = (buffer.len() - start) as u32;
    if let Some(field) = buffer.get_mut(start..start + 4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

pub(crate) fn sync(buffer: &mut BytesMut) {
    frontend::sync(buffer);
}

pub(crate) fn copy_done(buffer: &mut BytesMut) {
    frontend::copy_done(buffer);
}

pub(crate) fn copy_fail(message: &str, buffer: &mut BytesMut) {
    // A zero byte would end the message early, and nothing else can be wrong with it.
    let message = message.replace('\0', " ");
    let end = message.char_indices().map(|(at, _)| at).take_while(|at| *at <= 8192).last().unwrap_or(0);
    let message =
        if message.len() > 8192 { message.get(..end).unwrap_or_default() } else { message.as_str() };
    let mark = buffer.len();
    if frontend::copy_fail(message, buffer).is_err() {
        buffer.truncate(mark);
    }
}

pub(crate) fn terminate(buffer: &mut BytesMut) {
    frontend::terminate(buffer);
}

pub(crate) fn ssl_request(buffer: &mut BytesMut) {
    frontend::ssl_request(buffer);
}

pub(crate) fn startup(parameters: &[(&str, &str)], buffer: &mut BytesMut) -> Result<()> {
    frontend::startup_message(parameters.iter().copied(), buffer).map_err(|error| invalid("startup", &error))
}

pub(crate) fn password(password: &[u8], buffer: &mut BytesMut) -> Result<()> {
    frontend::password_message(password, buffer).map_err(|error| invalid("password", &error))
}

pub(crate) fn sasl_initial_response(mechanism: &str, data: &[u8], buffer: &mut BytesMut) -> Result<()> {
    frontend::sasl_initial_response(mechanism, data, buffer).map_err(|error| invalid("password", &error))
}

pub(crate) fn sasl_response(data: &[u8], buffer: &mut BytesMut) -> Result<()> {
    frontend::sasl_response(data, buffer).map_err(|error| invalid("password", &error))
}

/// A CancelRequest. Its key is of four bytes up to protocol 3.0 and may be longer after it.
pub(crate) fn cancel_request(process_id: i32, secret_key: &[u8], buffer: &mut BytesMut) {
    buffer.put_u32(12 + secret_key.len() as u32);
    buffer.put_i32(80_877_102);
    buffer.put_i32(process_id);
    buffer.put_slice(secret_key);
}

fn check_length(parameter: &str, length: usize) -> Result<()> {
    if length > LONGEST_MESSAGE - 1024 {
        return Err(Error::config(parameter, format!("{length} bytes are more than the server accepts")));
    }
    Ok(())
}

/// The crate that writes the messages rejects zero bytes and lengths beyond 2 GiB, and says so without the value.
fn invalid(parameter: &str, error: &io::Error) -> Error {
    Error::config(parameter, error.to_string())
}
