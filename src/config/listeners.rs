//! The flags that say where the service listens.

use std::net::SocketAddr;

use clap::Args;

/// The addresses, as typed.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct ListenerFlags {
    /// Address of the public listener; port 0 picks a free one
    #[arg(
        long,
        help_heading = "Listeners",
        env = "RESNET_SERVE_LISTEN",
        value_name = "ADDR",
        value_parser = address,
        default_value = "127.0.0.1:8080"
    )]
    pub(super) listen: SocketAddr,

    /// Address of the admin listener: probes, metrics, log level, reloads
    #[arg(
        long,
        help_heading = "Listeners",
        env = "RESNET_SERVE_ADMIN_LISTEN",
        value_name = "ADDR",
        value_parser = address,
        default_value = "127.0.0.1:9090"
    )]
    pub(super) admin_listen: SocketAddr,

    /// Address of the gRPC listener: the Open Inference Protocol
    #[arg(
        long,
        help_heading = "Listeners",
        env = "RESNET_SERVE_GRPC_LISTEN",
        value_name = "ADDR",
        value_parser = address,
        default_value = "127.0.0.1:8081"
    )]
    pub(super) grpc_listen: SocketAddr,
}

impl ListenerFlags {
    /// Addresses that are taken twice.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let listeners = [
            ("--listen", self.listen),
            ("--admin-listen", self.admin_listen),
            ("--grpc-listen", self.grpc_listen),
        ];
        let mut mistakes = Vec::new();
        for (index, (flag, address)) in listeners.iter().enumerate() {
            let same = listeners[..index].iter().find(|(_, other)| other == address);
            if let Some((other, _)) = same.filter(|_| address.port() != 0) {
                mistakes.push(format!("{other} and {flag} are both `{address}`"));
            }
        }
        mistakes
    }
}

/// An address to listen on. Names are none: which of a name's addresses would be meant?
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let due =
        "an IP address and a port are due, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080";
    text.parse().map_err(|_| due.to_owned())
}
