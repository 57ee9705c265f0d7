//! Bodies that come compressed.

use std::io::{self, Read};

use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use thiserror::Error;

use crate::memory::Charge;

/// Bytes that are inflated before their room is asked for.
const STEP: usize = 64 << 10;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Coding {
    /// As in RFC 1952.
    Gzip,
    /// As in RFC 1950, which HTTP calls `deflate`.
    Deflate,
}

/// A body that could not be inflated.
#[derive(Debug, Error)]
pub(crate) enum InflateError {
    /// It is larger than it may be.
    #[error("the body is too large when inflated")]
    TooLarge,
    /// There is no memory for it.
    #[error("there is no memory for the inflated body")]
    OutOfMemory {
        /// Bytes that it holds and asks for, before it is known how many it will need.
        needed: u64,
    },
    /// It is not what it claims to be.
    #[error("the body cannot be inflated: {0}")]
    Broken(io::Error),
}

impl Coding {
    /// The coding of that name.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        match name.to_ascii_lowercase().as_slice() {
            // RFC 9110, section 8.4.1.3: the same by its old name.
            b"gzip" | b"x-gzip" => Some(Self::Gzip),
            b"deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    /// The coding that the headers name, none for a plain body.
    ///
    /// # Errors
    ///
    /// The name of a coding that is not known.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, String> {
        let values: Vec<&[u8]> =
            headers.get_all(CONTENT_ENCODING).iter().map(HeaderValue::as_bytes).collect();
        let all = || String::from_utf8_lossy(&values.join(&b", "[..])).into_owned();
        match values.as_slice() {
            [] => Ok(None),
            [value] if value.eq_ignore_ascii_case(b"identity") => Ok(None),
            [value] => Self::named(value).map(Some).ok_or_else(all),
            _ => Err(all()),
        }
    }
}

/// Inflates a body within `limit` bytes; each step is charged before it is kept, so that a small
/// body that would become a large one costs no more than one that is sent plain.
///
/// # Errors
///
/// When it becomes too large, finds no memory, or is broken.
pub(crate) fn inflate(
    coding: Coding,
    compressed: &[u8],
    (limit, charge): (usize, &mut Charge),
) -> Result<Bytes, InflateError> {
    let mut decoder: Box<dyn Read> = match coding {
        Coding::Gzip => Box::new(MultiGzDecoder::new(compressed)),
        Coding::Deflate => Box::new(ZlibDecoder::new(compressed)),
    };
    let mut inflated = Vec::new();
    loop {
        charge.grow(STEP as u64).map_err(|needed| InflateError::OutOfMemory { needed })?;
        let mut step = decoder.by_ref().take(STEP as u64);
        let read = step.read_to_end(&mut inflated).map_err(InflateError::Broken)?;
        if inflated.len() > limit {
            return Err(InflateError::TooLarge);
        }
        if read == 0 {
            return Ok(inflated.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;
    use crate::memory::MemoryBudget;

    const BUDGET: u64 = 10 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn within(limit: usize, budget: u64, compressed: &[u8]) -> Result<Bytes, InflateError> {
        let mut charge = MemoryBudget::new(budget).charge(0).unwrap();
        inflate(Coding::Gzip, compressed, (limit, &mut charge))
    }

    #[test]
    fn both_codings_give_back_what_was_compressed() {
        let body = b"picture ".repeat(20_000);
        let mut charge = MemoryBudget::new(BUDGET).charge(0).unwrap();
        for (coding, compressed) in [(Coding::Gzip, gzip(&body)), (Coding::Deflate, zlib(&body))] {
            let inflated = inflate(coding, &compressed, (body.len(), &mut charge)).unwrap();
            assert!(inflated == body, "{coding:?}");
        }
    }

    #[test]
    fn a_gzip_body_may_have_several_members() {
        let body = [gzip(b"pic"), gzip(b"ture")].concat();
        assert_eq!(within(100, BUDGET, &body).unwrap(), "picture");
    }

    #[test]
    fn a_small_body_that_becomes_a_large_one_is_given_up_at_the_limit() {
        let bomb = gzip(&vec![0; 8 << 20]);
        assert!(bomb.len() < 10_000);
        assert!(matches!(within(1 << 20, BUDGET, &bomb), Err(InflateError::TooLarge)));
        assert!(matches!(within(9 << 20, 1 << 20, &bomb), Err(InflateError::OutOfMemory { .. })));
    }

    #[test]
    fn a_body_that_is_cut_off_or_no_gzip_is_broken() {
        let body = gzip(&b"picture ".repeat(1000));
        for broken in [&body[..body.len() / 2], b"no gzip", b""] {
            let result = within(1 << 20, BUDGET, broken);
            assert!(matches!(result, Err(InflateError::Broken(_))), "{broken:?}: {result:?}");
        }
    }

    #[test]
    fn a_coding_that_is_not_known_is_named() {
        let coding = |name| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
            Coding::of(&headers)
        };
        assert_eq!(coding("GZIP"), Ok(Some(Coding::Gzip)));
        assert_eq!(coding("identity"), Ok(None));
        assert_eq!(coding("br"), Err("br".to_owned()));
        assert_eq!(coding("gzip, deflate"), Err("gzip, deflate".to_owned()));
        assert_eq!(Coding::of(&HeaderMap::new()), Ok(None));
    }
}
