//! What a trunk, an AI or an AE says of registrations, passwords, presence and numbers.

use std::time::Duration;

use baton_sip::SessionIds;
use baton_sip::digest::Algorithms;
use baton_switchboard::{DialForm, NumberPlan, Strangers};

use super::settings::{Credentials, Phone, TrunkLine};
use super::value::{self, one_of};
use super::walk::{Parsed, Section, Walk};

/// How long a registration lasts where nothing is said.
const EXPIRES: Duration = Duration::from_secs(600);

/// `register`, `registrar`, `expires`, `inbound_username`, `inbound_password`, `inbound_digest`, `options`, `redirect`, `release` and how numbers are written.
pub(super) fn trunk(walk: &mut Walk<'_>, at: &mut Section<'_>, has_password: bool) -> TrunkLine {
    let registers = at.flag(walk, "register").unwrap_or(false);
    if registers && !has_password && !at.has("username") {
        at.fault(walk, "register", "needs `username` and `password`, with which it is done");
    }
    let registrar = at.text(walk, "registrar", value::domain);
    let expires = at.text(walk, "expires", expires);
    for (key, is_there) in [("registrar", registrar.is_some()), ("expires", expires.is_some())] {
        if is_there && !registers {
            at.fault(walk, key, "is for a registration, write `register = true` too, or leave it out");
        }
    }
    let inbound = pair(walk, at, "inbound_username", "inbound_password");
    TrunkLine {
        registers,
        registrar,
        expires: expires.unwrap_or(EXPIRES),
        inbound_digest: digest(walk, at, "inbound_digest", ("inbound_password", inbound.is_some())),
        inbound,
        options: at.text(walk, "options", options).flatten(),
        follows_redirects: at.text(walk, "redirect", redirect).unwrap_or(false),
        releases: at.text(walk, "release", release).unwrap_or(false),
        numbers: numbers(walk, at),
    }
}

/// `username`, `password` and `digest` of a phone that registers, and `presence`.
pub(super) fn phone(walk: &mut Walk<'_>, at: &mut Section<'_>, id: &str) -> Phone {
    let username = at.text(walk, "username", value::id);
    let password = at.text(walk, "password", value::secret);
    if username.is_some() && password.is_none() && !at.has("password") {
        at.fault(walk, "username", "stands without `password`, with which the phone registers, write it too");
    }
    let account = password.map(|password| Credentials { username: username.unwrap_or_else(|| id.to_owned()), password });
    let digest = digest(walk, at, "digest", ("password", account.is_some()));
    Phone { account, digest, watches_dialogs: at.text(walk, "presence", presence).unwrap_or(false) }
}

/// By which algorithms a password may be proved; only where there is one.
fn digest(walk: &mut Walk<'_>, at: &mut Section<'_>, key: &'static str, (secret, is_there): (&str, bool)) -> Algorithms {
    let said = at.text(walk, key, algorithms);
    if said.is_some() && !is_there && !at.has(secret) {
        at.fault(walk, key, format!("is how `{secret}` is proved, write that too, or leave it out"));
    }
    said.unwrap_or_default()
}

/// User name and password, both or none.
fn pair(walk: &mut Walk<'_>, at: &mut Section<'_>, user: &'static str, secret: &'static str) -> Option<Credentials> {
    let username = at.text(walk, user, value::plain);
    let password = at.text(walk, secret, value::secret);
    match (username, password) {
        (Some(username), Some(password)) => Some(Credentials { username, password }),
        (None, None) => None,
        (Some(_), None) => at.incomplete(walk, user, secret),
        (None, Some(_)) => at.incomplete(walk, secret, user),
    }
}

/// `country`, `trunk_prefix`, `international_prefix`, `dial`.
fn numbers(walk: &mut Walk<'_>, at: &mut Section<'_>) -> NumberPlan {
    let country = at.text(walk, "country", country);
    let national = at.text(walk, "trunk_prefix", prefix);
    let international = at.text(walk, "international_prefix", prefix);
    let dial = at.text(walk, "dial", dial).unwrap_or_default();
    let needs = [("trunk_prefix", national.is_some()), ("international_prefix", international.is_some())];
    for (key, _) in needs.into_iter().filter(|(_, is_there)| *is_there && country.is_none()) {
        at.fault(walk, key, "needs `country`, as in `country = \"+49\"`, or leave it out");
    }
    if dial == DialForm::National && country.is_none() {
        at.fault(walk, "dial", "needs `country` to be `national`, as in `country = \"+49\"`, write it too or `plain`");
    }
    let america = country.as_deref() == Some("+1");
    let usual = if america { ("1", "011") } else { ("0", "00") };
    NumberPlan {
        national_prefix: national.unwrap_or_else(|| usual.0.to_owned()),
        international_prefix: international.unwrap_or_else(|| usual.1.to_owned()),
        country,
        dial,
    }
}

/// `+49`
fn country(text: &str) -> Parsed<String> {
    let digits = text.strip_prefix('+').unwrap_or_default();
    let fits = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if fits { Ok(text.to_owned()) } else { Err(format!("`{text}` is no code of a country, write `+1` or `+49`")) }
}

/// `0`, `00`, `011`
fn prefix(text: &str) -> Parsed<String> {
    let fits = text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    if fits { Ok(text.to_owned()) } else { Err(format!("`{text}` is no prefix, write up to six digits, as in `0` or `011`")) }
}

/// `as_is | plain | national`
fn dial(text: &str) -> Parsed<DialForm> {
    match text {
        "as_is" => Ok(DialForm::AsIs),
        "plain" => Ok(DialForm::Plain),
        "national" => Ok(DialForm::National),
        _ => one_of(text, &["as_is", "plain", "national"], &[]),
    }
}

/// `off`, or how often.
fn options(text: &str) -> Parsed<Option<Duration>> {
    if text == "off" {
        return Ok(None);
    }
    let every = value::span(text).map_err(|_| format!("`{text}` is no span, write how often, as in `30s`, or `off`"))?;
    if every < Duration::from_secs(5) { Err(format!("`{text}` is too often, write at least `5s`")) } else { Ok(Some(every)) }
}

/// How long a registration lasts.
fn expires(text: &str) -> Parsed<Duration> {
    let span = value::span(text)?;
    if span < Duration::from_secs(60) { Err(format!("`{text}` is too short, write at least `1m`")) } else { Ok(span) }
}

/// `refuse | follow`
fn redirect(text: &str) -> Parsed<bool> {
    match text {
        "refuse" => Ok(false),
        "follow" => Ok(true),
        _ => one_of(text, &["refuse", "follow"], &[]),
    }
}

/// `any | sha-256 | md5`
fn algorithms(text: &str) -> Parsed<Algorithms> {
    match text {
        "any" => Ok(Algorithms::Any),
        "sha-256" => Ok(Algorithms::Sha256),
        "md5" => Ok(Algorithms::Md5),
        _ => one_of(text, &["any", "sha-256", "md5"], &[]),
    }
}

/// `off | refer`
fn release(text: &str) -> Parsed<bool> {
    match text {
        "off" => Ok(false),
        "refer" => Ok(true),
        _ => one_of(text, &["off", "refer"], &[]),
    }
}

/// `registration | dialog`
fn presence(text: &str) -> Parsed<bool> {
    match text {
        "registration" => Ok(false),
        "dialog" => Ok(true),
        _ => one_of(text, &["registration", "dialog"], &[]),
    }
}

/// `refuse | silent | answer`
pub(super) fn strangers(text: &str) -> Parsed<Strangers> {
    match text {
        "refuse" => Ok(Strangers::Refused),
        "silent" => Ok(Strangers::Silence),
        "answer" => Ok(Strangers::Answered),
        _ => one_of(text, &["refuse", "silent", "answer"], &[]),
    }
}

/// `answer | always`
pub(super) fn session_ids(text: &str) -> Parsed<SessionIds> {
    match text {
        "answer" => Ok(SessionIds::Answered),
        "always" => Ok(SessionIds::Always),
        _ => one_of(text, &["answer", "always"], &[]),
    }
}

/// `192.0.2.53`, `192.0.2.53:5353`
pub(super) fn name_server(text: &str) -> Parsed<std::net::SocketAddr> {
    let bare = text.parse::<std::net::IpAddr>().map(|ip| std::net::SocketAddr::new(ip, 53));
    let wrong = |_| format!("`{text}` is no name server, write an address, as in `192.0.2.53` or `127.0.0.1:5353`");
    bare.or_else(|_| text.parse()).map_err(wrong)
}
