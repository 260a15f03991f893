use rsip::headers::UntypedHeader as _;
use rsip::prelude::{HasHeaders as _, HeadersExt as _, ToTypedHeader as _};
use rsip::{Header, HostWithPort, Request, Response, Uri};

use crate::{Host, Known};

/// A name shows itself only by being printed.
enum Shown {
    Name(String),
    Ip(std::net::IpAddr),
}

impl Shown {
    fn of(at: &HostWithPort) -> Shown {
        match &at.host {
            rsip::Host::Domain(domain) => Shown::Name(domain.to_string()),
            rsip::Host::IpAddr(address) => Shown::Ip(*address),
        }
    }

    fn host(&self) -> Host<'_> {
        match self {
            Shown::Name(name) => Host::Name(name),
            Shown::Ip(address) => Host::Ip(*address),
        }
    }
}

fn user(uri: &Uri) -> &str {
    uri.user().expect("user")
}

pub fn work(bytes: &bytes::Bytes, look: &mut dyn FnMut(&Known<'_>)) -> Vec<u8> {
    let request = Request::try_from(&bytes[..]).expect("a good message");
    let via = request.via_header().expect("Via").typed().expect("a good Via");
    let from = request.from_header().expect("From").typed().expect("a good From");
    let to = request.to_header().expect("To").typed().expect("a good To");
    let cseq = request.cseq_header().expect("CSeq").typed().expect("a good CSeq");
    let contact = request.contact_header().expect("Contact").typed().expect("a good Contact");
    let route = request.route_header().expect("Route").typed().expect("good Routes");
    let routes = route.uris();
    let length = request.headers().iter().find_map(|header| match header {
        Header::ContentLength(length) => length.value().parse().ok(),
        _ => None,
    });
    let transport = via.transport.to_string();
    let method = cseq.method.to_string();
    let branch = via.branch().expect("branch");
    let from_tag = from.tag().expect("tag");
    let to_tag = to.tag();
    look(&Known {
        via: (&transport, Shown::of(&via.uri.host_with_port).host(), via.uri.host_with_port.port.as_ref().map(|port| *port.value()), branch.value()),
        from: (user(&from.uri), Shown::of(&from.uri.host_with_port).host(), from_tag.value()),
        to: (user(&to.uri), Shown::of(&to.uri.host_with_port).host(), to_tag.map(|tag| tag.value())),
        call_id: request.call_id_header().expect("Call-ID").value(),
        cseq: (cseq.seq, &method),
        contact: (user(&contact.uri), Shown::of(&contact.uri.host_with_port).host()),
        routes: [Shown::of(&routes[0].uri.host_with_port).host(), Shown::of(&routes[1].uri.host_with_port).host()],
        max_forwards: request.max_forwards_header().expect("Max-Forwards").num().expect("a number") as u8,
        content_length: length.expect("Content-Length"),
    });
    let mut headers = rsip::Headers::default();
    for header in request.headers().iter() {
        if matches!(header, Header::Via(_) | Header::From(_) | Header::To(_) | Header::CallId(_) | Header::CSeq(_)) {
            headers.push(header.clone());
        }
    }
    headers.push(rsip::headers::ContentLength::new("0").into());
    Vec::from(Response { status_code: 100.into(), version: rsip::Version::V2, headers, body: Vec::new() })
}

pub fn round_trip(bytes: &bytes::Bytes) -> bool {
    Request::try_from(&bytes[..]).is_ok_and(|message| Vec::from(message) == bytes[..])
}
