//! The daemon that is asked: where it is, what it is shown, and what it says.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use baton_contract::Problem;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::words::clean;
use crate::client::{Answer, Api, ApiError};
use crate::config::{Config, Faults};

/// How the daemon is reached, and how it is told of.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Reach {
    /// Where the daemon's API is; without it what the configuration says, then BATON_URL, then http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// What the daemon wants to be shown; without it what the configuration says, then BATON_TOKEN.
    #[arg(long, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// The daemon's configuration: its [http] says where it listens and what it wants to be shown.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Prints JSON, in the shapes of the API.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where a daemon is whose configuration says nothing else.
const URL_DEFAULT: &str = "http://127.0.0.1:8080";

/// Why a tool has nothing to tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The configuration cannot be read, or is wrong.
    #[error("{0}")]
    Configuration(Faults),
    /// The URL is none of ours.
    #[error("{url} is no URL of a daemon: {why}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The token cannot be sent.
    #[error("the token for {url} has characters that no token has: only visible ASCII ones are sent")]
    Token {
        /// The daemon.
        url: String,
    },
    /// Nobody answers there.
    #[error("{url} cannot be reached: {why}")]
    Unreachable {
        /// The daemon.
        url: String,
        /// What happened.
        why: String,
    },
    /// The daemon refuses.
    #[error("{url}: {}", refusal(.problem))]
    Refused {
        /// What was asked for.
        url: String,
        /// What the daemon says about it.
        problem: Box<Problem>,
    },
    /// Somebody else answers, or another version of Baton.
    #[error("{url} answers as no Baton of this version does: {why}")]
    Strange {
        /// What was asked for.
        url: String,
        /// What is strange about it.
        why: String,
    },
    /// What was to be told could not be printed.
    #[error("the answer cannot be printed: {0}")]
    Output(std::io::Error),
}

/// `Title: detail (field)`.
fn refusal(problem: &Problem) -> String {
    if problem.status == 401 {
        return format!("{}: none or a wrong one was shown; give --token, --config or BATON_TOKEN", clean(&problem.title));
    }
    let field = problem.field.as_ref().map(|field| format!(" ({})", clean(field))).unwrap_or_default();
    format!("{}: {}{field}", clean(&problem.title), clean(&problem.detail))
}

/// A daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    url: String,
    addresses: Vec<SocketAddr>,
    token: Option<String>,
}

/// An answer as the API wrote it, and what it says.
#[derive(Debug)]
pub(crate) struct Told<T> {
    pub(crate) json: String,
    pub(crate) view: T,
}

impl Daemon {
    /// The daemon that the command line, the configuration or the environment names.
    pub(crate) fn reach(reach: &Reach) -> Result<Daemon, Trouble> {
        let config = reach.config.as_deref().map(Config::load).transpose().map_err(Trouble::Configuration)?;
        let http = config.as_ref().map(|config| &config.http);
        let environment = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let url = reach.url.clone().or_else(|| http.map(|http| listening(http.listen))).or_else(|| environment("BATON_URL"));
        let configured = || http.and_then(|http| http.token.as_ref()).map(|token| token.expose().to_owned());
        let token = reach.token.clone().or_else(configured).or_else(|| environment("BATON_TOKEN"));
        Daemon::new(url.as_deref().unwrap_or(URL_DEFAULT), token)
    }

    fn new(url: &str, token: Option<String>) -> Result<Daemon, Trouble> {
        let url = clean(url.trim_end_matches('/'));
        let token = token.map(|token| token.trim().to_owned());
        if token.as_ref().is_some_and(|token| !token.bytes().all(|byte| byte.is_ascii_graphic())) {
            return Err(Trouble::Token { url });
        }
        let wrong = |why| Trouble::Url { url: url.clone(), why };
        let authority = match url.split_once("://") {
            Some(("http", authority)) => authority,
            Some(("https", _)) => return Err(wrong("https is not spoken here; go through a tunnel, or to the daemon itself")),
            Some(_) | None => return Err(wrong("it begins with http://")),
        };
        if authority.is_empty() || authority.contains(['/', '?', '#', '@']) {
            return Err(wrong("it has a host and a port, and nothing behind them"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let place = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let unknown = |fault: std::io::Error| Trouble::Unreachable { url: url.clone(), why: fault.to_string() };
        let addresses = place.to_socket_addrs().map_err(unknown)?.collect();
        Ok(Daemon { url, addresses, token })
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Told<T>, Trouble> {
        self.ask("GET", path, None)
    }

    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<Told<T>, Trouble> {
        self.ask("POST", path, Some(body))
    }

    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<Told<T>, Trouble> {
        self.ask("DELETE", path, None)
    }

    /// An answer that is no JSON.
    pub(crate) fn text(&self, path: &str) -> Result<String, Trouble> {
        let answer = self.ask_anybody("GET", path, None)?;
        let url = format!("{}{path}", self.url);
        match answer.status {
            200..=299 => Ok(answer.text()),
            status => Err(match serde_json::from_slice(&answer.body) {
                Ok(problem) => Trouble::Refused { url, problem: Box::new(problem) },
                Err(_) => Trouble::Strange { url, why: format!("HTTP {status} without a word why") },
            }),
        }
    }

    fn ask<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Told<T>, Trouble> {
        let answer = self.ask_anybody(method, path, body)?;
        let url = format!("{}{path}", self.url);
        if !(200..300).contains(&answer.status) {
            return Err(match serde_json::from_slice(&answer.body) {
                Ok(problem) => Trouble::Refused { url, problem: Box::new(problem) },
                Err(_) => Trouble::Strange { url, why: format!("HTTP {} without a word why", answer.status) },
            });
        }
        let view = serde_json::from_slice(&answer.body).map_err(|fault| Trouble::Strange { url, why: fault.to_string() })?;
        Ok(Told { json: answer.text(), view })
    }

    /// A name may stand for several addresses: the next one is asked where nobody listens at one.
    fn ask_anybody(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, Trouble> {
        let mut why = "its name has no address".to_owned();
        for address in &self.addresses {
            match Api::new(*address).ask(method, path, self.token.as_deref(), body) {
                Ok(answer) => return Ok(answer),
                Err(ApiError::Connection { source, .. }) if source.kind() == ErrorKind::ConnectionRefused => {
                    why = "nobody listens there (connection refused)".to_owned();
                }
                Err(ApiError::Connection { source, .. }) => {
                    let is_slow = matches!(source.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                    let why = if is_slow { "no answer in time".to_owned() } else { source.to_string() };
                    return Err(Trouble::Unreachable { url: self.url.clone(), why });
                }
                Err(ApiError::Malformed { .. }) => {
                    return Err(Trouble::Strange { url: self.url.clone(), why: "that is no HTTP".to_owned() });
                }
            }
        }
        Err(Trouble::Unreachable { url: self.url.clone(), why })
    }
}

/// Where a daemon with this configuration is found on its own machine.
fn listening(listen: SocketAddr) -> String {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(url: &str) -> String {
        Daemon::new(url, None).map(|daemon| daemon.url).unwrap_or_else(|trouble| trouble.to_string())
    }

    #[test]
    fn a_url_is_a_host_and_a_port() {
        for (url, said) in [
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("127.0.0.1:8080", "127.0.0.1:8080 is no URL of a daemon: it begins with http://"),
            ("http://", "http: is no URL of a daemon: it begins with http://"),
            ("http://a/b", "http://a/b is no URL of a daemon: it has a host and a port, and nothing behind them"),
            (
                "https://127.0.0.1",
                "https://127.0.0.1 is no URL of a daemon: https is not spoken here; go through a tunnel, or to the daemon itself",
            ),
        ] {
            assert_eq!(complaint(url), said);
        }
    }

    #[test]
    fn nobody_there_is_one_sentence_with_the_url() {
        let daemon = Daemon::new("http://127.0.0.1:1", None).unwrap();
        let trouble = daemon.get::<Value>("/v1/calls").unwrap_err().to_string();
        assert_eq!(trouble, "http://127.0.0.1:1 cannot be reached: nobody listens there (connection refused)");
    }

    #[test]
    fn a_problem_is_told_with_its_field() {
        let told = |problem| Trouble::Refused { url: "http://h:1/v1/x".to_owned(), problem: Box::new(problem) }.to_string();
        assert_eq!(
            told(Problem::unknown_target("nobody")),
            "http://h:1/v1/x: No such target: \"nobody\" is neither an AE, a group, a number nor a SIP URI (to)"
        );
        assert_eq!(
            told(Problem::conflict("this\u{1b}[2J call has ended")),
            "http://h:1/v1/x: Not in this state: this [2J call has ended"
        );
        assert_eq!(
            told(Problem::new("unauthorized", "Token needed", 401, "x".to_owned())),
            "http://h:1/v1/x: Token needed: none or a wrong one was shown; give --token, --config or BATON_TOKEN"
        );
    }

    #[test]
    fn a_token_cannot_smuggle_a_header_in() {
        for token in ["a\r\nX: y", "a b", "ü"] {
            let trouble = Daemon::new("http://127.0.0.1:1", Some(token.to_owned())).unwrap_err().to_string();
            assert!(trouble.starts_with("the token for http://127.0.0.1:1 has characters"), "{trouble}");
        }
        assert!(Daemon::new("http://127.0.0.1:1", Some("hush\n".to_owned())).is_ok(), "a line's end is no part of it");
    }

    #[test]
    fn a_daemon_that_listens_everywhere_is_found_here() {
        let found = |listen: &str| listening(listen.parse().unwrap());
        assert_eq!(found("0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(found("[::]:81"), "http://[::1]:81");
        assert_eq!(found("10.0.0.1:82"), "http://10.0.0.1:82");
    }
}
