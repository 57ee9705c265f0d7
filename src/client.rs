//! Outgoing HTTP: through which proxy, trusting whom, and how patient.

use std::env;
use std::net::IpAddr;
use std::time::Duration;

use thiserror::Error;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Proxy};

/// For a name to be looked up and a connection to be made.
const CONNECT: Duration = Duration::from_secs(20);

/// Connections to one server that are kept for the next request.
const MAX_IDLE: usize = 64;

/// An address or a proxy that cannot be used.
#[derive(Debug, Error)]
pub enum ClientError {
    /// It is no URL of a web server.
    #[error("`{0}` is no URL that starts with http:// or https://")]
    Url(String),
    /// A variable of the environment names a proxy that is none.
    #[error("the variable {variable} says `{value}`, which is no proxy: {cause}")]
    Proxy {
        /// Its name.
        variable: &'static str,
        /// What it says.
        value: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// A client for one server, which may be silent for so long. Every status is an answer.
///
/// # Errors
///
/// When the URL is none, or the proxy that the environment names for it.
pub fn agent(url: &str, silence: Duration) -> Result<Agent, ClientError> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let proxy = proxy_for(&parse(url)?, variable)?;
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(proxy)
        .max_idle_connections_per_host(MAX_IDLE)
        .tls_config(tls)
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(silence))
        .timeout_per_write(Some(silence))
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(Agent::new_with_config(config))
}

fn parse(url: &str) -> Result<Uri, ClientError> {
    let uri = url.parse::<Uri>().ok();
    let web =
        |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    uri.filter(web).ok_or_else(|| ClientError::Url(url.to_owned()))
}

/// As curl decides: by the scheme, unless `NO_PROXY` has the host. No proxy leads to this machine.
fn proxy_for(
    uri: &Uri,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, ClientError> {
    let names = match uri.scheme_str() {
        Some("https") => ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"],
        _ => ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"],
    };
    let exempt = variable("no_proxy").or_else(|| variable("NO_PROXY")).unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    if is_loopback(host) || is_exempt(host, &exempt) {
        return Ok(None);
    }
    let found = names.into_iter().find_map(|name| Some((name, variable(name)?)));
    let Some((variable, value)) = found else { return Ok(None) };
    let invalid = |cause: ureq::Error| ClientError::Proxy {
        variable,
        value: value.clone(),
        cause: cause.to_string(),
    };
    Proxy::new(&value).map(Some).map_err(invalid)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Whether a host, or a domain that it is in, stands in a list with commas.
fn is_exempt(host: &str, list: &str) -> bool {
    let host = host.to_ascii_lowercase();
    list.split(',').map(|entry| entry.trim().to_ascii_lowercase()).any(|entry| {
        let domain = entry.trim_start_matches("*.").trim_start_matches('.');
        let inside = || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        entry == "*" || (!domain.is_empty() && (host == domain || inside()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let proxy = proxy_for(&parse(url).unwrap(), variable).unwrap();
        proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn the_scheme_chooses_the_proxy() {
        let variables = [("HTTPS_PROXY", "http://secure:1"), ("http_proxy", "http://plain:2")];
        assert_eq!(proxy("https://example.org/a", &variables).as_deref(), Some("secure:1"));
        assert_eq!(proxy("http://example.org/a", &variables).as_deref(), Some("plain:2"));
        let all = [("ALL_PROXY", "socks5://all:3")];
        assert_eq!(proxy("https://example.org/a", &all).as_deref(), Some("all:3"));
        assert_eq!(proxy("https://example.org/a", &[]), None);
    }

    #[test]
    fn hosts_and_domains_are_exempt_and_their_namesakes_are_not() {
        for list in ["*", "example.org", ".example.org", "*.example.org", "a, EXAMPLE.org"] {
            assert!(is_exempt("models.example.org", list), "{list}");
        }
        for list in ["", ",", "other.org", "ample.org"] {
            assert!(!is_exempt("models.example.org", list), "{list}");
        }
        let variables = [("https_proxy", "http://proxy:1"), ("NO_PROXY", "example.org")];
        assert_eq!(proxy("https://example.org/", &variables), None);
    }

    #[test]
    fn no_proxy_leads_to_this_machine() {
        for host in ["localhost", "127.0.0.1:8080", "[::1]"] {
            let url = format!("http://{host}/classify");
            assert_eq!(proxy(&url, &[("http_proxy", "http://proxy:1")]), None, "{host}");
        }
    }

    #[test]
    fn a_proxy_that_is_none_is_named_with_its_variable() {
        let variable = |name: &str| (name == "all_proxy").then(|| "ftp://x".to_owned());
        let error = proxy_for(&parse("http://example.org").unwrap(), variable).unwrap_err();
        assert!(error.to_string().contains("all_proxy says `ftp://x`"), "{error}");
    }

    #[test]
    fn what_is_no_url_of_a_web_server_is_refused() {
        for url in ["", "example.org/x", "ftp://example.org", "http://", "/a/b"] {
            assert!(agent(url, Duration::from_secs(1)).is_err(), "{url}");
        }
    }
}
