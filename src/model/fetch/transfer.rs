//! One request for what is missing of a file, and its answer.

use std::io::{self, Read as _};

use ureq::Agent;
use ureq::Body;
use ureq::http::Response;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RANGE};

use super::part::Part;
use super::{FetchError, Wanted, Watcher};

/// Bytes between two looks at the clock of whoever watches.
const CHUNK: usize = 64 << 10;

/// Asks for what is missing and appends what comes.
pub(super) fn transfer(
    agent: &Agent,
    wanted: &Wanted,
    (part, watcher): (&mut Part, &dyn Watcher),
) -> Result<(), FetchError> {
    let mut request = agent.get(&wanted.url);
    if part.length() > 0 {
        request = request.header(RANGE, format!("bytes={}-", part.length()));
    }
    let unreachable = |cause: ureq::Error| FetchError::Unreachable {
        url: wanted.url.clone(),
        cause: words(&cause),
    };
    let response = request.call().map_err(unreachable)?;
    let begins = beginning(wanted, &response, part)?;
    let total = check_total(wanted, &response, begins)?;
    if begins != part.length() {
        part.restart()?;
    }
    watcher.at(part.length(), total);
    receive(response.into_body(), (wanted, total), (part, watcher))
}

/// Where in the file the answer's first byte belongs: where it was asked for, or at the beginning.
fn beginning(
    wanted: &Wanted,
    response: &Response<Body>,
    part: &mut Part,
) -> Result<u64, FetchError> {
    let (status, url) = (response.status().as_u16(), wanted.url.clone());
    match status {
        200 | 206 => (),
        // There is no such range: the file is no longer the one that the part is of.
        416 if part.length() > 0 => {
            part.restart()?;
            return Err(FetchError::interrupted(wanted, part, "the file has changed"));
        }
        _ => return Err(FetchError::Status { url, status }),
    }
    let kind = header(response, CONTENT_TYPE).unwrap_or_default();
    if kind.starts_with("text/html") || kind.starts_with("application/xhtml") {
        return Err(FetchError::Page { url, kind: kind.to_owned() });
    }
    if status == 200 {
        return Ok(0);
    }
    let range = header(response, CONTENT_RANGE).and_then(first_of_range);
    if range == Some(part.length()) {
        return Ok(part.length());
    }
    part.restart()?;
    Err(FetchError::interrupted(wanted, part, "the server sent another range"))
}

/// The size of the whole file, by what the server announces and what is known.
fn check_total(
    wanted: &Wanted,
    response: &Response<Body>,
    begins: u64,
) -> Result<Option<u64>, FetchError> {
    let length = header(response, CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let announced = length.map(|length| begins + length);
    match (announced, wanted.bytes) {
        (Some(found), Some(expected)) if found != expected => {
            Err(FetchError::WrongSize { url: wanted.url.clone(), found, expected })
        }
        (announced, known) => Ok(announced.or(known)),
    }
}

fn receive(
    body: Body,
    (wanted, total): (&Wanted, Option<u64>),
    (part, watcher): (&mut Part, &dyn Watcher),
) -> Result<(), FetchError> {
    let mut reader = body.into_reader();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => return Err(FetchError::interrupted(wanted, part, &cause.to_string())),
        };
        part.append(&chunk[..read])?;
        watcher.at(part.length(), total);
        if let Some(expected) = total.filter(|total| part.length() > *total) {
            let found = part.length();
            part.restart()?;
            return Err(FetchError::WrongSize { url: wanted.url.clone(), found, expected });
        }
    }
    match total {
        Some(total) if part.length() < total => {
            Err(FetchError::interrupted(wanted, part, "the connection was closed"))
        }
        _ => Ok(()),
    }
}

impl FetchError {
    fn interrupted(wanted: &Wanted, part: &Part, cause: &str) -> Self {
        Self::Interrupted {
            url: wanted.url.clone(),
            bytes: part.length(),
            cause: cause.to_owned(),
            part: part.path().to_owned(),
        }
    }
}

/// `bytes 100-199/200` begins at 100.
fn first_of_range(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

fn header(response: &Response<Body>, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// What the system says needs no introduction.
fn words(cause: &ureq::Error) -> String {
    match cause {
        ureq::Error::Io(cause) => cause.to_string(),
        cause => cause.to_string(),
    }
}
