//! Why a handshake has failed, as far as the server can tell.

use std::io;

use rustls::Error;

use crate::telemetry::metrics::HandshakeFailure;

/// The reason that a failed handshake is counted under.
#[must_use]
pub fn failure(cause: &io::Error) -> HandshakeFailure {
    let tls = cause.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match tls {
        None => HandshakeFailure::Closed,
        Some(Error::NoCertificatesPresented) => HandshakeFailure::NoCertificate,
        Some(Error::InvalidCertificate(_)) => HandshakeFailure::BadCertificate,
        Some(Error::AlertReceived(_)) => HandshakeFailure::ClientAlert,
        Some(_) => HandshakeFailure::Protocol,
    }
}
