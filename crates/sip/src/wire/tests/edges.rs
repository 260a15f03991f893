use super::{INVITE, lines, parse};
use crate::wire::{Message, Name};

/// What becomes of an edge message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Read,
    Answer(u16),
    Drop,
}
use Verdict::{Answer, Drop, Read};

fn verdict(bytes: &[u8]) -> Verdict {
    match parse(bytes) {
        Ok(_) => Read,
        Err(fault) => fault.status().map_or(Drop, Answer),
    }
}

/// The INVITE with one piece of its text replaced, and what becomes of it.
const REPLACED: &[(&str, &str, &str, Verdict)] = &[
    ("as it is", "", "", Read),
    ("lower-case version", "SIP/2.0\nVia", "sip/2.0\nVia", Read),
    ("another minor version", "SIP/2.0\nVia", "SIP/2.1\nVia", Answer(505)),
    ("version of many digits", "SIP/2.0\nVia", "SIP/22.0007\nVia", Answer(505)),
    ("no version", " SIP/2.0\nVia", "\nVia", Drop),
    ("another protocol", "SIP/2.0\nVia", "HTTP/1.1\nVia", Drop),
    ("lower-case method is another method", "INVITE sip", "invite sip", Answer(400)),
    ("method with a colon", "INVITE sip", "IN:VITE sip", Drop),
    ("tel Request-URI", "sip:bob@biloxi.example SIP", "tel:+15550100 SIP", Read),
    ("tel Request-URI without digits", "sip:bob@biloxi.example SIP", "tel:xyz SIP", Answer(400)),
    ("IPv6 Request-URI", "sip:bob@biloxi.example SIP", "sip:[2001:db8::10]:5060 SIP", Read),
    ("IPv6 Request-URI without brackets", "sip:bob@biloxi.example SIP", "sip:2001:db8::10 SIP", Answer(400)),
    ("urn Request-URI", "sip:bob@biloxi.example SIP", "urn:service:sos SIP", Read),
    ("pound sign from a keypad", "sip:bob@biloxi.example SIP", "sip:*21#@biloxi.example SIP", Read),
    ("empty Request-URI", "sip:bob@biloxi.example SIP", " SIP", Answer(400)),
    ("tabulator in the request line", "INVITE sip", "INVITE\tsip", Drop),
    ("port 0", "sip:bob@biloxi.example SIP", "sip:bob@biloxi.example:0 SIP", Read),
    ("port too large", "sip:bob@biloxi.example SIP", "sip:bob@biloxi.example:65536 SIP", Answer(400)),
    ("underscore in a host", "sip:bob@biloxi.example SIP", "sip:bob@my_pbx SIP", Read),
    ("trailing dot of a host", "sip:bob@biloxi.example SIP", "sip:bob@biloxi.example. SIP", Read),
    ("no Via", "Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bKa;rport\n", "", Drop),
    ("malformed sender in Via", "UDP 192.0.2.1:5070", "UDP ???", Drop),
    ("malformed port in Via", "192.0.2.1:5070;", "192.0.2.1:port;", Drop),
    ("malformed parameter in Via", ";rport\n", ";=x\n", Answer(400)),
    ("comma behind Via", ";rport\n", ";rport,\n", Answer(400)),
    ("second Via malformed", ";rport\n", ";rport\nVia: nonsense\n", Answer(400)),
    ("IPv6 in Via", "UDP 192.0.2.1:5070", "UDP [2001:db8::1]:5070", Read),
    ("IPv6 in received without brackets", ";rport\n", ";rport;received=2001:db8::1\n", Read),
    ("space around the port in Via", "192.0.2.1:5070;", "192.0.2.1 : 5070 ;", Read),
    ("no Max-Forwards", "Max-Forwards: 70\n", "", Read),
    ("Max-Forwards of 256", "Max-Forwards: 70", "Max-Forwards: 256", Answer(400)),
    ("Max-Forwards of -1", "Max-Forwards: 70", "Max-Forwards: -1", Answer(400)),
    ("Max-Forwards twice", "Max-Forwards: 70", "Max-Forwards: 70\nMax-Forwards: 70", Answer(400)),
    ("no From", "From: \"Alice\" <sip:alice@atlanta.example>;tag=1928\n", "", Answer(400)),
    ("no tag in From", ";tag=1928", "", Read),
    ("From twice by its compact form", "To: <", "f: <sip:a@b>;tag=1\nTo: <", Answer(400)),
    ("angle bracket in a quoted name", "\"Alice\"", "\"A < l > ; , ice\"", Read),
    ("escaped quote in a name", "\"Alice\"", "\"Al\\\"ice\"", Read),
    ("backslash at the end of a name", "\"Alice\"", "\"Alice\\\"", Answer(400)),
    ("name without quotes", "\"Alice\"", "Alice B. Wonder", Read),
    ("name of other letters without quotes", "\"Alice\"", "\u{c5}sa \u{5927}\u{505c}\u{96fb}", Read),
    ("empty URI", "<sip:alice@atlanta.example>", "<>", Answer(400)),
    ("no closing bracket", "atlanta.example>", "atlanta.example", Answer(400)),
    ("two addresses in From", ";tag=1928", ";tag=1928, <sip:b@c>", Answer(400)),
    ("tag with an at sign", "tag=1928", "tag=1928@host", Read),
    ("empty tag", "tag=1928", "tag=", Answer(400)),
    ("no To", "To: <sip:bob@biloxi.example>\n", "", Answer(400)),
    ("empty To", "To: <sip:bob@biloxi.example>\n", "To:\n", Answer(400)),
    ("no Call-ID", "Call-ID: a84b4c76e66710\n", "", Answer(400)),
    ("empty Call-ID", "Call-ID: a84b4c76e66710\n", "Call-ID: \n", Answer(400)),
    ("two words in Call-ID", "a84b4c76e66710", "a84b 4c76", Answer(400)),
    ("no CSeq", "CSeq: 314159 INVITE\n", "", Answer(400)),
    ("CSeq without method", "314159 INVITE", "314159", Answer(400)),
    ("CSeq of another method", "314159 INVITE", "314159 BYE", Answer(400)),
    ("CSeq of 2^31", "314159", "2147483648", Answer(400)),
    ("CSeq of 2^31-1", "314159", "2147483647", Read),
    ("CSeq negative", "314159", "-1", Answer(400)),
    ("two Contacts by comma", "<sip:alice@192.0.2.1:5070>", "<sip:a@b;x=1,2>, \"C, d\" <sip:e@f>", Answer(400)),
    ("two Contacts, a comma in a name", "<sip:alice@192.0.2.1:5070>", "<sip:a@b>, \"C, d\" <sip:e@f>", Read),
    ("star as Contact", "<sip:alice@192.0.2.1:5070>", "*", Read),
    ("Contact of another scheme", "<sip:alice@192.0.2.1:5070>", "<mailto:alice@atlanta.example>", Read),
    ("empty Contact", "<sip:alice@192.0.2.1:5070>", "", Answer(400)),
    ("malformed Route", "Contact:", "Route: sip:a@b c\nContact:", Answer(400)),
    ("two Routes by comma", "Contact:", "Route: <sip:a;lr>,<sip:b;lr>\nContact:", Read),
    ("header without colon", "Contact:", "Nonsense\nContact:", Answer(400)),
    ("header without name", "Contact:", ": nonsense\nContact:", Answer(400)),
    ("space in a name", "Contact:", "X Y: z\nContact:", Answer(400)),
    ("header without value", "Contact:", "X-Empty:\nSubject:\nContact:", Read),
    ("white space before the colon", "Contact:", "Contact \t :", Read),
    ("name in capitals", "Contact:", "CONTACT:", Read),
    ("continuation by tabulator", "Contact: ", "Contact:\n\t", Read),
    ("continuation of white space only", "Contact: ", "Contact:\n \n ", Read),
    ("continuation of the request line", "\nVia", "\n Via", Drop),
    ("NUL in a value", "Contact:", "Subject: a\0b\nContact:", Answer(400)),
    ("bell behind a backslash", "\"Alice\"", "\"Al\\\u{7}ice\"", Read),
    ("escape sequence in a name", "\"Alice\"", "\"\u{1b}[31m\"", Answer(400)),
    ("length of the body too large", "Content-Length: 5", "Content-Length: 5000", Answer(400)),
    ("length with white space", "Content-Length: 5", "Content-Length \t:\t 5 ", Read),
    ("length too small", "Content-Length: 5", "Content-Length: 2", Read),
    ("length with a sign", "Content-Length: 5", "Content-Length: +5", Answer(400)),
    ("length twice, the same", "Content-Length: 5", "Content-Length: 5\nl: 5", Read),
    ("length twice, not the same", "Content-Length: 5", "Content-Length: 5\nl: 2", Answer(400)),
    ("no length", "Content-Length: 5\n", "", Read),
    ("no end of the headers", "\n\nv=0", "\nv=0", Drop),
    ("ACK that is wrong is never answered", "INVITE sip", "ACK sip", Drop),
];

#[test]
fn each_edge_gets_its_verdict() {
    let mut wrong = Vec::new();
    for (what, piece, other, expected) in REPLACED {
        assert!(INVITE.contains(piece), "{what}");
        let got = verdict(&lines(&INVITE.replacen(piece, other, 1)));
        if got != *expected {
            wrong.push(format!("{what}: expected {expected:?}, got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(REPLACED.len() >= 60);
}

/// Whole datagrams that are no requests.
#[test]
fn what_is_no_request_is_never_answered() {
    let response = INVITE.replace("INVITE sip:bob@biloxi.example SIP/2.0", "SIP/2.0 200 OK");
    assert_eq!(verdict(&lines(&response)), Read);
    for (piece, other) in [
        ("200 OK", "99 OK"),
        ("200 OK", "700 OK"),
        ("200 OK", "2000 OK"),
        ("200 OK", "20 OK"),
        ("200 OK", "2x0 OK"),
        ("CSeq", "CSek"),
        ("Content-Length: 5", "Content-Length: 9"),
    ] {
        assert_eq!(verdict(&lines(&response.replace(piece, other))), Drop, "{other}");
    }
    assert_eq!(verdict(&lines(&response.replace("200 OK", "200"))), Read, "no phrase and no space before it");
    for noise in [
        "",
        "\r\n\r\n",
        "\n",
        "\0\0\0\0",
        "hello",
        "hello\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        " \r\n\r\n",
        ":\r\n\r\n",
    ] {
        assert_eq!(verdict(noise.as_bytes()), Drop, "{noise:?}");
    }
}

#[test]
fn limits_are_kept_and_named() {
    let with = |text: &str| verdict(&lines(&INVITE.replace("Contact:", &format!("{text}Contact:"))));
    assert_eq!(with(&"X: y\n".repeat(247)), Read);
    assert_eq!(with(&"X: y\n".repeat(248)), Answer(513));
    assert_eq!(with(&format!("X: {}\n", "y".repeat(8_180))), Read);
    assert_eq!(with(&format!("X: {}\n", "y".repeat(8_200))), Answer(513));
    assert_eq!(with(&format!("X: {}\n", "y\n ".repeat(4_000))), Answer(513), "continuation lines count");
    assert_eq!(with(&format!("{}: y\n", "X".repeat(129))), Answer(400));
    assert_eq!(with(&"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n".repeat(700)), Drop);
    assert_eq!(with(&format!("Via: {}\n", vec!["SIP/2.0/UDP h"; 70].join(","))), Answer(513));
    let huge = [lines(INVITE), vec![b'x'; 65_535]].concat();
    assert_eq!(verdict(&huge), Drop);
}

#[test]
fn what_is_read_is_what_was_sent() {
    let body = b"\x00\xff\xfe\r\n\r\nINVITE sip:x SIP/2.0\r\n\r\n";
    let head =
        INVITE.split("\n\n").next().expect("a head").replace("Content-Length: 5", &format!("Content-Length: {}", body.len()));
    let sent = [b"\r\n\r\n", lines(&format!("{head}\n\n")).as_slice(), body, b"trailing"].concat();
    let message: Message = parse(&sent).expect("a message");
    assert_eq!(message.body(), body.as_slice());
    assert_eq!(message.raw(), &sent[4..sent.len() - 8]);
    let folded = lines(&INVITE.replace("\"Alice\" <", "\"Al\n ice\"\n\t<").replace("Contact: ", "m :\n "));
    let message = parse(&folded).expect("a message");
    assert_eq!((message.from().display().as_ref(), message.from().tag()), ("Al   ice", Some("1928")));
    assert_eq!(message.header(Name::Contact), Some("<sip:alice@192.0.2.1:5070>"));
    assert_eq!(message.raw(), folded.as_slice());
    assert!(message.all_headers().all(|(_, value)| !value.contains(['\r', '\n'])));
    let latin = lines(INVITE).iter().flat_map(|byte| if *byte == b'A' { vec![0xc4] } else { vec![*byte] }).collect::<Vec<_>>();
    let message = parse(&latin).expect("a message");
    assert_eq!((message.from().display().as_ref(), message.body().len()), ("\u{c4}lice", 5));
    assert_eq!(message.raw(), latin.as_slice());
}
