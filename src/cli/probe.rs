//! `probe`: asks a running service, as a container's health check does.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::Failure;
use crate::config;
use crate::tls;

/// Longer than a service that works ever takes.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `probe` takes.
#[derive(Args)]
pub(super) struct Arguments {
    /// Address of the admin listener; if it listens on every interface, the loopback is asked
    #[arg(
        long,
        env = "RESNET_SERVE_ADMIN_LISTEN",
        value_name = "ADDR",
        value_parser = config::address,
        default_value = "127.0.0.1:9090"
    )]
    admin_listen: SocketAddr,

    /// Certificate of the service; with it the probe speaks TLS, without verifying what it is shown
    #[arg(long, env = "RESNET_SERVE_TLS_CERT", value_name = "PATH")]
    tls_cert: Option<PathBuf>,

    /// What to ask: `/ready` or `/live`
    #[arg(long, value_name = "PATH", default_value = "/ready")]
    path: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let address = reachable(arguments.admin_listen);
    let (answer, hint) = match arguments.tls_cert {
        None => (ask(address, &arguments.path), "; if it speaks TLS, give `--tls-cert`"),
        Some(_) => (ask_encrypted(address, &arguments.path), ""),
    };
    let failed = |cause: io::Error| {
        let hint = if cause.kind() == io::ErrorKind::ConnectionRefused { "" } else { hint };
        Failure::Incomplete(format!("`{address}`: {cause}{hint}"))
    };
    let answer = answer.map_err(failed)?;
    let status = answer.split_whitespace().nth(1);
    if status == Some("200") {
        return Ok(());
    }
    let body = answer.split_once("\r\n\r\n").map_or(answer.as_str(), |(_, body)| body);
    Err(Failure::Incomplete(format!("`{address}{}`: {}", arguments.path, body.trim())))
}

fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    exchange(connect(address)?, (address, path))
}

fn ask_encrypted(address: SocketAddr, path: &str) -> io::Result<String> {
    let config = Arc::new(tls::unverified_client().map_err(io::Error::other)?);
    let name = ServerName::IpAddress(address.ip().into());
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    exchange(StreamOwned::new(connection, connect(address)?), (address, path))
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// One request and its whole answer, which is short.
fn exchange(
    mut stream: impl Read + Write,
    (address, path): (SocketAddr, &str),
) -> io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// An address that listens everywhere is no address to connect to.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_asked_on_the_loopback() {
        let asked = |listens: &str| reachable(listens.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9090"), "127.0.0.1:9090");
        assert_eq!(asked("[::]:9090"), "[::1]:9090");
        assert_eq!(asked("10.0.0.7:9090"), "10.0.0.7:9090");
    }
}
