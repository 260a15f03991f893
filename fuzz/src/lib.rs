//! What must hold for any bytes: one function for each fuzz target. The tests of the daemon include this file too, and play the corpus with it.

mod views;

use std::fmt::{Debug, Display};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::LazyLock;

use baton_media::sdp::{self, Direction};
use baton_sip::digest::{Algorithms, Ask, Challenge, Credentials, Guard, Hash, Known, Quality, Verdict, challenges};
use baton_sip::wire::{Builder, Frame, Framer, Host, HostPort, Message, Method, Name, NameAddr, ReferTo, Replaces, Uri, Via};
use baton_time::Mono;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Who asks for passwords. Made once: an execution is to cost what it looks at.
static GUARD: LazyLock<Guard> = LazyLock::new(|| Guard::new("realm", 1));

/// The request that is put around what is no message itself.
fn plain() -> Builder {
    let request = Builder::request("REFER", "sip:a@b").header(Name::Via, "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport");
    let request = request.header(Name::From, "<sip:c@d>;tag=1").header(Name::To, "<sip:a@b>;tag=2");
    request.header(Name::CallId, "x@y").header(Name::CSeq, "7 REFER")
}

/// The same, as it is read.
static PLAIN: LazyLock<Message> = LazyLock::new(|| Message::parse(plain().build()).expect("a request"));

fn source() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, 9), 5_060))
}

/// No line of a message may end but by CR LF.
fn assert_lines_end_well(bytes: &[u8]) {
    for two in bytes.windows(2) {
        assert!(two[0] != b'\r' || two[1] == b'\n', "a bare CR is written");
        assert!(two[1] != b'\n' || two[0] == b'\r', "a bare LF is written");
    }
}

/// What was read is written so that it is read again, by whoever is sent it and by whoever has kept it.
fn written<T: Display + FromStr + Serialize + DeserializeOwned>(value: &T)
where
    T::Err: Debug,
{
    let text = value.to_string();
    let again: T = text.parse().unwrap_or_else(|fault| panic!("`{text}` cannot be read again: {fault:?}"));
    assert_eq!(again.to_string(), text);
    let kept: T = kept(value);
    assert_eq!(kept.to_string(), text, "what was kept is something else");
}

/// The value as it comes back from where it was kept.
fn kept<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let kept = serde_json::to_string(value).expect("what was read can be kept");
    serde_json::from_str(&kept).unwrap_or_else(|fault| panic!("`{kept}` is kept in vain: {fault}"))
}

/// A message is read or refused, never half; what is read keeps its bytes, can be asked for everything, and can be answered.
pub fn codec(bytes: &[u8]) {
    let message = match Message::parse(Bytes::copy_from_slice(bytes)) {
        Ok(message) => message,
        Err(fault) => {
            let answer = fault.response(source());
            let way = (fault.via().is_some(), fault.status().is_some());
            assert_eq!(way, (answer.is_some(), answer.is_some()), "a refusal without a way back");
            assert!(fault.status().is_none_or(|status| matches!(status, 400 | 505 | 513)) && fault.method().len() <= bytes.len());
            if let Some(answer) = answer {
                // What was malformed in it is repeated as it came, so that it need not be one that can be read.
                assert_lines_end_well(&answer);
                assert!(answer.starts_with(b"SIP/2.0 "), "a refusal that is none");
            }
            return;
        }
    };
    assert!(bytes.windows(message.raw().len().max(1)).any(|part| part == message.raw().as_ref()), "bytes were changed");
    let again = Message::parse(message.raw().clone()).expect("what was read can be read again");
    assert_eq!((again.call_id(), again.from(), again.to()), (message.call_id(), message.from(), message.to()));
    assert!(again == message && format!("{again:?}") == format!("{message:?}"));
    if bytes.len() < KEPT_MAX {
        assert_eq!(kept(&message), message, "a message that was kept is another one");
    }
    assert!(message.all_headers().all(|(name, value)| !name.contains(['\r', '\n']) && !value.contains(['\r', '\n'])));
    ask(&message);
    views::hold(&message);
    if message.is_request() {
        let answer = Builder::response_to(&message, 200, "OK", Some("t")).build();
        let answer = Message::parse(answer).expect("an answer can be read");
        assert_eq!((answer.call_id(), answer.cseq()), (message.call_id(), message.cseq()));
        assert_eq!(answer.vias().len(), message.vias().len());
        assert!(answer.to().tag().is_some());
    }
}

/// Longer messages are not kept: what that does to them does not depend on their length.
const KEPT_MAX: usize = 400;

/// Asks a message for everything it has.
fn ask(message: &Message) {
    let lists = message.contacts().len() + message.record_routes().len() + message.routes().len() + message.reasons().len();
    assert!(lists <= bytes_of(message));
    let uris = [message.request_uri(), message.contact().map(|contact| contact.uri()), Some(message.from().uri())];
    uris.into_iter().flatten().for_each(|one| uri(&one.owned()));
    if let Some(refer) = message.refer_to() {
        look_at(&refer);
    }
    [message.from(), message.to()].into_iter().chain(message.routes()).for_each(|one| address(&one.owned()));
    let mut via = message.via().owned();
    assert!(via.transaction().is_none() || via.branch().is_some());
    written(&via);
    via.stamp(source());
    written(&via);
    assert!(via.rport().is_none_or(|port| port == Some(source().port())), "rport is where it came from");
    assert!(via.received().is_none_or(|ip| ip == source().ip()), "received is where it came from");
    assert!(
        message
            .reasons()
            .iter()
            .all(|reason| reason.text().is_none_or(|text| text.len() <= bytes_of(message)) || reason.cause().is_none())
    );
    assert!(message.has_token(Name::Require, "100rel") <= (message.headers(Name::Require).count() > 0));
    assert!(message.is_request() != (message.status() > 0) && message.phrase().len() <= bytes_of(message));
    assert!(message.header("X-Baton-Call").is_none_or(|value| value.len() <= bytes_of(message)));
    assert!(message.expires().is_some() <= (message.headers(Name::Expires).count() > 0));
    assert!(message.max_forwards().is_some() <= (message.headers(Name::MaxForwards).count() > 0));
    message.referred_by().iter().for_each(address);
    values(message);
    assert!(message.retry_after().is_none_or(|retry| !format!("{retry:?}").is_empty()));
    assert!(message.content_type().is_none_or(|kind| !kind.kind.is_empty()));
    assert!(message.event().is_none_or(|event| event.id() != Some("")));
    assert!(message.replaces().is_none_or(|replaces| !format!("{replaces:?}").is_empty()));
    assert!(message.subscription_state().is_none_or(|state| !format!("{state:?}").is_empty()));
}

/// Each value that has a type is written so that it can be read again.
fn values(message: &Message) {
    message.vias().iter().for_each(written::<Via>);
    written(message.cseq());
    let method = Method::from(message.method());
    written(&method);
    assert!(method == *message.method() && method == message.method() && method.as_ref() == message.method());
    message.reasons().iter().for_each(written);
    message.refer_to().iter().for_each(written);
    message.retry_after().iter().for_each(written);
    message.replaces().iter().for_each(written);
    if let Some(kind) = message.content_type() {
        written(&kind);
        assert!(kind.is(&format!("{}/{}", kind.kind, kind.subkind)) && !kind.is("/"));
    }
    if let Some(event) = message.event() {
        written(&event);
        assert!(event.id().is_none() || event.params.has("id"));
    }
    if let Some(state) = message.subscription_state() {
        written(&state);
        assert!(!state.is_terminated() || state.state.len() == "terminated".len());
    }
    for challenge in challenges(message) {
        answered(&challenge);
    }
}

/// A challenge is answered in one line, whatever it asks for.
fn answered(challenge: &Challenge) {
    let ask = Ask { method: "INVITE", uri: "sip:a@b", body: b"v=0", nonce_count: 1, cnonce: "c" };
    let user = Credentials::new("user", "password");
    let header = user.answer(challenge, &ask);
    let built = Builder::request("INVITE", "sip:a@b").headers([&header]).bare_body(Bytes::from_static(b"v=0")).build();
    assert_lines_end_well(&built);
    assert!(!format!("{user:?}").contains("password"));
    assert_eq!(header.name, if challenge.is_proxy() { "Proxy-Authorization" } else { "Authorization" });
    let counts = challenge.quality() != Quality::Old;
    assert!(!counts || header.value.contains("nc=00000001"));
    assert!(header.value.contains(challenge.nonce()) && header.value.contains(challenge.realm()));
    let other = user.answer(challenge, &Ask { body: b"other", ..ask }).value != header.value;
    assert_eq!(other, challenge.quality() == Quality::AuthInt, "what the digest covers");
    assert!(challenge.hash() >= Hash::Md5 && (!challenge.is_stale() || format!("{challenge:?}").contains("is_stale: true")));
}

fn bytes_of(message: &Message) -> usize {
    message.raw().len()
}

/// What is written of an address can be read again, whatever is put into it.
fn address(address: &NameAddr) {
    let named = address.clone().with_display("\"\\\u{e4}\r\n").with_tag("t");
    assert_eq!(named.tag(), Some("t"));
    assert!(!named.to_string().contains(['\r', '\n']));
    assert!(named.clone().without_tag().tag().is_none());
    assert_eq!(address.detached().uri, address.uri);
    written(address);
    written(&named);
    assert_eq!(named.display(), "\"\\\u{e4}  ");
    assert!(address.display().len() <= address.to_string().len());
    let mut params = address.params.clone();
    params.set("x", Some("a b;"));
    assert_eq!(params.text("x").as_deref(), Some("a b;"));
    params.remove("x");
    assert!(!params.has("x"));
}

/// What is written of a URI can be read again and is the same.
fn uri(uri: &Uri) {
    let again: Uri = uri.to_string().parse().expect("a URI that was read can be read again");
    assert_eq!(*uri, again);
    assert!(uri.is_same(&again), "a URI is not the same as itself");
    assert!(uri.params().count() + uri.headers().count() <= uri.as_str().len());
    let changed = uri.without_headers().with_param("x", Some("\u{e4};")).without_param("x");
    assert!(!changed.has_headers() || uri.has_headers());
    assert!(uri.detached().is_same(uri) && !uri.scheme_text().is_empty());
    assert!(uri.host_port().is_some() == uri.host().is_some() && (uri.ip().is_none() || uri.host().is_some()));
    assert!(uri.user_plain().is_some() == uri.user().is_some() && (uri.password().is_none() || uri.user().is_some()));
    assert!(uri.embedded_headers().len() <= uri.headers().count() && uri.is_loose() == uri.param("lr").is_some());
    assert!(!uri.with_header("Replaces", "a;b=c\r\nX: y").as_str().contains(['\r', '\n']));
    assert!(uri.tel().is_none_or(|tel| !tel.number.is_empty() && tel.is_global() == tel.number.starts_with('+')));
    written(uri);
    if let Some(at) = uri.host_port() {
        written(&at);
        let host: Host = at.host.to_string().parse().expect("a host that was read can be read again");
        assert!(host.is_same(&at.host) && at.host.ip() == uri.ip() && HostPort::new(host, at.port) == at);
        assert!(at.host.ip().is_none_or(|ip| Host::from(ip) == at.host));
        let moved = Uri::sip(uri.user_plain().as_deref().unwrap_or("x"), &at);
        assert!(moved.host() == uri.host() && NameAddr::from(moved).tag().is_none());
    }
}

fn look_at(refer: &ReferTo) {
    uri(&refer.target());
    assert!(!refer.method().as_str().is_empty());
    if let Some(replaces) = refer.replaces() {
        let written = replaces.to_string();
        assert_lines_end_well(written.as_bytes());
        assert!(!written.contains(['\r', '\n']));
    }
}

/// A stream has the same frames however it is cut; after a fault there are no more.
pub fn framing(bytes: &[u8]) {
    let whole = frames(bytes, usize::MAX);
    for step in [1, 7] {
        assert_eq!(frames(bytes, step), whole, "cut after every {step} bytes");
    }
    for frame in whole.0 {
        if let Frame::Message(bytes) = frame {
            codec(&bytes);
        }
    }
}

/// The frames, and what becomes of the rest.
fn frames(bytes: &[u8], step: usize) -> (Vec<Frame>, Rest) {
    let (mut framer, mut frames) = (Framer::new(), Vec::new());
    for piece in bytes.chunks(step.clamp(1, bytes.len().max(1))) {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, Rest::Broken),
            }
        }
    }
    match framer.take_pong() {
        true => (frames, Rest::Pong),
        false if framer.is_empty() => (frames, Rest::Nothing),
        false => (frames, Rest::Half),
    }
}

/// What is left of a stream behind its last whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// The answer to a ping.
    Pong,
    /// The beginning of a message.
    Half,
    /// What can never become a message.
    Broken,
}

/// A session description is answered or refused with a status; the answer is one that can be read.
pub fn sdp(bytes: &[u8]) {
    let local = sdp::Local {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 4_000,
        session_id: 1,
        version: 1,
        direction: Direction::SendRecv,
    };
    let can = sdp::Capabilities::default();
    match sdp::answer(bytes, &local, &can) {
        Ok((answer, agreed)) => {
            assert_lines_end_well(&answer);
            let accepted = sdp::accept(bytes, &answer);
            assert!(accepted.is_ok() || agreed.is_held(), "our own answer is not taken: {accepted:?}");
            assert_lines_end_well(&sdp::offer_again(&local, &agreed));
        }
        Err(fault) => assert!((400..700).contains(&fault.status())),
    }
    if let Err(fault) = sdp::accept(&sdp::offer(&local, &can), bytes) {
        assert!((400..700).contains(&fault.status()));
    }
}

/// A challenge is answered in one line or not at all, and nothing that is made up proves who somebody is.
pub fn digest(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(challenge) = Challenge::read(&text, false) {
        answered(&challenge);
    }
    let (www, proxy) = (Name::WwwAuthenticate, Name::ProxyAuthenticate);
    let asked = Builder::response_to(&PLAIN, 401, "Unauthorized", None).header(www, &text).header(proxy, &text).build();
    if let Ok(response) = Message::parse(asked) {
        challenges(&response).iter().for_each(answered);
    }
    proves(&text);
    let Ok(request) = Message::parse(plain().header(Name::Authorization, &text).build()) else { return };
    let known = |_: &str| Some(Known { password: "secret".to_owned(), algorithms: Algorithms::Any });
    let verdict = GUARD.clone().check(Mono::from_micros(1_000_000), &request, known);
    assert!(!matches!(verdict, Verdict::Proved(_)), "{text} proves something");
}

/// Whoever knows a password proves it once; with another one it is wrong.
fn proves(secret: &str) {
    let (mut guard, now) = (GUARD.clone(), Mono::from_micros(2_000_000));
    let offered = [Algorithms::Any, Algorithms::Sha256, Algorithms::Md5][secret.len() % 3];
    let headers = guard.challenge(now, &Verdict::Missing, offered);
    let challenge =
        Challenge::read(&headers[secret.len() % headers.len()].value, false).expect("a challenge of ours can be read");
    let ask = Ask { method: "REFER", uri: "sip:a@b", body: b"", nonce_count: 1, cnonce: "c" };
    let answer = Credentials::new("user", secret).answer(&challenge, &ask);
    let request =
        Message::parse(plain().header(Name::Authorization, &answer.value).build()).expect("an answer of ours can be read");
    let mut verdict = |password: String| guard.check(now, &request, |_| Some(Known { password, algorithms: offered }));
    assert_eq!(verdict(format!("{secret}x")), Verdict::Wrong);
    assert_eq!(verdict(secret.to_owned()), Verdict::Proved("user".to_owned()));
    assert_eq!(verdict(secret.to_owned()), Verdict::Stale);
}

/// A Refer-To names whom to call; what is embedded in it stays within its header.
pub fn refer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(address) = text.parse::<NameAddr>() {
        uri(&address.uri);
        self::address(&address);
        let again: NameAddr = address.to_string().parse().expect("an address that was read can be read again");
        assert_eq!((&again.uri, again.tag()), (&address.uri, address.tag()));
    }
    if let Ok(replaces) = text.parse::<Replaces>() {
        assert!(!replaces.to_string().contains(['\r', '\n']));
        written(&replaces);
    }
    let built = plain().header(Name::ReferTo, &text).build();
    assert_lines_end_well(&built);
    if let Ok(request) = Message::parse(built) {
        request.refer_to().iter().for_each(look_at);
    }
}
