//! Parsers of single values. Each fault says what is wrong and what would be right.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use baton_sip::Transport;
use baton_switchboard::Network;
use baton_transfer::{AcceptBy, AfterAe, BriefingBy, Hours, Key, KeyPair, WhileDialing, Zone};

use super::fault::nearest;
use super::settings::{Advertise, Listen, RtpPath, Secret, VoiceSpec};
use super::walk::Parsed;

/// The longest name or id, in characters.
const NAME_CHARS_MAX: usize = 64;
/// The longest duration: a day.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A text as it is.
pub(super) fn plain(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}

/// A text that is never printed.
pub(super) fn secret(text: &str) -> Parsed<Secret> {
    Ok(Secret::new(text.to_owned()))
}

/// The token of the API, as it stands in a header.
pub(super) fn token(text: &str) -> Parsed<Secret> {
    if text.chars().any(|c| !c.is_ascii_graphic()) {
        return Err("cannot stand in a header, write ASCII letters, digits and signs without blanks".to_owned());
    }
    secret(text)
}

/// A name that people read and hear.
pub(super) fn title(text: &str) -> Parsed<String> {
    if text.chars().count() > NAME_CHARS_MAX {
        return Err(format!("is longer than {NAME_CHARS_MAX} characters, write a shorter one"));
    }
    Ok(text.trim().to_owned())
}

/// A name that stands in URIs and paths.
pub(super) fn id(text: &str) -> Parsed<String> {
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if !plain || text.len() > NAME_CHARS_MAX {
        return Err(format!("`{text}` is no id, write at most {NAME_CHARS_MAX} of `a-z A-Z 0-9 - _ .`"));
    }
    Ok(text.to_owned())
}

/// `18s`, `500ms`, `1m`, `1m30s`; up to a day.
pub(super) fn duration(text: &str) -> Parsed<Duration> {
    let wrong = || format!("`{text}` is no duration, write `500ms`, `18s` or `1m`");
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let letters = rest[digits..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - digits);
        let unit_ms = match &rest[digits..digits + letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(wrong()),
        };
        total = total.saturating_add(Duration::from_millis(count.saturating_mul(unit_ms)));
        rest = &rest[digits + letters..];
    }
    if total > DURATION_MAX { Err(format!("`{text}` is longer than a day, write at most `24h`")) } else { Ok(total) }
}

/// A duration above zero.
pub(super) fn span(text: &str) -> Parsed<Duration> {
    match duration(text)? {
        Duration::ZERO => Err(format!("`{text}` is no time at all, write a duration above zero, as in `18s`")),
        some => Ok(some),
    }
}

/// How long something is kept: `90d`, up to a hundred years.
pub(super) fn days(text: &str) -> Parsed<Duration> {
    let wrong = || format!("`{text}` is no number of days, write `90d`");
    let count: u64 = text.strip_suffix('d').and_then(|count| count.parse().ok()).ok_or_else(wrong)?;
    if (1..=36_500).contains(&count) { Ok(Duration::from_secs(count * 86_400)) } else { Err(wrong()) }
}

/// `udp`, `tcp`, `tls`, `ws`, `wss`
fn transport(text: &str) -> Option<Transport> {
    Transport::by_name(text).filter(|transport| transport.name().to_ascii_lowercase() == text)
}

/// `udp:127.0.0.1:5060`, `tcp:[::1]:5060`, `tls:`, `ws:`, `wss:`
pub(super) fn listen(text: &str) -> Parsed<Listen> {
    let wrong = || format!("`{text}` is nothing to listen on, write `udp:127.0.0.1:5060` or `tcp:127.0.0.1:5060`");
    let (name, address) = text.split_once(':').ok_or_else(wrong)?;
    let transport = transport(name).ok_or_else(wrong)?;
    let address: SocketAddr = address.parse().map_err(|_| wrong())?;
    if address.port() == 0 {
        return Err(format!("`{text}` has no port that others could know, write one from 1 to 65535, as in 5060"));
    }
    Ok(Listen { transport, address })
}

/// `127.0.0.1:8080`; port 0 lets the system choose.
pub(super) fn socket(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| format!("`{text}` is no address with a port, write `127.0.0.1:8080` or `[::1]:8080`"))
}

/// An address without a port.
pub(super) fn address(text: &str) -> Parsed<IpAddr> {
    text.parse().map_err(|_| format!("`{text}` is no address, write one as in `192.0.2.1` or `2001:db8::1`, without a port"))
}

/// An address that others can send to.
pub(super) fn reachable(text: &str) -> Parsed<IpAddr> {
    let address = address(text)?;
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(format!("`{text}` is an address that nobody can send to, write the one that others reach us by"));
    }
    Ok(address)
}

/// A host, perhaps with a port, perhaps for one transport only: `tls:sip.example.com:5061`.
pub(super) fn advertise(text: &str) -> Parsed<Advertise> {
    match text.split_once(':').and_then(|(name, rest)| Some((transport(name)?, rest))) {
        Some((only, rest)) => Ok(Advertise { transport: Some(only), ..outer(rest)? }),
        None => outer(text),
    }
}

fn outer(text: &str) -> Parsed<Advertise> {
    if let Ok(address) = text.parse::<IpAddr>() {
        reachable(text)?;
        return Ok(Advertise { transport: None, host: address.to_string(), port: None });
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        reachable(&socket.ip().to_string())?;
        return Ok(Advertise { transport: None, host: socket.ip().to_string(), port: Some(socket.port()) });
    }
    let (name, port) = match text.split_once(':') {
        None => (text, None),
        Some((name, port)) => (name, Some(port.parse().ok().filter(|port| *port > 0).ok_or_else(|| no_host(text))?)),
    };
    Ok(Advertise { transport: None, host: domain(name).map_err(|_| no_host(text))?, port })
}

fn no_host(text: &str) -> String {
    format!("`{text}` is no host, write an address or a name, as in `192.0.2.1` or `sip.example.com`")
}

/// A host name or an address.
pub(super) fn domain(text: &str) -> Parsed<String> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(label)) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is no domain, write a name as in `baton.example` or an address"))
}

/// `20000-29999`: an even port is a leg's, the odd one above it is for RTCP.
pub(super) fn ports(text: &str) -> Parsed<(u16, u16)> {
    let wrong = || format!("`{text}` is no range of ports, write `20000-29999`");
    let (low, high) = text.split_once('-').ok_or_else(wrong)?;
    let (low, high): (u16, u16) = (low.trim().parse().map_err(|_| wrong())?, high.trim().parse().map_err(|_| wrong())?);
    if low < 1024 {
        return Err(format!("`{text}` begins below 1024, write a range above, as in `20000-29999`"));
    }
    if low > high {
        return Err(format!("`{text}` ends before it begins, write `{high}-{low}`"));
    }
    if legs_of((low, high)) < LEGS_PER_CALL {
        return Err(format!(
            "`{text}` holds no {LEGS_PER_CALL} pairs of an even and an odd port, as one call needs, write a wider range"
        ));
    }
    Ok((low, high))
}

/// Caller, AI and AE.
const LEGS_PER_CALL: usize = 3;

/// How many pairs of an even port and the odd one above it lie within `ports`.
pub(super) fn legs_of((low, high): (u16, u16)) -> usize {
    let first = usize::from(low).next_multiple_of(2);
    (usize::from(high) + 1).saturating_sub(first) / 2
}

/// `http://host:port`, without a path.
pub(super) fn public_url(text: &str) -> Parsed<String> {
    let wrong = || format!("`{text}` is no address of a site, write `https://host` or `http://host:port`");
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    let authority = trimmed.strip_prefix("http://").or_else(|| trimmed.strip_prefix("https://")).ok_or_else(wrong)?;
    let host = match authority.strip_prefix('[') {
        Some(_) => authority.parse::<SocketAddr>().map(|_| ()).map_err(|_| wrong()),
        None => outer(authority).map(|_| ()).map_err(|_| wrong()),
    };
    host.map(|()| trimmed.to_owned())
}

/// `sqlite:PATH`
pub(super) fn store_url(text: &str) -> Parsed<String> {
    match text.split_once(':') {
        Some(("sqlite", path)) if !path.trim_start_matches('/').is_empty() => Ok(text.to_owned()),
        Some(("postgres" | "postgresql", _)) => {
            Err("PostgreSQL is not built yet in this version, write `sqlite:baton.db`".to_owned())
        }
        Some(_) | None => Err(format!("`{text}` is no store, write `sqlite:baton.db`")),
    }
}

/// One of the keys of a telephone.
pub(super) fn key(text: &str) -> Parsed<Key> {
    text.parse().map_err(|_| format!("`{text}` is no key, write one of 0 1 2 3 4 5 6 7 8 9 * #"))
}

/// A star and one more key: the star is held back after the bridge until the other one has come or has not.
pub(super) fn key_pair(text: &str) -> Parsed<KeyPair> {
    let mut signs = text.chars();
    let keys = (signs.next(), signs.next().and_then(|sign| Key::try_from(sign).ok()), signs.next());
    match keys {
        (Some('*'), Some(then), None) if then != Key::STAR => Ok(KeyPair { first: Key::STAR, then }),
        (Some('#'), Some(then), None) if then != Key::HASH => Ok(KeyPair { first: Key::HASH, then }),
        (_, _, _) => Err(format!("`{text}` is no pair of keys, write a star or a pound and another key: `*9`")),
    }
}

/// `key | answer | spoken`
pub(super) fn accept(text: &str) -> Parsed<AcceptBy> {
    match text {
        "key" => Ok(AcceptBy::Key),
        "answer" => Ok(AcceptBy::Answer),
        "spoken" => Ok(AcceptBy::Spoken),
        _ => one_of(text, &["key", "answer", "spoken"], &[]),
    }
}

/// `music | ai | ringback`
pub(super) fn while_dialing(text: &str) -> Parsed<WhileDialing> {
    match text {
        "music" => Ok(WhileDialing::Music),
        "ai" => Ok(WhileDialing::Ai),
        "ringback" => Ok(WhileDialing::Ringback),
        _ => one_of(text, &["music", "ai", "ringback"], &[]),
    }
}

/// `end | ai`
pub(super) fn after_ae(text: &str) -> Parsed<AfterAe> {
    match text {
        "end" => Ok(AfterAe::End),
        "ai" => Ok(AfterAe::Ai),
        _ => one_of(text, &["end", "ai"], &[]),
    }
}

/// `voice | ai`
pub(super) fn briefing_by(text: &str) -> Parsed<BriefingBy> {
    match text {
        "voice" => Ok(BriefingBy::Voice),
        "ai" => Ok(BriefingBy::Ai),
        _ => one_of(text, &["voice", "ai"], &[]),
    }
}

/// `symmetric | signalled`
pub(super) fn rtp(text: &str) -> Parsed<RtpPath> {
    match text {
        "symmetric" => Ok(RtpPath::Symmetric),
        "signalled" => Ok(RtpPath::Signalled),
        _ => one_of(text, &["symmetric", "signalled"], &[]),
    }
}

/// The fault of a word that is none of `known`; those of `later` are known to the documentation only.
pub(super) fn one_of<T>(text: &str, known: &[&str], later: &[&str]) -> Parsed<T> {
    let written: Vec<String> = known.iter().map(|one| format!("`{one}`")).collect();
    if later.contains(&text) {
        return Err(format!("`{text}` is not built yet in this version, write {}", written.join(" or ")));
    }
    let meant = nearest(text, known.iter().copied()).map_or_else(|| written.join(" or "), |near| format!("`{near}`"));
    Err(format!("`{text}` is not known, write {meant}"))
}

/// `en`, `de`, `es`, `fr`, or any other two letters
pub(super) fn language(text: &str) -> Parsed<baton_transfer::Language> {
    text.parse().map_err(|error: baton_transfer::LanguageError| format!("`{text}`: {error}, write one of them"))
}

/// `flite`, `flite:slt`, `espeak-ng:en-us`, `files:DIR`, `http:NAME`
pub(super) fn voice(text: &str) -> Parsed<VoiceSpec> {
    let (kind, detail) = text.split_once(':').map_or((text, None), |(kind, detail)| (kind, Some(detail)));
    let named = |voice: &str| match voice.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+'))
        && !voice.is_empty()
    {
        true => Ok(voice.to_owned()),
        false => Err(format!("`{text}` names no voice, write letters and digits, as in `{kind}:en`")),
    };
    match (kind, detail) {
        ("files", Some(directory)) if !directory.is_empty() => Ok(VoiceSpec::Files(PathBuf::from(directory))),
        ("files", _) => Err(format!("`{text}` names no directory, write `files:DIR`")),
        ("http", Some(name)) => id(name).map(VoiceSpec::Http),
        ("flite", voice) => named(voice.unwrap_or("slt")).map(VoiceSpec::Flite),
        ("espeak-ng", voice) => named(voice.unwrap_or("en-us")).map(VoiceSpec::EspeakNg),
        _ => Err(format!("`{text}` is no voice, write `flite`, `espeak-ng`, `files:DIR`, or `http:NAME` of a [[voice]]")),
    }
}

/// `192.0.2.0/24`
pub(super) fn network(text: &str) -> Parsed<Network> {
    text.parse().map_err(|_| format!("`{text}` is no range of addresses, write `192.0.2.0/24`, `192.0.2.1` or `2001:db8::/32`"))
}

/// A telephone number, `+` and digits; dots, hyphens and blanks are dropped.
pub(super) fn number(text: &str) -> Parsed<String> {
    let bare: String = text.chars().filter(|c| !matches!(c, ' ' | '.' | '-' | '(' | ')')).collect();
    let digits = bare.strip_prefix('+').unwrap_or(&bare);
    if digits.is_empty() || digits.len() > 20 || !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(format!("`{text}` is no number, write `+15550142`"));
    }
    Ok(bare)
}

/// A pattern of numbers or names: `*` stands for any run of characters.
pub(super) fn pattern(text: &str) -> Parsed<String> {
    if text.chars().any(|c| c.is_whitespace() || matches!(c, '?' | '[' | ']' | '^' | '$' | '\\')) {
        return Err(format!("`{text}` is no pattern, write a number or name in which `*` stands for anything, as in `+1*`"));
    }
    Ok(text.to_owned())
}

/// An IANA time zone.
pub(super) fn timezone(text: &str) -> Parsed<Zone> {
    text.parse().map_err(|_| {
        let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let near = nearest(text, names.iter().map(String::as_str));
        let right = near
            .map_or("write an IANA name, as in `Europe/Berlin` or `UTC`".to_owned(), |near| format!("did you mean `{near}`?"));
        format!("`{text}` is no time zone, {right}")
    })
}

/// Weekly hours.
pub(super) fn hours(text: &str) -> Parsed<Hours> {
    text.parse().map_err(|error: baton_transfer::HoursError| error.to_string())
}

/// The host part of a URI for `address`.
pub(super) fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => format!("[{v6}]"),
    }
}
