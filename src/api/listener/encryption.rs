//! Handshakes of one listener's connections, and a count of those that fail.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::Failure;
use crate::telemetry::metrics::{HandshakeFailure, Listener, Metrics};
use crate::tls::{Acceptor, handshake_failure};

/// What encrypts the connections of a listener, and tells when it could not.
#[derive(Clone)]
pub struct Encryption {
    acceptor: Acceptor,
    listener: Listener,
    metrics: Arc<Metrics>,
}

impl Encryption {
    /// What can fail is counted from now on, from zero.
    #[must_use]
    pub fn new(acceptor: Acceptor, listener: Listener, metrics: Arc<Metrics>) -> Self {
        metrics.expect_handshakes(listener);
        Self { acceptor, listener, metrics }
    }

    /// Shakes hands with who has connected, who may take so long for it.
    pub(super) async fn shake(
        &self,
        stream: TcpStream,
        within: Duration,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        match timeout(within, self.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(cause)) => {
                self.metrics.count_handshake_failure(self.listener, handshake_failure(&cause));
                Err(cause.into())
            }
            Err(late) => {
                self.metrics.count_handshake_failure(self.listener, HandshakeFailure::TimedOut);
                Err(late.into())
            }
        }
    }
}
