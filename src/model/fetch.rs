//! Downloads a file that is there whole and checked, or not at all.
//!
//! Until it is complete it is `NAME.part` beside its place, and a later call goes on from there.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use super::digest::Sha256Hex;
use crate::client::{self, ClientError};

mod part;
mod transfer;

use part::Part;

/// A file that is wanted, and how it is known.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where it is.
    pub url: String,
    /// What it must hash to.
    pub sha256: Option<Sha256Hex>,
    /// Its size.
    pub bytes: Option<u64>,
}

/// How long a server and its network are put up with.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Interruptions in a row without a byte between them.
    pub interruptions: u32,
    /// Before the first of them is got over; twice as long before each further one.
    pub pause: Duration,
    /// Without a byte, a connection is given up.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            interruptions: 4,
            pause: Duration::from_millis(500),
            silence: Duration::from_secs(30),
        }
    }
}

/// Who wants to know how far it is.
pub trait Watcher {
    /// So many bytes are there, of so many where that is known.
    fn at(&self, bytes: u64, total: Option<u64>);

    /// The transfer was interrupted and will go on after a pause.
    fn interrupted(&self, cause: &FetchError);
}

/// A file that is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fetched {
    /// Its size.
    pub bytes: u64,
    /// What it hashes to.
    pub sha256: String,
}

/// Why a file is not there.
#[derive(Debug, Error)]
pub enum FetchError {
    /// No address, or no proxy.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no connection to the server.
    #[error("cannot reach `{url}`: {cause}")]
    Unreachable {
        /// The address.
        url: String,
        /// What the client says.
        cause: String,
    },
    /// The server says something else than "here it is".
    #[error("`{url}` was answered with status {status}{}", hint(*status))]
    Status {
        /// The address.
        url: String,
        /// Its answer.
        status: u16,
    },
    /// A login, an error or a proxy's page.
    #[error(
        "`{url}` was answered with a page ({kind}) in place of the file; a proxy or a login may stand between"
    )]
    Page {
        /// The address.
        url: String,
        /// The content type.
        kind: String,
    },
    /// Another file.
    #[error("`{url}` has {found} bytes where {expected} are due; it is another file")]
    WrongSize {
        /// The address.
        url: String,
        /// As the server says or sends.
        found: u64,
        /// As it is known.
        expected: u64,
    },
    /// Another content.
    #[error(
        "`{url}` has the SHA-256 `{found}` where `{expected}` is due; what was downloaded is removed"
    )]
    WrongHash {
        /// The address.
        url: String,
        /// Of what was downloaded.
        found: String,
        /// As it is known.
        expected: String,
    },
    /// The connection broke off.
    #[error("`{url}` broke off after {bytes} bytes: {cause}{}", going_on(*bytes, part))]
    Interrupted {
        /// The address.
        url: String,
        /// What is there.
        bytes: u64,
        /// What the client says.
        cause: String,
        /// Where it is.
        part: PathBuf,
    },
    /// The disk does not take it.
    #[error("cannot write `{}`: {cause}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// Another process downloads to the same place.
    #[error("`{}` is being downloaded by another process", .0.display())]
    Busy(PathBuf),
}

/// Downloads a file to its place, or goes on with what is there of it.
///
/// # Errors
///
/// When the server, the network, the disk or the content is not as it should be. Nothing is left
/// then but a part that can be gone on with, where there is one.
pub fn fetch(
    wanted: &Wanted,
    target: &Path,
    (patience, watcher): (Patience, &dyn Watcher),
) -> Result<Fetched, FetchError> {
    let agent = client::agent(&wanted.url, patience.silence)?;
    let mut part = Part::open(target)?;
    let resumed = part.length() > 0;
    let transfer = |part: &mut Part| download(&agent, wanted, part, (patience, watcher));
    transfer(&mut part)?;
    if resumed && wanted.mismatch(&part.sha256()).is_some() {
        // The beginning may have been another version's.
        part.restart()?;
        transfer(&mut part)?;
    }
    let (bytes, found) = (part.length(), part.sha256());
    if let Some(expected) = wanted.mismatch(&found) {
        part.restart()?;
        return Err(FetchError::WrongHash { url: wanted.url.clone(), found, expected });
    }
    part.finish(target)?;
    Ok(Fetched { bytes, sha256: found })
}

/// Transfers until all is there, getting over interruptions.
fn download(
    agent: &ureq::Agent,
    wanted: &Wanted,
    part: &mut Part,
    (patience, watcher): (Patience, &dyn Watcher),
) -> Result<(), FetchError> {
    let mut interruptions = 0;
    while !part.is_complete(wanted) {
        let before = part.length();
        let Err(cause) = transfer::transfer(agent, wanted, (&mut *part, watcher)) else {
            return Ok(());
        };
        interruptions = if part.length() > before { 0 } else { interruptions + 1 };
        if !cause.may_pass(part) || interruptions >= patience.interruptions {
            return Err(cause);
        }
        watcher.interrupted(&cause);
        thread::sleep(patience.pause * 2_u32.saturating_pow(interruptions));
    }
    Ok(())
}

impl Wanted {
    /// The hash that was due, where it is not the one that was found.
    fn mismatch(&self, found: &str) -> Option<String> {
        let expected = self.sha256.as_ref()?.as_str();
        (expected != found).then(|| expected.to_owned())
    }
}

impl FetchError {
    fn write(path: &Path, cause: io::Error) -> Self {
        Self::Write { path: path.to_owned(), cause }
    }

    /// Whether the next attempt may fare better.
    fn may_pass(&self, part: &Part) -> bool {
        match self {
            Self::Interrupted { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            // A network that was there a moment ago.
            Self::Unreachable { .. } => part.has_grown(),
            _ => false,
        }
    }
}

fn going_on(bytes: u64, part: &Path) -> String {
    if bytes == 0 {
        return String::new();
    }
    format!("; the same command goes on from `{}`", part.display())
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => ": the server does not give the file to everyone; --url names another place",
        404 | 410 => ": there is no such file; --url names another place",
        407 => ": the proxy wants a name and a password, as in http://NAME:PASSWORD@PROXY",
        429 => ": the server has been asked too often; try again later",
        500.. => ": the server has a problem; try again later",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
