//! An address that is taken at the start, and listened on when there is somebody to answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpSocket;

use super::ServeError;
use crate::api::listener::{Encryption, Entrance};
use crate::rereading::Files;
use crate::telemetry::metrics::Listener;
use crate::tls::Audience;

/// Connections that wait to be accepted, at most.
const BACKLOG: u32 = 1024;

/// Connections to it are refused until it listens.
pub(super) struct Bound {
    socket: TcpSocket,
    listener: Listener,
    address: SocketAddr,
    tls: Option<Encryption>,
}

impl Bound {
    /// Takes an address.
    ///
    /// # Errors
    ///
    /// When somebody listens on it, or it is not this machine's.
    pub(super) fn to(
        (address, listener): (SocketAddr, Listener),
        files: &Files,
    ) -> Result<Self, ServeError> {
        let socket = socket(address).map_err(|cause| failed((address, listener), cause))?;
        let tls = files.tls.as_ref().map(|tls| {
            let audience = match listener {
                Listener::Admin => Audience::Operators,
                Listener::Public | Listener::Grpc => Audience::Clients,
            };
            Encryption::new(tls.acceptor(audience), listener, Arc::clone(&files.metrics))
        });
        Ok(Self { socket, listener, address, tls })
    }

    /// Lets connections in.
    ///
    /// # Errors
    ///
    /// When somebody else has begun to listen on the same address meanwhile.
    pub(super) fn listen(self) -> Result<Entrance, ServeError> {
        let Self { socket, listener, address, tls } = self;
        let failed = |cause| failed((address, listener), cause);
        let socket = socket.listen(BACKLOG).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        tracing::info!(listener = listener.as_str(), %address, tls = tls.is_some(), "listening");
        Ok(Entrance { listener: socket, tls })
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // The connections of a process that has just ended are no obstacle.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn failed((address, listener): (SocketAddr, Listener), cause: io::Error) -> ServeError {
    let flag = match listener {
        Listener::Public => "--listen",
        Listener::Admin => "--admin-listen",
        Listener::Grpc => "--grpc-listen",
    };
    ServeError::Listen { flag, address: address.to_string(), cause }
}
