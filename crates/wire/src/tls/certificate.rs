//! The few fields of an X.509 certificate needed here: how it is signed and how long it is valid.

use std::ops::RangeInclusive;

use ring::digest;

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version stands first in a certificate's body, with this explicit tag, and may be missing.
const VERSION: u8 = 0xa0;

/// The `tls-server-end-point` of RFC 5929: the certificate hashed as its own signature hashes, where MD5 and
/// SHA-1 give way to SHA-256. `None` for signatures for which the standard names no hash.
pub(crate) fn end_point_hash(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = match signature_algorithm(certificate)? {
        // RSA with MD5, SHA-1, SHA-256; ECDSA with SHA-1, SHA-256.
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 4 | 5 | 11]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 2] => &digest::SHA256,
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 12]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 3] => &digest::SHA384,
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 13]
        | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 4] => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// From when to when the certificate is valid, in seconds since 1970.
pub(super) fn validity(certificate: &[u8]) -> Option<RangeInclusive<u64>> {
    let mut fields = Fields(body(certificate)?.0);
    if fields.0.first() == Some(&VERSION) {
        fields.next()?;
    }
    // The serial number, the signature's algorithm and the issuer stand before it.
    let (tag, times) = fields.nth(3)?;
    let mut times = Fields((tag == SEQUENCE).then_some(times)?);
    let (start, end) = (times.next()?, times.next()?);
    Some(time(start)?..=time(end)?)
}

/// The body that is signed, and what follows it.
fn body(certificate: &[u8]) -> Option<(&[u8], Fields<'_>)> {
    let (_, whole) = Fields(certificate).next()?;
    let mut fields = Fields(whole);
    let (_, body) = fields.next()?;
    Some((body, fields))
}

fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (_, mut after) = body(certificate)?;
    let (_, algorithm) = after.next()?;
    let (tag, identifier) = Fields(algorithm).next()?;
    (tag == OBJECT_IDENTIFIER).then_some(identifier)
}

/// `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` as seconds since 1970.
fn time((tag, text): (u8, &[u8])) -> Option<u64> {
    let digits = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        // Two digits mean 1950 to 2049.
        UTC_TIME => {
            let year: u64 = digits.get(..2)?.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, digits.get(2..)?)
        }
        GENERALIZED_TIME => (digits.get(..4)?.parse().ok()?, digits.get(4..)?),
        _ => return None,
    };
    let field = |at: usize| -> Option<u64> { rest.get(at..at + 2)?.parse().ok() };
    let (month, day) = (field(0)?, field(2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_since_1970(year, month, day);
    Some(days * 86_400 + field(4)? * 3_600 + field(6)? * 60 + field(8)?)
}

/// Days from 1970-01-01, 0 for anything before. Years begin in March, so that the leap day comes last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year.saturating_sub(1) } else { year };
    let month = (month + 9) % 12;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    days.saturating_sub(719_468)
}

/// The fields of a DER value one after the other: each its tag and its content.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            // The long form: the low bits say how many bytes hold the length; four are more than enough.
            let (bytes, rest) =
                rest.split_at_checked(usize::from(first & 0x7f)).filter(|(bytes, _)| bytes.len() <= 4)?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_leap_years_and_both_centuries() {
        assert_eq!(time((UTC_TIME, b"700101000000Z")), Some(0));
        assert_eq!(time((UTC_TIME, b"000301000000Z")), Some(951_868_800));
        assert_eq!(time((GENERALIZED_TIME, b"20261121205133Z")), Some(1_795_294_293));
        assert_eq!(time((GENERALIZED_TIME, b"20261321205133Z")), None);
        assert_eq!(time((UTC_TIME, b"7001")), None);
    }

    #[test]
    fn validity_and_signature_are_read_from_a_real_certificate() {
        let mut parameters = rcgen::CertificateParams::new(vec!["db.example".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2020, 2, 29);
        parameters.not_after = rcgen::date_time_ymd(2051, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        assert_eq!(validity(certificate.der()), Some(1_582_934_400..=2_556_144_000));
        assert_eq!(end_point_hash(certificate.der()).unwrap().len(), 32);
    }

    #[test]
    fn a_truncated_certificate_has_no_fields_and_does_no_harm() {
        let key = rcgen::generate_simple_self_signed(vec!["db.example".to_owned()]).unwrap();
        let der = key.cert.der();
        for end in 0..der.len() {
            assert_eq!(validity(&der[..end]), None);
            assert_eq!(end_point_hash(&der[..end]), None);
        }
    }
}
