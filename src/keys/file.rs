//! A file of keys: a line each, `name:sha256`, or `name:sha256:rate=10,inflight=4`.

use std::collections::HashSet;
use std::fmt::{self, Display};
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::quota::{Limits, Rate};

/// Characters of a name.
const LONGEST_NAME: usize = 64;

/// Whose key it is: up to 64 letters, digits, `.`, `_` and `-`, fit for a log and a label.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Name(Arc<str>);

/// A name that is none.
#[derive(Clone, Debug, Error)]
#[error("`{0}` is no name; up to {LONGEST_NAME} letters, digits, `.`, `_` and `-` are")]
pub struct NameError(String);

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) name: Name,
    pub(super) digest: [u8; 32],
    pub(super) limits: Limits,
}

/// A line that is no key, and why.
#[derive(Clone, Debug, Error)]
#[error("line {line}: {reason}")]
pub struct Mistake {
    line: usize,
    reason: String,
}

impl Name {
    /// The name as it stands in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(fit) {
            Ok(Self(text.into()))
        } else {
            Err(NameError(text.chars().take(LONGEST_NAME).collect()))
        }
    }
}

/// The keys of a file; empty lines and those that begin with `#` are passed over.
///
/// # Errors
///
/// Every line that is no key. What a line holds is not repeated: it may be a key by mistake.
pub(super) fn parse(text: &str) -> Result<Vec<Entry>, Vec<Mistake>> {
    let lines = (1..).zip(text.lines().map(str::trim));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (mut entries, mut mistakes) = (Vec::new(), Vec::new());
    let (mut names, mut digests) = (HashSet::new(), HashSet::new());
    for (line, text) in lines {
        let unique = |entry: Entry| {
            let fresh = (names.insert(entry.name.clone()), digests.insert(entry.digest));
            match fresh {
                (true, true) => Ok(entry),
                (false, _) => Err(format!("an earlier line has the name `{}`", entry.name)),
                (true, false) => Err("an earlier line has this key".to_owned()),
            }
        };
        match entry(text).and_then(unique) {
            Ok(entry) => entries.push(entry),
            Err(reason) => mistakes.push(Mistake { line, reason }),
        }
    }
    if entries.is_empty() && mistakes.is_empty() {
        let reason = "there is no key; `resnet-serve key new NAME` makes one".to_owned();
        mistakes.push(Mistake { line: 1, reason });
    }
    if mistakes.is_empty() { Ok(entries) } else { Err(mistakes) }
}

fn entry(text: &str) -> Result<Entry, String> {
    let mut fields = text.splitn(3, ':').map(str::trim);
    let (name, digest) = (fields.next().unwrap_or_default(), fields.next());
    let name = name.parse().map_err(|_| "it does not begin with `name:`".to_owned())?;
    let digest = digest.and_then(digest_of).ok_or("no SHA-256 of 64 digits follows the name")?;
    let limits = fields.next().map_or(Ok(Limits::default()), limits)?;
    Ok(Entry { name, digest, limits })
}

fn digest_of(text: &str) -> Option<[u8; 32]> {
    let pairs = (text.len() == 64).then(|| text.as_bytes().chunks(2))?;
    let bytes: Option<Vec<u8>> =
        pairs.map(|pair| Some(hex_digit(pair[0])? << 4 | hex_digit(pair[1])?)).collect();
    bytes?.try_into().ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn limits(text: &str) -> Result<Limits, String> {
    let mut limits = Limits::default();
    for limit in text.split(',').map(str::trim) {
        let (name, value) = limit.split_once('=').unwrap_or((limit, ""));
        match name {
            "rate" if limits.rate.is_none() => limits.rate = Some(rate(value)?),
            "inflight" if limits.in_flight.is_none() => limits.in_flight = Some(count(value)?),
            _ => return Err("`rate=N` and `inflight=N` are taken, each once".to_owned()),
        }
    }
    Ok(limits)
}

fn rate(text: &str) -> Result<Rate, String> {
    let rate = text.parse().ok().and_then(Rate::per_second);
    rate.ok_or_else(|| {
        "`rate` is a number of requests a second, at least one a day (0.0000116)".to_owned()
    })
}

fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "`inflight` is a number of requests, above 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90";
    const OTHER: &str = "81B637D8FCD2C6DA6359E6963113A1170DE795E4B725B84D1E0B4CFD9EC58CE9";

    #[test]
    fn a_line_has_a_name_a_digest_and_limits_if_it_likes() {
        let text = format!("# keys\n\n a.b_c-1:{DIGEST}\nbob : {OTHER} : rate=0.5 , inflight=4\n");
        let entries = parse(&text).unwrap();
        assert_eq!(entries[0].name.as_str(), "a.b_c-1");
        assert_eq!(entries[0].digest[..2], [0x2b, 0xd8]);
        assert_eq!(entries[0].limits, Limits::default());
        assert_eq!(entries[1].digest[..2], [0x81, 0xb6]);
        assert_eq!(entries[1].limits.rate, Rate::per_second(0.5));
        assert_eq!(entries[1].limits.in_flight, NonZeroUsize::new(4));
    }

    #[test]
    fn every_line_that_is_no_key_is_named_and_none_is_repeated() {
        for (line, reason) in [
            ("alice", "SHA-256"),
            ("alice:secret", "SHA-256"),
            ("alice:é", "SHA-256"),
            (":00", "`name:`"),
            ("al ice:00", "`name:`"),
            (&format!("alice:{DIGEST}0"), "SHA-256"),
            (&format!("alice:{DIGEST}:"), "each once"),
            (&format!("alice:{DIGEST}:rate=0"), "one a day"),
            (&format!("alice:{DIGEST}:rate=nan"), "one a day"),
            (&format!("alice:{DIGEST}:rate=inf"), "one a day"),
            (&format!("alice:{DIGEST}:rate=1e-20"), "one a day"),
            (&format!("alice:{DIGEST}:inflight=0"), "above 0"),
            (&format!("alice:{DIGEST}:rate=1,rate=2"), "each once"),
            (&format!("alice:{DIGEST}:burst=1"), "each once"),
            (&format!("bob:{DIGEST}"), "an earlier line has this key"),
            (&format!("first:{OTHER}"), "an earlier line has the name `first`"),
        ] {
            let mistakes = parse(&format!("first:{DIGEST}\n{line}\nx")).unwrap_err();
            assert_eq!(mistakes.len(), 2, "{line}");
            let said = mistakes[0].to_string();
            assert!(said.starts_with("line 2: ") && said.contains(reason), "{line}: {said}");
            assert!(!said.contains("secret") && !said.contains(DIGEST), "{said}");
        }
        assert!(parse("# none\n").unwrap_err()[0].to_string().contains("key new"));
    }
}
