use std::str::from_utf8;

use sipx_sip::headers::{CSeq, CallId, Contact, ContentLength, From, MaxForwards, Route, To, Via};
use sipx_sip::uri::{Host as Named, Uri};
use sipx_sip::{Limits, Message, ResponseBuilder, StatusCode, parse_datagram};

use crate::{Host, Known};

fn text(bytes: &[u8]) -> &str {
    from_utf8(bytes).expect("UTF-8")
}

fn host(host: &Named) -> Host<'_> {
    match host {
        Named::Name(name) => Host::Name(text(name.as_bytes())),
        Named::Ip(address) => Host::Ip(*address),
    }
}

fn at(uri: &Uri) -> Host<'_> {
    host(uri.host().expect("a host"))
}

fn user(uri: &Uri) -> &str {
    text(uri.user().expect("user"))
}

pub fn work(bytes: &bytes::Bytes, look: &mut dyn FnMut(&Known<'_>)) -> Vec<u8> {
    let Ok(Message::Request(request)) = parse_datagram(bytes.clone(), &Limits::datagram()) else { panic!("a good message") };
    let headers = &request.headers;
    let via = headers.typed::<Via>().expect("Via").expect("a good Via");
    let from = headers.typed::<From>().expect("From").expect("a good From");
    let to = headers.typed::<To>().expect("To").expect("a good To");
    let call_id = headers.typed::<CallId>().expect("Call-ID").expect("a good Call-ID");
    let cseq = headers.typed::<CSeq>().expect("CSeq").expect("a good CSeq");
    let contact = headers.typed::<Contact>().expect("Contact").expect("a good Contact");
    let route = headers.value(&sipx_sip::HeaderName::Route).expect("Route");
    let routes = Route::parse_list(&route).expect("good Routes");
    let max_forwards = headers.typed::<MaxForwards>().expect("Max-Forwards").expect("a good Max-Forwards");
    let length = headers.typed::<ContentLength>().expect("Content-Length").expect("a good Content-Length");
    look(&Known {
        via: (text(&via.transport), host(&via.host), via.port, text(via.branch().expect("branch"))),
        from: (user(&from.0.uri), at(&from.0.uri), text(from.0.tag().expect("tag"))),
        to: (user(&to.0.uri), at(&to.0.uri), to.0.tag().map(text)),
        call_id: text(&call_id.0),
        cseq: (cseq.sequence, text(cseq.method.as_bytes())),
        contact: (user(&contact.0.uri), at(&contact.0.uri)),
        routes: [at(&routes[0].0.uri), at(&routes[1].0.uri)],
        max_forwards: max_forwards.0,
        content_length: length.0 as usize,
    });
    let status = StatusCode::new(100).expect("100");
    let answer = ResponseBuilder::to_request(&request, status, &b"Trying"[..]).expect("an answer").build();
    let mut out = Vec::with_capacity(1024);
    answer.write_to(&mut out);
    out
}

pub fn round_trip(bytes: &bytes::Bytes) -> bool {
    parse_datagram(bytes.clone(), &Limits::datagram()).is_ok_and(|message| message.to_bytes() == bytes)
}
