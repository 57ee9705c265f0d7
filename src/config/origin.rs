//! An origin whose pages may ask from a browser.

use std::str::FromStr;

use http::{HeaderValue, Uri};
use thiserror::Error;

/// Pages from elsewhere that may ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// All of them, `*`.
    Any,
    /// Those of one scheme, host and port, as a browser writes it.
    Of(HeaderValue),
}

/// An origin that is none.
#[derive(Debug, Error)]
#[error("an origin is `https://host` or `https://host:port`, without a path, or `*`")]
pub struct OriginError;

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let text = text.to_ascii_lowercase();
        let uri: Uri = text.parse().map_err(|_| OriginError)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(OriginError);
        };
        // What is equal to that has neither path nor query. No origin has a user's name in it, and
        // patterns are not taken.
        if text != format!("{scheme}://{authority}") || text.contains(['@', '*']) {
            return Err(OriginError);
        }
        let usual = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => "",
        };
        // A browser leaves out the scheme's own port.
        let written = text.strip_suffix(usual).unwrap_or(&text);
        HeaderValue::from_str(written).map(Self::Of).map_err(|_| OriginError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_would_write() {
        for (typed, written) in [
            ("https://a.example", "https://a.example"),
            ("HTTPS://A.Example:8443", "https://a.example:8443"),
            ("https://a.example:443", "https://a.example"),
            ("http://localhost:80", "http://localhost"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("tauri://localhost", "tauri://localhost"),
        ] {
            let Ok(Origin::Of(origin)) = typed.parse() else { panic!("{typed}") };
            assert_eq!(origin, written);
        }
        assert_eq!("*".parse::<Origin>().unwrap(), Origin::Any);
    }

    #[test]
    fn what_no_browser_would_write_is_refused() {
        for typed in [
            "",
            "null",
            "a.example",
            "https://",
            "https://a.example/",
            "https://a.example/page",
            "https://a.example?x",
            "https://user@a.example",
            "https://*.example",
            "https://a.example, https://b.example",
            "/",
        ] {
            assert!(typed.parse::<Origin>().is_err(), "{typed}");
        }
    }
}
