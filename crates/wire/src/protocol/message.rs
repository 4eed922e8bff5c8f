//! The messages of the server, read from frames.

use bytes::Bytes;

use super::frame::{Cursor, Frame};
use super::row::{Column, Format};
use super::state::TransactionStatus;
use crate::error::{Error, Result, ServerError};
use crate::notice::{Notification, ServerNotice};

/// A request of the server for proof of who the client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// The client is let in.
    Ok,
    /// The password, as it is.
    CleartextPassword,
    /// The password, hashed with MD5 and this salt.
    Md5Password([u8; 4]),
    /// One of these SASL mechanisms.
    Sasl(Vec<String>),
    /// The server's challenge.
    SaslContinue(Bytes),
    /// The server's own proof.
    SaslFinal(Bytes),
    /// A method this client does not have, by its number.
    Unsupported(i32),
}

/// The answer to a COPY: how the data comes or must go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopyResponse {
    /// Text (also CSV) or binary.
    pub(crate) format: Format,
    /// The format of each column.
    pub(crate) columns: Vec<Format>,
}

/// One message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are those of the protocol's message formats")]
pub(crate) enum BackendMessage {
    Authentication(Authentication),
    BackendKeyData { process_id: i32, secret_key: Bytes },
    BindComplete,
    CloseComplete,
    CommandComplete { tag: String },
    CopyBothResponse(CopyResponse),
    CopyData(Bytes),
    CopyDone,
    CopyInResponse(CopyResponse),
    CopyOutResponse(CopyResponse),
    DataRow(Bytes),
    EmptyQueryResponse,
    ErrorResponse(Box<ServerError>),
    FunctionCallResponse(Bytes),
    NegotiateProtocolVersion { minor: u32, unrecognized: Vec<String> },
    NoData,
    NoticeResponse(Box<ServerNotice>),
    NotificationResponse(Notification),
    ParameterDescription(Vec<u32>),
    ParameterStatus { name: String, value: String },
    ParseComplete,
    PortalSuspended,
    ReadyForQuery(TransactionStatus),
    RowDescription(Vec<Column>),
}

impl BackendMessage {
    /// Reads the message in a frame.
    ///
    /// # Errors
    /// The frame's body is not what its type demands.
    pub(crate) fn parse(frame: Frame) -> Result<Self> {
        let Frame { tag, body } = frame;
        Ok(match tag {
            b'1' => empty(body, "ParseComplete", Self::ParseComplete)?,
            b'2' => empty(body, "BindComplete", Self::BindComplete)?,
            b'3' => empty(body, "CloseComplete", Self::CloseComplete)?,
            b'A' => notification(body)?,
            b'C' => command_complete(body)?,
            b'D' => Self::DataRow(body),
            b'd' => Self::CopyData(body),
            b'c' => empty(body, "CopyDone", Self::CopyDone)?,
            b'E' => Self::ErrorResponse(Box::new(report(body, "ErrorResponse")?)),
            b'G' => Self::CopyInResponse(copy_response(body, "CopyInResponse")?),
            b'H' => Self::CopyOutResponse(copy_response(body, "CopyOutResponse")?),
            b'I' => empty(body, "EmptyQueryResponse", Self::EmptyQueryResponse)?,
            b'K' => backend_key_data(body)?,
            b'N' => Self::NoticeResponse(Box::new(ServerNotice(report(body, "NoticeResponse")?))),
            b'R' => Self::Authentication(authentication(body)?),
            b'S' => parameter_status(body)?,
            b'T' => Self::RowDescription(row_description(body)?),
            b't' => parameter_description(body)?,
            b'V' => Self::FunctionCallResponse(body),
            b'W' => Self::CopyBothResponse(copy_response(body, "CopyBothResponse")?),
            b'Z' => ready_for_query(body)?,
            b'n' => empty(body, "NoData", Self::NoData)?,
            b's' => empty(body, "PortalSuspended", Self::PortalSuspended)?,
            b'v' => negotiate_protocol_version(body)?,
            _ => return Err(Error::protocol(format!("unknown message type 0x{tag:02x}"))),
        })
    }

    /// The protocol's name of this message.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Authentication(_) => "Authentication",
            Self::BackendKeyData { .. } => "BackendKeyData",
            Self::BindComplete => "BindComplete",
            Self::CloseComplete => "CloseComplete",
            Self::CommandComplete { .. } => "CommandComplete",
            Self::CopyBothResponse(_) => "CopyBothResponse",
            Self::CopyData(_) => "CopyData",
            Self::CopyDone => "CopyDone",
            Self::CopyInResponse(_) => "CopyInResponse",
            Self::CopyOutResponse(_) => "CopyOutResponse",
            Self::DataRow(_) => "DataRow",
            Self::EmptyQueryResponse => "EmptyQueryResponse",
            Self::ErrorResponse(_) => "ErrorResponse",
            Self::FunctionCallResponse(_) => "FunctionCallResponse",
            Self::NegotiateProtocolVersion { .. } => "NegotiateProtocolVersion",
            Self::NoData => "NoData",
            Self::NoticeResponse(_) => "NoticeResponse",
            Self::NotificationResponse(_) => "NotificationResponse",
            Self::ParameterDescription(_) => "ParameterDescription",
            Self::ParameterStatus { .. } => "ParameterStatus",
            Self::ParseComplete => "ParseComplete",
            Self::PortalSuspended => "PortalSuspended",
            Self::ReadyForQuery(_) => "ReadyForQuery",
            Self::RowDescription(_) => "RowDescription",
        }
    }
}

fn empty(body: Bytes, name: &'static str, message: BackendMessage) -> Result<BackendMessage> {
    Cursor::new(body, name).end()?;
    Ok(message)
}

fn notification(body: Bytes) -> Result<BackendMessage> {
    let mut cursor = Cursor::new(body, "NotificationResponse");
    let process_id = cursor.i32()?;
    let channel = cursor.string()?;
    let payload = cursor.string()?;
    cursor.end()?;
    Ok(BackendMessage::NotificationResponse(Notification { process_id, channel, payload }))
}

fn command_complete(body: Bytes) -> Result<BackendMessage> {
    let mut cursor = Cursor::new(body, "CommandComplete");
    let tag = cursor.string()?;
    cursor.end()?;
    Ok(BackendMessage::CommandComplete { tag })
}

fn parameter_status(body: Bytes) -> Result<BackendMessage> {
    let mut cursor = Cursor::new(body, "ParameterStatus");
    let name = cursor.string()?;
    let value = cursor.string()?;
    cursor.end()?;
    Ok(BackendMessage::ParameterStatus { name, value })
}

fn backend_key_data(body: Bytes) -> Result<BackendMessage> {
    let mut cursor = Cursor::new(body, "BackendKeyData");
    let process_id = cursor.i32()?;
    let secret_key = cursor.rest();
    // Protocol 3.2 allows 4 to 256 bytes; 3.0 has always 4.
    if !(4..=256).contains(&secret_key.len()) {
        return Err(Error::protocol("BackendKeyData has a key of impossible length"));
    }
    Ok(BackendMessage::BackendKeyData { process_id, secret_key })
}

fn ready_for_query(body: Bytes) -> Result<BackendMessage> {
    let mut cursor = Cursor::new(body, "ReadyForQuery");
    let status = match cursor.u8()? {
        b'I' => TransactionStatus::Idle,
        b'T' => TransactionStatus::InTransaction,
        b'E' => TransactionStatus::Failed,
        other => return Err(Error::protocol(format!("ReadyForQuery has the unknown status 0x{other:02x}"))),
    };
    cursor.end()?;
    Ok(BackendMessage::ReadyForQuery(status))
}

fn authentication(body: Bytes) -> Result<Authentication> {
    let mut cursor = Cursor::new(body, "Authentication");
    let request = match cursor.i32()? {
        0 => Authentication::Ok,
        3 => Authentication::CleartextPassword,
        5 => Authentication::Md5Password(cursor.quad()?),
        10 => return sasl_mechanisms(cursor),
        11 => return Ok(Authentication::SaslContinue(cursor.rest())),
        12 => return Ok(Authentication::SaslFinal(cursor.rest())),
        other => return Ok(Authentication::Unsupported(other)),
    };
    cursor.end()?;
    Ok(request)
}

fn sasl_mechanisms(mut cursor: Cursor) -> Result<Authentication> {
    let mut mechanisms = Vec::new();
    loop {
        let mechanism = cursor.string()?;
        if mechanism.is_empty() {
            cursor.end()?;
            return Ok(Authentication::Sasl(mechanisms));
        }
        mechanisms.push(mechanism);
    }
}

fn format(code: u16) -> Result<Format> {
    match code {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        other => Err(Error::protocol(format!("unknown format code {other}"))),
    }
}

fn copy_response(body: Bytes, name: &'static str) -> Result<CopyResponse> {
    let mut cursor = Cursor::new(body, name);
    let overall = format(u16::from(cursor.u8()?))?;
    let count = cursor.u16()?;
    let columns = (0..count).map(|_| format(cursor.u16()?)).collect::<Result<Vec<_>>>()?;
    cursor.end()?;
    Ok(CopyResponse { format: overall, columns })
}

fn row_description(body: Bytes) -> Result<Vec<Column>> {
    let mut cursor = Cursor::new(body, "RowDescription");
    let count = cursor.u16()?;
    let mut columns = Vec::new();
    for _ in 0..count {
        columns.push(Column {
            name: cursor.string()?,
            table_oid: cursor.u32()?,
            column_id: cursor.i16()?,
            type_oid: cursor.u32()?,
            type_size: cursor.i16()?,
            type_modifier: cursor.i32()?,
            format: format(cursor.u16()?)?,
        });
    }
    cursor.end()?;
    Ok(columns)
}

fn parameter_description(body: Bytes) -> Result<BackendMessage> {
    let mut cursor = Cursor::new(body, "ParameterDescription");
    let count = cursor.u16()?;
    let types = (0..count).map(|_| cursor.u32()).collect::<Result<Vec<_>>>()?;
    cursor.end()?;
    Ok(BackendMessage::ParameterDescription(types))
}

fn negotiate_protocol_version(body: Bytes) -> Result<BackendMessage> {
    let mut cursor = Cursor::new(body, "NegotiateProtocolVersion");
    let minor = cursor.u32()?;
    let count = cursor.u32()?;
    let mut unrecognized = Vec::new();
    for _ in 0..count {
        // Each option takes a byte at least, so a false count ends at the end of the body.
        unrecognized.push(cursor.string()?);
    }
    cursor.end()?;
    Ok(BackendMessage::NegotiateProtocolVersion { minor, unrecognized })
}

/// The fields of an error or a notice.
fn report(body: Bytes, name: &'static str) -> Result<ServerError> {
    let mut cursor = Cursor::new(body, name);
    let mut error = ServerError::default();
    let mut translated_severity = None;
    loop {
        let field = cursor.u8()?;
        if field == 0 {
            break;
        }
        let value = cursor.string()?;
        match field {
            b'S' => translated_severity = Some(value),
            b'V' => error.severity = value,
            b'C' => error.code = value,
            b'M' => error.message = value,
            b'D' => error.detail = Some(value),
            b'H' => error.hint = Some(value),
            b'P' => error.position = value.parse().ok(),
            b'p' => error.internal_position = value.parse().ok(),
            b'q' => error.internal_query = Some(value),
            b'W' => error.where_ = Some(value),
            b's' => error.schema = Some(value),
            b't' => error.table = Some(value),
            b'c' => error.column = Some(value),
            b'd' => error.data_type = Some(value),
            b'n' => error.constraint = Some(value),
            b'F' => error.file = Some(value),
            b'L' => error.line = value.parse().ok(),
            b'R' => error.routine = Some(value),
            // The protocol asks clients to pass over fields they do not know.
            _ => {}
        }
        if cursor.is_empty() {
            return Err(Error::protocol(format!("{name} has no end")));
        }
    }
    // Servers before 9.6, and some poolers, send only the translated severity.
    if error.severity.is_empty() {
        error.severity = translated_severity.unwrap_or_else(|| "ERROR".to_owned());
    }
    Ok(error)
}
