use baton_sip::wire::{Builder, Host as Named, Message, Name, Uri};

use crate::{Host, Known};

fn host(host: &Named) -> Host<'_> {
    match host {
        Named::Name(name) => Host::Name(name),
        Named::V4(address) => Host::Ip((*address).into()),
        Named::V6(address) => Host::Ip((*address).into()),
    }
}

fn at(uri: &Uri) -> Host<'_> {
    host(uri.host().expect("a host"))
}

pub fn work(bytes: &bytes::Bytes, look: &mut dyn FnMut(&Known<'_>)) -> Vec<u8> {
    let message = Message::parse(bytes.clone()).expect("a good message");
    let via = message.via();
    let contact = message.contact().expect("Contact");
    let routes = message.routes();
    let (from, to) = (message.from(), message.to());
    look(&Known {
        via: (&via.transport, host(&via.sent_by.host), via.sent_by.port, via.branch().expect("branch")),
        from: (from.uri.user().expect("user"), at(&from.uri), from.tag().expect("tag")),
        to: (to.uri.user().expect("user"), at(&to.uri), to.tag()),
        call_id: message.call_id(),
        cseq: (message.cseq().number, message.cseq().method.as_str()),
        contact: (contact.uri.user().expect("user"), at(&contact.uri)),
        routes: [at(&routes[0].uri), at(&routes[1].uri)],
        max_forwards: message.max_forwards().expect("Max-Forwards"),
        content_length: message.header(Name::ContentLength).and_then(|text| text.parse().ok()).expect("Content-Length"),
    });
    Builder::response_to(&message, 100, "Trying", None).build().into()
}

pub fn round_trip(bytes: &bytes::Bytes) -> bool {
    Message::parse(bytes.clone()).is_ok_and(|message| message.raw() == bytes)
}
