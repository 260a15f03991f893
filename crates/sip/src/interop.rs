//! Conversions from and to the types of the crate `rsip`, for embedders who have them already. What `rsip` cannot express is an error, not a guess.

use bytes::Bytes;

use crate::wire::{Builder, Fault, Message, Rule, Uri};

impl TryFrom<&Message> for rsip::SipMessage {
    type Error = rsip::Error;

    /// Headers go over in their long form, one line each.
    fn try_from(message: &Message) -> Result<rsip::SipMessage, rsip::Error> {
        let builder = match message.request_uri() {
            Some(uri) => Builder::request(message.method(), uri),
            None => Builder::response(message.status(), message.phrase()),
        };
        let builder = message.all_headers().fold(builder, |builder, (name, value)| builder.header(name, value));
        let head = builder.build();
        let mut converted = rsip::SipMessage::try_from(head)?;
        converted.body_mut().extend_from_slice(message.body());
        set_length(&mut converted, message.body().len());
        Ok(converted)
    }
}

fn set_length(message: &mut rsip::SipMessage, length: usize) {
    let headers = match message {
        rsip::SipMessage::Request(request) => &mut request.headers,
        rsip::SipMessage::Response(response) => &mut response.headers,
    };
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    headers.unique_push(rsip::Header::ContentLength(length.into()));
}

impl TryFrom<&rsip::SipMessage> for Message {
    type Error = Fault;

    /// The phrase is as `rsip` spells it. Content-Length follows from the body, and no value can bring another header with it, whatever the message says.
    fn try_from(message: &rsip::SipMessage) -> Result<Message, Fault> {
        let (builder, headers, body) = match message {
            rsip::SipMessage::Request(request) => {
                (Builder::request(request.method.to_string(), &request.uri), &request.headers, &request.body)
            }
            rsip::SipMessage::Response(response) => {
                // rsip prints "200 OK": the phrase is what stands behind the status.
                let line = response.status_code.to_string();
                let phrase = line.split_once(' ').map_or("", |(_, phrase)| phrase);
                (Builder::response(response.status_code.code(), phrase), &response.headers, &response.body)
            }
        };
        let builder = headers.iter().fold(builder, |builder, header| {
            let line = header.to_string();
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            builder.header(name.trim(), value.trim())
        });
        let builder = builder.bare_body(Bytes::copy_from_slice(body));
        Message::parse(builder.build())
    }
}

impl TryFrom<&Uri> for rsip::Uri {
    type Error = rsip::Error;

    fn try_from(uri: &Uri) -> Result<rsip::Uri, rsip::Error> {
        rsip::Uri::try_from(uri.as_str())
    }
}

impl TryFrom<&rsip::Uri> for Uri {
    type Error = Rule;

    fn try_from(uri: &rsip::Uri) -> Result<Uri, Rule> {
        uri.to_string().parse()
    }
}

#[cfg(test)]
mod tests {
    use rsip::prelude::*;

    use super::*;
    use crate::wire::Name;

    const INVITE: &str = "INVITE sip:bob@biloxi.example;transport=udp SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
                          f: Alice <sip:alice@atlanta.example>\r\n ;tag=1928\r\nt: <sip:bob@biloxi.example>\r\ni: a84b4c76e66710\r\n\
                          CSeq: 314159 INVITE\r\nX-Baton-Summary: hi\r\nc: application/sdp\r\nl: 4\r\n\r\nv=\u{ff}0";

    fn message() -> Message {
        let bytes: Vec<u8> = INVITE.chars().map(|char| u8::try_from(u32::from(char)).expect("Latin-1")).collect();
        Message::parse(bytes.into()).expect("a message")
    }

    #[test]
    fn a_message_goes_over_and_comes_back() {
        let ours = message();
        let theirs = rsip::SipMessage::try_from(&ours).expect("rsip reads it");
        assert_eq!(theirs.call_id_header().map(|id| id.value().to_owned()).ok().as_deref(), Some("a84b4c76e66710"));
        assert_eq!(theirs.cseq_header().and_then(|cseq| cseq.seq()).ok(), Some(314_159));
        assert_eq!(theirs.body().as_slice(), b"v=\xff0");
        let back = Message::try_from(&theirs).expect("ours again");
        assert_eq!((back.method(), back.call_id(), back.from().tag()), ("INVITE", "a84b4c76e66710", Some("1928")));
        assert_eq!((back.header("X-Baton-Summary"), back.header(Name::ContentLength)), (Some("hi"), Some("4")));
        assert_eq!((back.via().owned(), back.body()), (ours.via().owned(), ours.body()));
        assert!(matches!((back.request_uri(), ours.request_uri()), (Some(one), Some(two)) if one.owned().is_same(&two.owned())));
    }

    #[test]
    fn a_response_keeps_its_status() {
        let ours = Message::parse(Builder::response_to(&message(), 486, "Busy Here", Some("x")).build()).expect("a response");
        let theirs = rsip::SipMessage::try_from(&ours).expect("rsip reads it");
        let back = Message::try_from(&theirs).expect("ours again");
        assert_eq!((back.status(), back.phrase(), back.to().tag()), (486, "BusyHere", Some("x")));
    }

    #[test]
    fn what_rsip_cannot_say_is_an_error_and_what_it_smuggles_is_neutralised() {
        let tel: Uri = "nobodyknows:this".parse().expect("a URI");
        assert!(rsip::Uri::try_from(&tel).is_err() || rsip::Uri::try_from(&tel).is_ok_and(|uri| uri.to_string() != "sip:this"));
        let mut theirs = rsip::SipMessage::try_from(&message()).expect("rsip reads it");
        theirs.headers_mut().push(rsip::Header::Subject("a\r\nX-Evil: 1\r\n\r\n".into()));
        let back = Message::try_from(&theirs).expect("ours again");
        assert_eq!(back.header("X-Evil"), None);
        theirs.headers_mut().retain(|header| !matches!(header, rsip::Header::Via(_)));
        assert_eq!(Message::try_from(&theirs).map_err(|fault| fault.rule), Err(Rule::Missing(Name::Via)));
    }

    #[test]
    fn a_uri_goes_over_and_comes_back() {
        let ours: Uri = "sips:alice@atlanta.example:5061;transport=tcp".parse().expect("a URI");
        let theirs = rsip::Uri::try_from(&ours).expect("rsip reads it");
        assert!(Uri::try_from(&theirs).expect("ours again").is_same(&ours));
    }
}
