use baton_sip::wire::{Builder, HostRef, Message, Name, UriRef};

use crate::{Host, Known};

fn host(host: HostRef<'_>) -> Host<'_> {
    match host {
        HostRef::Name(name) => Host::Name(name),
        HostRef::V4(address) => Host::Ip(address.into()),
        HostRef::V6(address) => Host::Ip(address.into()),
    }
}

fn at(uri: UriRef<'_>) -> Host<'_> {
    host(uri.host().expect("a host"))
}

pub fn work(bytes: &bytes::Bytes, look: &mut dyn FnMut(&Known<'_>)) -> Vec<u8> {
    let message = Message::parse(bytes.clone()).expect("a good message");
    let via = message.via();
    let contact = message.contact().expect("Contact");
    let mut routes = message.routes().map(|route| at(route.uri()));
    let (from, to) = (message.from(), message.to());
    look(&Known {
        via: (via.transport(), host(via.host()), via.port(), via.branch().expect("branch")),
        from: (from.uri().user().expect("user"), at(from.uri()), from.tag().expect("tag")),
        to: (to.uri().user().expect("user"), at(to.uri()), to.tag()),
        call_id: message.call_id(),
        cseq: (message.cseq().number, message.cseq().method.as_str()),
        contact: (contact.uri().user().expect("user"), at(contact.uri())),
        routes: [routes.next().expect("a Route"), routes.next().expect("a second Route")],
        max_forwards: message.max_forwards().expect("Max-Forwards"),
        content_length: message.header(Name::ContentLength).and_then(|text| text.parse().ok()).expect("Content-Length"),
    });
    Builder::response_to(&message, 100, "Trying", None).build().into()
}

pub fn round_trip(bytes: &bytes::Bytes) -> bool {
    Message::parse(bytes.clone()).is_ok_and(|message| message.raw() == bytes)
}
