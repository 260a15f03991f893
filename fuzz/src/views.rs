//! What a message shows must be what the values are that are taken out of it, and what is written another way but means the same must be read as
//! the same: there is a short way and a long way to read most of what comes, and nobody may be able to tell which one was taken.

use baton_sip::wire::{AddrRef, HostRef, Message, NameAddr, Params, Uri, UriRef, Via, ViaRef};
use bytes::Bytes;

/// Messages that are longer are not written another way: they might grow beyond a limit.
const REWRITTEN_MAX: usize = 4_000;

/// Looks at every view of a message.
pub fn hold(message: &Message) {
    message.request_uri().into_iter().for_each(uri);
    [message.from(), message.to()].into_iter().chain(message.contact()).chain(message.routes()).for_each(address);
    via(message.via());
    assert_eq!(message.vias().first(), Some(&message.via().owned()));
    assert_eq!(message.contacts().first(), message.contact().map(AddrRef::owned).as_ref());
    if let Some(rewritten) = rewritten(message) {
        let again = Message::parse(rewritten).expect("white space behind a value changes nothing");
        same(message, &again);
    }
}

fn uri(view: UriRef<'_>) {
    let owned = view.owned();
    assert_eq!((view.as_str(), view.scheme(), view.is_sip()), (owned.as_str(), owned.scheme(), owned.is_sip()));
    assert_eq!((view.user(), view.user_plain()), (owned.user(), owned.user_plain()));
    assert_eq!((view.host(), view.port()), (owned.host().map(HostRef::from), owned.port()));
    assert_eq!((view.host().and_then(HostRef::ip), view.has_headers()), (owned.ip(), owned.has_headers()));
    assert_eq!((view.to_string(), format!("{view:?}")), (owned.to_string(), format!("{:?}", owned.as_str())));
    // A scheme in large letters is one for the long way.
    if let Some((scheme, rest)) = view.as_str().split_once(':').filter(|_| view.is_sip()) {
        let long: Uri = format!("{}:{rest}", scheme.to_uppercase()).parse().expect("the case of a scheme changes nothing");
        assert_eq!((long.user(), long.password(), long.host()), (owned.user(), owned.password(), owned.host()));
        assert_eq!((long.port(), long.has_headers(), long.scheme()), (owned.port(), owned.has_headers(), owned.scheme()));
        assert!(long.params().eq(owned.params()) && long.headers().eq(owned.headers()));
    }
}

fn address(view: AddrRef<'_>) {
    uri(view.uri());
    let owned = view.owned();
    assert_eq!((view.display(), view.uri().owned()), (owned.display(), owned.uri.clone()));
    assert_eq!(view.tag(), owned.tag());
    params(&owned.params, "tag", view.tag(), |name| view.param(name).map(|value| value.map(str::to_owned)));
    let long: NameAddr = format!(" {owned} ").parse().expect("white space around an address changes nothing");
    assert_eq!((long.display(), &long.uri), (owned.display(), &owned.uri));
    assert!(long.params.iter().eq(owned.params.iter()));
}

fn via(view: ViaRef<'_>) {
    let owned = view.owned();
    assert_eq!((view.transport(), view.port()), (&*owned.transport, owned.sent_by.port));
    assert_eq!((view.host(), view.host().ip()), (HostRef::from(&owned.sent_by.host), owned.sent_by.host.ip()));
    assert_eq!((view.branch(), view.transaction()), (owned.branch(), owned.transaction()));
    assert_eq!(view.host().to_string(), owned.sent_by.host.to_string());
    params(&owned.params, "branch", view.branch(), |name| view.param(name).map(|value| value.map(str::to_owned)));
    let (protocol, rest) = ("SIP/2.0/", owned.to_string());
    let rest = rest.strip_prefix(protocol).expect("every Via begins like this");
    let long: Via = format!("SIP / 2.0 / {rest}").parse().expect("white space around the slashes of a Via changes nothing");
    assert_eq!((&long.transport, &long.sent_by), (&owned.transport, &owned.sent_by));
    assert!(long.params.iter().eq(owned.params.iter()));
}

/// Parameters are found by their names as they are when all are gone through.
fn params(params: &Params, known: &str, value: Option<&str>, find: impl Fn(&str) -> Option<Option<String>>) {
    let first = |name: &str| params.iter().find(|(one, _)| one.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    assert_eq!(value, first(known).flatten(), "{known} in {params}");
    for name in params.iter().map(|(name, _)| name.to_uppercase()).chain(["no-such-name".to_owned()]) {
        assert_eq!(params.find(&name), first(&name), "{name} in {params}");
        assert_eq!(find(&name), first(&name).map(|value| value.map(str::to_owned)), "{name} in {params}");
    }
}

/// The same message with white space behind every value; none if its lines are continued, for then that is white space in a value.
fn rewritten(message: &Message) -> Option<Bytes> {
    let raw = message.raw();
    let (head, body) = raw.split_at(raw.len() - message.body().len());
    let is_folded = head.windows(3).any(|three| three == b"\r\n " || three == b"\r\n\t");
    if raw.len() > REWRITTEN_MAX || is_folded {
        return None;
    }
    let start = head.windows(2).position(|two| two == b"\r\n")? + 2;
    let mut out = head[..start].to_vec();
    for line in head[start..head.len() - 2].split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(&line[..line.len() - 2]);
        out.extend_from_slice(b"\t \r\n");
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    Some(out.into())
}

/// Whether two messages say the same.
fn same(one: &Message, two: &Message) {
    assert!(one.all_headers().eq(two.all_headers()) && one.body() == two.body());
    assert_eq!((one.request_uri(), one.method(), one.status()), (two.request_uri(), two.method(), two.status()));
    assert_eq!((one.phrase(), one.call_id(), one.cseq()), (two.phrase(), two.call_id(), two.cseq()));
    assert_eq!((one.from(), one.to(), one.contact()), (two.from(), two.to(), two.contact()));
    assert_eq!((one.from().tag(), one.to().tag()), (two.from().tag(), two.to().tag()));
    assert_eq!((one.via().owned(), one.via().branch()), (two.via().owned(), two.via().branch()));
    assert_eq!(one.max_forwards(), two.max_forwards());
    assert!(one.routes().eq(two.routes()), "other Routes");
    assert_eq!((one.vias(), one.contacts(), one.record_routes()), (two.vias(), two.contacts(), two.record_routes()));
}
