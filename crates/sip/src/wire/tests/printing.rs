use bytes::Bytes;

use super::{INVITE, lines};
use crate::wire::{Builder, Header, HostPort, Message, Name, NameAddr, Uri, Via};

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[test]
fn a_request_is_written_as_its_values_say() {
    let at: HostPort = "[2001:db8::1]:5070".parse().expect("a host");
    let from = NameAddr::new(Some("Zo\u{eb} \"Z\""), Uri::sip("zo\u{eb}@x", &at)).with_tag("1");
    let uri: Uri = "sip:bob@biloxi.example".parse().expect("a URI");
    let built = Builder::request("INVITE", &uri)
        .header(Name::Via, Via::new("TCP", at, "z9hG4bK7"))
        .header(Name::From, &from)
        .header("X-Baton-Summary", "two lines")
        .headers(&[Header::new("Supported", "replaces")])
        .body("application/sdp", Bytes::from_static(b"v=0\r\n"))
        .build();
    let expected = "INVITE sip:bob@biloxi.example SIP/2.0\nVia: SIP/2.0/TCP [2001:db8::1]:5070;branch=z9hG4bK7;rport\n\
                    From: \"Zo\u{eb} \\\"Z\\\"\" <sip:zo%C3%AB%40x@[2001:db8::1]:5070>;tag=1\nX-Baton-Summary: two lines\nSupported: replaces\n\
                    Content-Type: application/sdp\nContent-Length: 5\n\nv=0\n";
    assert_eq!(text(&built), expected.replace('\n', "\r\n"));
}

#[test]
fn no_value_can_add_a_line_or_a_length() {
    let evil = "x\r\nContent-Length: 99\r\nX-Evil: 1\r\n\r\nBYE\0\n\r\u{b}";
    let name: NameAddr = NameAddr::new(Some(evil), "sip:a@b".parse().expect("a URI")).with_tag(evil);
    let built = Builder::request(evil, evil)
        .header(Name::From, &name)
        .header(Name::Subject, evil)
        .header("X-Bad\r\nName", "1")
        .header("l", "7")
        .header("", "1")
        .headers(&[Header::new("content-LENGTH", "7"), Header::new("A: b", "1"), Header::new("User-Agent", evil)])
        .body(evil, Bytes::from_static(b"b"))
        .build();
    let head = text(&built);
    assert_eq!(head.matches("\r\n").count(), 7, "{head}");
    assert_eq!(head.to_lowercase().matches("\ncontent-length").count(), 1, "{head}");
    assert!(head.ends_with("\r\nContent-Length: 1\r\n\r\nb"), "{head}");
    let status = text(&Builder::response(7, evil).build());
    assert!(status.starts_with("SIP/2.0 500 x  Content-Length: 99") && status.matches("\r\n").count() == 3, "{status}");
}

#[test]
fn a_response_repeats_what_the_rfc_says() {
    let request =
        lines(&INVITE.replace("Via: ", "Via: SIP/2.0/TCP p;branch=z9hG4bK0, SIP/2.0/UDP q ;branch=1\nTimestamp: 54\nv: "));
    let request = Message::parse(request.into()).expect("a request");
    let mut via = request.via().owned();
    via.stamp("198.51.100.7:4444".parse().expect("an address"));
    let answer = Builder::response_by(&request, 180, "Ringing", Some("mine"), Some(&via)).build();
    let expected = "SIP/2.0 180 Ringing\nVia: SIP/2.0/TCP p;branch=z9hG4bK0;received=198.51.100.7\nVia: SIP/2.0/UDP q ;branch=1\n\
                    Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa;rport\nFrom: \"Alice\" <sip:alice@atlanta.example>;tag=1928\n\
                    To: <sip:bob@biloxi.example>;tag=mine\nCall-ID: a84b4c76e66710\nCSeq: 314159 INVITE\nContent-Length: 0\n\n";
    assert_eq!(text(&answer), expected.replace('\n', "\r\n"));
    let trying = text(&Builder::response_to(&request, 100, "Trying", None).build());
    assert!(trying.contains("\r\nTimestamp: 54\r\n") && trying.contains("\r\nTo: <sip:bob@biloxi.example>\r\n"), "{trying}");
}

#[test]
fn a_refusal_goes_back_the_way_the_request_came() {
    let bad = lines(&INVITE.replace("314159 INVITE", "314159 BYE"));
    let fault = Message::parse(bad.into()).expect_err("a fault");
    let answer = text(&fault.response("203.0.113.5:1024".parse().expect("an address")).expect("an answer"));
    assert!(answer.starts_with("SIP/2.0 400 Bad Request: The method of CSeq is not that of the request line\r\n"), "{answer}");
    assert!(answer.contains("Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa;rport=1024;received=203.0.113.5\r\n"), "{answer}");
    assert!(answer.contains("\r\nCSeq: 314159 BYE\r\n") && answer.ends_with("Content-Length: 0\r\n\r\n"), "{answer}");
    assert!(Message::parse(answer.into_bytes().into()).is_ok());
}

#[test]
fn our_tag_takes_the_place_of_one_without_a_value() {
    for (to, expected) in [
        ("To: <sip:bob@biloxi.example>;tag;x=y", "To: <sip:bob@biloxi.example>;tag=ours;x=y"),
        ("To: <sip:bob@biloxi.example>;x=y", "To: <sip:bob@biloxi.example>;x=y;tag=ours"),
    ] {
        let request = lines(&INVITE.replace("To: <sip:bob@biloxi.example>", to));
        let message = Message::parse(request.into()).expect("a request");
        let answer = Builder::response_to(&message, 200, "OK", Some("ours")).build();
        assert!(text(&answer).contains(&format!("\r\n{expected}\r\n")), "{}", text(&answer));
        assert_eq!(Message::parse(answer).expect("an answer").to().tag(), Some("ours"));
    }
}
