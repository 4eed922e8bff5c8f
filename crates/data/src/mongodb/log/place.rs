//! Places in the log: cluster times as the order of positions, and resume tokens as their tokens.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, RawDocument, Timestamp as ClusterTime, doc};

use crate::error::{Error, ErrorKind, Result};
use crate::log::Position;
use crate::mongodb::error::malformed;
use crate::value::Timestamp;

/// The field of a resume token that holds its text.
const DATA: &str = "_data";
/// The field with what the text does not tell of the types of a key.
const TYPE_BITS: &str = "_typeBits";
/// What stands between both in the token of a position; no digit is written so.
const SEPARATOR: char = '.';
/// The first byte of a token that begins with a cluster time, which all of them do.
const TIME_MARK: u8 = 0x82;
/// The bytes of the mark and of the time.
const TIME_BYTES: usize = 9;

/// The order of a cluster time.
pub(super) fn order_of(time: ClusterTime) -> u64 {
    (u64::from(time.time) << 32) | u64::from(time.increment)
}

/// The cluster time of a position.
pub(super) fn cluster_time(position: &Position) -> ClusterTime {
    let [a, b, c, d, e, f, g, h] = position.order.to_be_bytes();
    ClusterTime { time: u32::from_be_bytes([a, b, c, d]), increment: u32::from_be_bytes([e, f, g, h]) }
}

/// When a cluster time was, to the second.
pub(super) fn moment_of(order: u64) -> Timestamp {
    Timestamp::from_millis(i64::try_from(order >> 32).unwrap_or(i64::MAX).saturating_mul(1000))
}

/// The token of a position, made of a resume token.
pub(super) fn token_text(token: &RawDocument) -> Result<String> {
    let mut text = token.get_str(DATA).map_err(malformed)?.to_owned();
    if let Ok(bits) = token.get_binary(TYPE_BITS) {
        text.push(SEPARATOR);
        text.extend(bits.bytes.iter().map(|byte| format!("{byte:02x}")));
    }
    Ok(text)
}

/// The resume token of which the token of a position was made.
///
/// # Errors
/// [`ErrorKind::LogLost`] if it is none.
pub(super) fn resume_token(text: &str) -> Result<Document> {
    let (data, bits) = text.split_once(SEPARATOR).map_or((text, None), |(data, bits)| (data, Some(bits)));
    time_of(data)?;
    let mut token = doc! {DATA: data};
    if let Some(bits) = bits {
        let bytes = bytes_of(bits).ok_or_else(foreign_token)?;
        token.insert(TYPE_BITS, Binary { subtype: BinarySubtype::Generic, bytes });
    }
    Ok(token)
}

/// The position that a resume token stands for.
pub(super) fn position_of(token: &RawDocument) -> Result<Position> {
    let order = time_of(token.get_str(DATA).map_err(malformed)?)?;
    Ok(Position { order, token: Some(token_text(token)?) })
}

/// The cluster time with which the text of a token begins.
fn time_of(data: &str) -> Result<u64> {
    let begin = data.get(..2 * TIME_BYTES).and_then(bytes_of);
    let Some([TIME_MARK, time @ ..]) = begin.as_deref() else { return Err(foreign_token()) };
    time.try_into().map(u64::from_be_bytes).map_err(|_| foreign_token())
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks_exact(2).map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}

fn foreign_token() -> Error {
    Error::new(ErrorKind::LogLost, "the position in the log of changes is none of MongoDB's")
}

#[cfg(test)]
mod tests {
    use mongodb::bson::RawDocumentBuf;

    use super::*;

    fn raw(document: &Document) -> RawDocumentBuf {
        RawDocumentBuf::try_from(document).unwrap()
    }

    #[test]
    fn a_token_tells_its_cluster_time_and_comes_back_as_it_was() {
        let bits = Binary { subtype: BinarySubtype::Generic, bytes: vec![0x82, 0x0f] };
        let token = doc! {"_data": "826720B1A4000000012B022C0100296E04", "_typeBits": bits};
        let position = position_of(&raw(&token)).unwrap();
        assert_eq!(position.order, (0x6720_B1A4 << 32) | 1);
        assert_eq!(cluster_time(&position), ClusterTime { time: 0x6720_B1A4, increment: 1 });
        assert_eq!(order_of(cluster_time(&position)), position.order);
        assert_eq!(resume_token(position.token.as_deref().unwrap()).unwrap(), token);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for data in ["", "82", "8267", "016720B1A400000001", "82ä720B1A400000001"] {
            let error = position_of(&raw(&doc! {"_data": data})).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::LogLost, "{data}");
        }
    }
}
