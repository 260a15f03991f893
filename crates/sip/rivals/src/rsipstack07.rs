use rsipstack::sip::prelude::{HasHeaders as _, HeadersExt as _, ToTypedHeader as _};
use rsipstack::sip::{Header, HostWithPort, Request, Response, Uri};

use crate::{Host, Known};

fn host(at: &HostWithPort) -> Host<'_> {
    match &at.host {
        rsipstack::sip::Host::Domain(domain) => Host::Name(&domain.0),
        rsipstack::sip::Host::IpAddr(address) => Host::Ip(*address),
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
    let routes = request.typed_route_headers().expect("good Routes");
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
        via: (&transport, host(&via.uri.host_with_port), via.uri.host_with_port.port.as_ref().map(|port| u16::from(*port)), branch.value()),
        from: (user(&from.uri), host(&from.uri.host_with_port), from_tag.value()),
        to: (user(&to.uri), host(&to.uri.host_with_port), to_tag.map(|tag| tag.value())),
        call_id: request.call_id_header().expect("Call-ID").value(),
        cseq: (cseq.seq, &method),
        contact: (user(&contact.uri), host(&contact.uri.host_with_port)),
        routes: [host(&routes[0].uri.host_with_port), host(&routes[1].uri.host_with_port)],
        max_forwards: request.max_forwards_header().expect("Max-Forwards").value().parse().expect("a number"),
        content_length: length.expect("Content-Length"),
    });
    let mut headers = rsipstack::sip::Headers::default();
    for header in request.headers().iter() {
        if matches!(header, Header::Via(_) | Header::From(_) | Header::To(_) | Header::CallId(_) | Header::CSeq(_)) {
            headers.push(header.clone());
        }
    }
    headers.push(rsipstack::sip::headers::ContentLength::new("0").into());
    let version = rsipstack::sip::Version::V2;
    Response { status_code: 100.into(), wire_reason: None, version, headers, body: Vec::new() }.to_bytes()
}

pub fn round_trip(bytes: &bytes::Bytes) -> bool {
    Request::try_from(&bytes[..]).is_ok_and(|message| message.to_bytes() == bytes[..])
}
