//! The collector's address, and how it is spoken to.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use hyper::Uri;
use thiserror::Error;

/// Where OTLP over HTTP takes spans, below the collector's address.
const PATH: &str = "/v1/traces";

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Protocol {
    /// OTLP over gRPC, usually on port 4317.
    Grpc,
    /// OTLP over HTTP, usually on port 4318.
    Http,
}

/// The address of a collector, as in `http://localhost:4317`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint(String);

/// An address that is none.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
pub enum EndpointError {
    /// Not of the form `http://host:port`.
    #[error("it is not of the form `http://host:port`")]
    NotAUrl,
    /// The connection would have to be encrypted.
    #[error(
        "spans are sent unencrypted only; let a collector beside the service send them on as `https`"
    )]
    Encrypted,
}

/// A protocol that is none.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[error("`{0}` is no protocol that traces are sent by; `grpc` and `http/protobuf` are")]
pub struct ProtocolError(String);

impl Endpoint {
    /// What the exporter of a protocol is to call.
    pub(super) fn url(&self, protocol: Protocol) -> String {
        let base = self.0.trim_end_matches('/');
        match protocol {
            Protocol::Http if !base.ends_with(PATH) => format!("{base}{PATH}"),
            _ => base.to_owned(),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_| EndpointError::NotAUrl)?;
        let named = uri.host().is_some_and(|host| !host.is_empty());
        match uri.scheme_str() {
            Some("http") if named => Ok(Self(text.to_owned())),
            Some("https") => Err(EndpointError::Encrypted),
            _ => Err(EndpointError::NotAUrl),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Protocol {
    type Err = ProtocolError;

    /// As `OTEL_EXPORTER_OTLP_PROTOCOL` says it.
    fn from_str(text: &str) -> Result<Self, ProtocolError> {
        match text {
            "grpc" => Ok(Self::Grpc),
            "http/protobuf" => Ok(Self::Http),
            other => Err(ProtocolError(other.to_owned())),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str, protocol: Protocol) -> String {
        text.parse::<Endpoint>().unwrap().url(protocol)
    }

    #[test]
    fn http_has_a_path_of_its_own_below_what_is_given() {
        assert_eq!(url("http://c:4318", Protocol::Http), "http://c:4318/v1/traces");
        assert_eq!(url("http://c:4318/", Protocol::Http), "http://c:4318/v1/traces");
        assert_eq!(url("http://c/otlp", Protocol::Http), "http://c/otlp/v1/traces");
        assert_eq!(url("http://c/v1/traces", Protocol::Http), "http://c/v1/traces");
        assert_eq!(url("http://c:4317", Protocol::Grpc), "http://c:4317");
    }

    #[test]
    fn what_cannot_be_called_is_refused_with_the_reason() {
        for text in ["", "collector", "collector:4317", "/v1/traces", "ftp://collector", "http://"]
        {
            assert_eq!(text.parse::<Endpoint>(), Err(EndpointError::NotAUrl), "{text}");
        }
        assert_eq!("https://collector".parse::<Endpoint>(), Err(EndpointError::Encrypted));
    }

    #[test]
    fn a_protocol_is_named_as_opentelemetry_names_it() {
        assert_eq!("grpc".parse(), Ok(Protocol::Grpc));
        assert_eq!("http/protobuf".parse(), Ok(Protocol::Http));
        let error = "http/json".parse::<Protocol>().unwrap_err();
        assert!(error.to_string().contains("`http/json`"), "{error}");
    }
}
