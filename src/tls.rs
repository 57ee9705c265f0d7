//! TLS on the listeners: certificates from files, read anew without a restart.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

mod files;
mod handshake;
mod unverified;

pub use files::{TlsError, TlsFiles};
pub use handshake::failure as handshake_failure;
pub use unverified::client as unverified_client;

use self::files::Stamps;

/// Certificates and what is made of them. Clones are the same.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    configs: Arc<RwLock<Configs>>,
    seen: Arc<Mutex<Stamps>>,
}

/// Who comes to a listener.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Audience {
    /// Clients, who show a certificate where one is asked for.
    Clients,
    /// Probes and scrapes, which have none.
    Operators,
}

/// Encrypts the connections of one listener, each with the certificate of its time.
#[derive(Clone)]
pub struct Acceptor {
    tls: Tls,
    audience: Audience,
}

#[derive(Clone)]
struct Configs {
    clients: Arc<ServerConfig>,
    operators: Arc<ServerConfig>,
    /// When the server's certificate ends, from 1970; `None` where that cannot be told.
    expiry: Option<Duration>,
}

impl Tls {
    /// Reads certificates and keys.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, is none of its kind, or does not fit the others.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        // Before the files are read: what changes meanwhile is read again.
        let seen = files.stamps();
        let configs = Configs::read(&files)?;
        Ok(Self {
            files: Arc::new(files),
            configs: Arc::new(RwLock::new(configs)),
            seen: Arc::new(Mutex::new(seen)),
        })
    }

    /// Reads the files anew; connections that come from now on get what is in them.
    ///
    /// # Errors
    ///
    /// As [`Tls::load`]; then the certificates stay as they were.
    pub fn reload(&self) -> Result<(), TlsError> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = self.files.stamps();
        let configs = Configs::read(&self.files)?;
        *self.configs.write().unwrap_or_else(PoisonError::into_inner) = configs;
        Ok(())
    }

    /// Whether a file is another than when it was last read, well or not.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) != self.files.stamps()
    }

    /// When the certificate that is shown ends, from 1970; `None` where it does not say so in a way
    /// that can be read.
    #[must_use]
    pub fn expiry(&self) -> Option<Duration> {
        self.configs.read().unwrap_or_else(PoisonError::into_inner).expiry
    }

    /// What a listener needs.
    #[must_use]
    pub fn acceptor(&self, audience: Audience) -> Acceptor {
        Acceptor { tls: self.clone(), audience }
    }
}

impl Acceptor {
    /// Shakes hands; whoever calls this has to limit the time that it takes.
    ///
    /// # Errors
    ///
    /// When the other side speaks no TLS, or shows no certificate though one is asked for.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.config()).accept(stream).await
    }

    fn config(&self) -> Arc<ServerConfig> {
        let configs = self.tls.configs.read().unwrap_or_else(PoisonError::into_inner);
        match self.audience {
            Audience::Clients => Arc::clone(&configs.clients),
            Audience::Operators => Arc::clone(&configs.operators),
        }
    }
}

impl Configs {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let clients = files.server(Audience::Clients)?;
        let operators = files.server(Audience::Operators)?;
        let expiry = files.expiry()?;
        Ok(Self { clients: Arc::new(clients), operators: Arc::new(operators), expiry })
    }
}

#[cfg(test)]
pub(crate) mod tests;
