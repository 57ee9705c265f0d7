//! The flags that say who comes in, and how.

use std::path::PathBuf;

use clap::Args;

use super::origin::Origin;
use crate::tls::TlsFiles;

/// The flags of the doors, as typed.
#[derive(Args, Debug)]
#[command(next_help_heading = "Access")]
pub(super) struct DoorFlags {
    /// File of API keys, one a line as `key new` prints them; without it none is needed
    #[arg(long, env = "RESNET_SERVE_API_KEYS_FILE", value_name = "PATH")]
    api_keys_file: Option<PathBuf>,

    /// Certificate chain in PEM; with it all listeners speak TLS; read again when it changes
    #[arg(long, env = "RESNET_SERVE_TLS_CERT", value_name = "PATH")]
    tls_cert: Option<PathBuf>,

    /// Private key of that certificate, in PEM
    #[arg(long, env = "RESNET_SERVE_TLS_KEY", value_name = "PATH")]
    tls_key: Option<PathBuf>,

    /// Authority that signs client certificates, in PEM; with it the public and the gRPC listener
    /// ask for one
    #[arg(long, env = "RESNET_SERVE_TLS_CLIENT_CA", value_name = "PATH")]
    tls_client_ca: Option<PathBuf>,

    /// Origin whose pages may send requests from a browser, such as `https://app.example`, or `*`
    /// for all; may be given several times
    #[arg(
        long,
        env = "RESNET_SERVE_CORS_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    cors_allow_origin: Vec<Origin>,
}

/// Who comes in, and how.
#[derive(Clone, Debug)]
pub struct Doors {
    /// Who may ask; everybody without it.
    pub api_keys_file: Option<PathBuf>,
    /// What connections are encrypted with.
    pub tls: Option<TlsFiles>,
    /// Pages from elsewhere that may ask; none without it.
    pub cors_allow_origin: Vec<Origin>,
}

impl DoorFlags {
    /// Puts together what belongs together; what does not goes to `mistakes`.
    pub(super) fn check(self, mistakes: &mut Vec<String>) -> Doors {
        let tls = match (self.tls_cert, self.tls_key, self.tls_client_ca) {
            (Some(certificate), Some(key), client_ca) => {
                Some(TlsFiles { certificate, key, client_ca })
            }
            (None, None, None) => None,
            (None, None, Some(_)) => {
                mistakes.push("--tls-client-ca needs --tls-cert and --tls-key".to_owned());
                None
            }
            (Some(_), None, _) | (None, Some(_), _) => {
                mistakes.push("--tls-cert and --tls-key need each other".to_owned());
                None
            }
        };
        Doors { api_keys_file: self.api_keys_file, tls, cors_allow_origin: self.cors_allow_origin }
    }
}
