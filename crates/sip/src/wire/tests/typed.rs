use super::{INVITE, lines, parse};
use crate::wire::{CSeq, Host, HostPort, Message, Name, NameAddr, Reason, ReferTo, Replaces, Rule, Scheme, Tel, Uri, Via};

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|rule: Rule| panic!("{text}: {rule}"))
}

#[test]
fn uris_are_the_same_by_the_rules_of_the_rfc() {
    let same = [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]"),
        ("tel:+1-212-555-0101", "TEL:+1(212)5550101"),
        ("tel:863-1234;phone-context=+1-914-555", "tel:8631234;phone-context=+1914555"),
        ("urn:service:sos", "urn:service:sos"),
        ("sip:a@b;x=1;x=2", "sip:a@b;X=1;x=2"),
        ("sip:a@b;transport=tcp;transport=udp;y", "sip:a@b;y;transport=TCP;Transport=udp"),
        ("sip:a@b;x;x=%31", "sip:a@b;x;x=1"),
        ("tel:+1212;isub=1;isub=2", "tel:+1212;isub=1;isub=2"),
    ];
    for (one, two) in same {
        assert!(uri(one).is_same(&uri(one)) && uri(two).is_same(&uri(two)), "{one} {two}");
        assert!(uri(one).is_same(&uri(two)) && uri(two).is_same(&uri(one)), "{one} {two}");
    }
    let others = [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com:6000", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@b;x=1;x=2", "sip:a@b;x=1"),
        ("sip:a@b;x=1;x=2", "sip:a@b;x=2;x=1"),
        ("sip:a@b", "sips:a@b"),
        ("sip:a:1@b", "sip:a:2@b"),
        ("sip:a@b", "sip:b"),
        ("tel:+12125550101", "tel:+12125550102"),
        ("tel:8631234;phone-context=a.example", "tel:8631234;phone-context=b.example"),
    ];
    for (one, two) in others {
        assert!(!uri(one).is_same(&uri(two)) && !uri(two).is_same(&uri(one)), "{one} {two}");
    }
}

#[test]
fn a_uri_is_taken_apart() {
    let all = uri("sips:a%20b:p,w@host.example:5061;lr;Maddr=10.0.0.1?Replaces=1%3Bto-tag%3Da&X-Y=z");
    assert_eq!((all.scheme(), all.scheme_text(), all.user(), all.password()), (Scheme::Sips, "sips", Some("a%20b"), Some("p,w")));
    assert_eq!(all.user_plain().as_deref(), Some("a b"));
    assert_eq!(all.host_port().map(|at| at.to_string()).as_deref(), Some("host.example:5061"));
    assert_eq!((all.is_loose(), all.param("maddr"), all.param("none")), (true, Some(Some("10.0.0.1")), None));
    assert_eq!(all.embedded_headers(), [("Replaces".into(), "1;to-tag=a".into()), ("X-Y".into(), "z".into())]);
    assert_eq!(all.without_headers().as_str(), "sips:a%20b:p,w@host.example:5061;lr;Maddr=10.0.0.1");
    let changed = all.with_param("transport", Some("t;cp")).without_param("LR").without_headers().with_header("A", "b&c=d\r\n");
    assert_eq!(changed.as_str(), "sips:a%20b:p,w@host.example:5061;Maddr=10.0.0.1;transport=t%3Bcp?A=b%26c%3Dd%0D%0A");
    assert_eq!(uri("sip:h").user(), None);
    assert_eq!(uri("sip:[::1]:5060").ip(), Some(std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST)));
    assert_eq!(uri("sip:a@h?Replaces=1@2;to-tag=x").host(), Some(&Host::Name("h".into())), "an unescaped @ in embedded headers");
    assert_eq!(uri("tel:+1-555;ext=7").user(), Some("+1-555"));
}

#[test]
fn what_is_no_uri_is_none() {
    let bad = [
        "",
        "sip",
        "sip:",
        "sip:@h",
        "sip:a@",
        "sip:a@h:",
        "sip:a@h:99999",
        "sip:a@h:x",
        "sip:a b@h",
        "sip:a@h;",
        "sip:a@h;=1",
        "sip:a@h;x=",
        "sip:a@b@c",
        "sip:a%2@h",
        "sip:a%zz@h",
        "sip:a@[::1",
        "sip:a@[::g]",
        "sip:a@h?",
        "sip:a@h?=1",
        "sip:<a@h>",
        "sip:a@h\r\n",
        "sip:\u{e4}@h",
        "tel:",
        "tel:+",
        "tel:xyz",
        "tel:12;",
        "1x:y",
        ":x",
        "x:",
    ];
    for text in bad {
        assert!(text.parse::<Uri>().is_err(), "{text:?}");
    }
    assert!(format!("sip:{}@h", "a".repeat(5_000)).parse::<Uri>().is_err());
}

#[test]
fn numbers_compare_without_their_separators() {
    let number = |text: &str| uri(text).tel();
    assert_eq!(number("tel:+1-(555).01 00".replace(' ', "").as_str()), Tel::read("+15550100", None));
    assert_eq!(number("sip:+1-555-0100@gw;user=phone"), Tel::read("+15550100", None));
    assert_eq!(number("sip:5550100;phone-context=+1@gw"), Tel::read("5550100", Some("+1")));
    assert!(Tel::read("+15550100", None).is_some_and(|tel| tel.is_global()));
    assert_eq!(Tel::read("*21#a", None).map(|tel| tel.number).as_deref(), Some("*21#A"));
    for strange in ["", "+", "-", "alice", "+1x", "+*1", "1\u{661}"] {
        assert_eq!(Tel::read(strange, None), None, "{strange}");
    }
}

#[test]
fn addresses_keep_their_names_and_parameters() {
    let addr = |text: &str| text.parse::<NameAddr>().unwrap_or_else(|rule| panic!("{text}: {rule}"));
    let quoted = addr("\"A < B, \\\"c\\\" \\\\\"   <sip:a@h;lr>;tag=x;+sip.instance=\"<urn:uuid:1>\" ; q = 0.3");
    assert_eq!((quoted.display().as_ref(), quoted.tag(), quoted.params.value("q")), ("A < B, \"c\" \\", Some("x"), Some("0.3")));
    assert_eq!(quoted.params.text("+SIP.instance").as_deref(), Some("<urn:uuid:1>"));
    assert_eq!(quoted.clone().without_tag().with_tag("y").tag(), Some("y"));
    assert_eq!(addr("sip:a@h;tag=1").uri, uri("sip:a@h"), "without brackets parameters are the header's");
    assert_eq!(addr("Anna Lena <sip:a@h>").display(), "Anna Lena");
    assert_eq!(addr("J\u{fc}rgen <sip:a@h>").display(), "J\u{fc}rgen");
    assert_eq!(NameAddr::new(Some("a\r\n\"b"), uri("sip:a@h")).to_string(), "\"a  \\\"b\" <sip:a@h>");
    for bad in [
        "",
        "<>",
        "<sip:a@h",
        "sip:a@h>",
        "\"a <sip:a@h>",
        "\"a\" sip:a@h",
        "a, b <sip:a@h>",
        "<sip:a@h>x",
        "<sip:a@h>;",
        "<sip:a@h>;;a",
        "sip:a@h,b",
    ] {
        assert!(bad.parse::<NameAddr>().is_err(), "{bad:?}");
    }
    let again: NameAddr = serde_json::from_str(&serde_json::to_string(&quoted).expect("JSON")).expect("an address");
    assert_eq!(again, quoted.to_string().parse().expect("an address"));
}

#[test]
fn a_via_says_where_to_answer() {
    let mut via: Via =
        "SIP / 2.0 / UDP first.example:4000 ;ttl=16 ;maddr=224.2.0.1 ;branch=z9hG4bKa7c6.1; rport".parse().expect("a Via");
    assert_eq!((via.transport.as_str(), via.branch(), via.transaction()), ("UDP", Some("z9hG4bKa7c6.1"), Some("z9hG4bKa7c6.1")));
    assert_eq!(via.rport(), Some(None));
    via.stamp("[2001:db8::9]:5061".parse().expect("an address"));
    assert_eq!((via.rport(), via.received()), (Some(Some(5061)), "2001:db8::9".parse().ok()));
    assert_eq!(via.to_string().parse::<Via>(), Ok(via));
    let mut plain: Via = "SIP/2.0/TCP 192.0.2.1;branch=1".parse().expect("a Via");
    plain.stamp("192.0.2.1:9999".parse().expect("an address"));
    assert_eq!((plain.to_string().as_str(), plain.transaction()), ("SIP/2.0/TCP 192.0.2.1;branch=1", None));
    for bad in [
        "",
        "SIP/2.0",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ;a",
        "SIP/3.0/UDP h",
        "SIP/2.0/UDP h:x",
        "SIP/2.0/UDP h;;a",
        "SIP/2.0/UDP h i",
        "TLS h",
    ] {
        assert!(bad.parse::<Via>().is_err(), "{bad:?}");
    }
    assert_eq!("h:1".parse::<HostPort>().map(|at| at.port), Ok(Some(1)));
}

#[test]
fn values_with_a_shape_of_their_own() {
    let head = "Reason: SIP;cause=200;text=\"Call completed, elsewhere\", Q.850 ;cause=16\nRetry-After: 18000 (in a meeting);duration=3600\n\
                Subscription-State: Terminated;reason=noresource\nEvent: refer;id=93809824\nExpires: 99999999999\nRequire: a, 100rel\nk: timer\nSupported:\n\
                Refer-To: <sip:c@h;method=INVITE?Replaces=12%40h%3Bto-tag%3D7%3Bfrom-tag%3D8%3Bearly-only&X-Baton-Summary=hi%20there>\n\
                Referred-By: <sip:a@h>\nReplaces: 12@h;from-tag=8;to-tag=7\nX-One: a, b\nx-one: c\n";
    let message = parse(&lines(&INVITE.replace("Contact:", &format!("{head}Contact:")))).expect("a message");
    let reasons = message.reasons();
    let facts: Vec<_> =
        reasons.iter().map(|reason| (reason.protocol.as_str(), reason.cause(), reason.text().map(String::from))).collect();
    assert_eq!(facts, [("SIP", Some(200), Some("Call completed, elsewhere".to_owned())), ("Q.850", Some(16), None)]);
    assert_eq!(
        message.retry_after().map(|after| (after.seconds, after.params.value("duration").map(str::to_owned))),
        Some((18_000, Some("3600".into())))
    );
    assert!(
        message
            .subscription_state()
            .is_some_and(|state| state.is_terminated() && state.params.value("reason") == Some("noresource"))
    );
    assert_eq!(message.event().and_then(|event| event.id().map(str::to_owned)).as_deref(), Some("93809824"));
    assert_eq!(message.expires(), Some(u32::MAX));
    assert!(message.has_token(Name::Require, "100REL") && message.has_token(Name::Supported, "timer"));
    assert_eq!(message.headers(Name::Supported).count(), 1, "an empty list has no tokens");
    let refer: ReferTo = message.refer_to().expect("a Refer-To");
    let replaces = Replaces { call_id: "12@h".into(), to_tag: "7".into(), from_tag: "8".into(), early_only: true };
    assert_eq!((refer.target().as_str(), refer.replaces()), ("sip:c@h;method=INVITE", Some(replaces.clone())));
    assert_eq!(refer.0.uri.header("x-baton-summary").as_deref(), Some("hi there"));
    assert_eq!(message.replaces(), Some(Replaces { early_only: false, ..replaces }));
    assert_eq!(message.headers("X-One").collect::<Vec<_>>(), ["a, b", "c"]);
    assert_eq!(
        (message.header("X-ONE"), message.header("X-Two"), message.header("m")),
        (Some("a, b"), None, Some("<sip:alice@192.0.2.1:5070>"))
    );
    assert_eq!("1 INVITE".parse::<CSeq>().map(|cseq| cseq.to_string()).as_deref(), Ok("1 INVITE"));
    for bad in ["", "1", "INVITE", "-1 INVITE", "2147483648 INVITE", "1 IN VITE", "+1 ACK"] {
        assert!(bad.parse::<CSeq>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_clone_shares_the_bytes_and_a_detached_value_does_not() {
    let message: Message = parse(&lines(INVITE)).expect("a message");
    assert_eq!(message.clone().raw().as_ptr(), message.raw().as_ptr());
    let from = message.from().owned();
    assert_eq!((from.uri.as_str().as_ptr(), from.detached()), (message.from().uri().as_str().as_ptr(), from.clone()));
    assert_ne!(from.detached().uri.as_str().as_ptr(), from.uri.as_str().as_ptr());
}

#[test]
fn a_host_is_read_from_text_of_its_own() {
    for (text, written) in [
        ("a.example", "a.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("2001:db8::1", "[2001:db8::1]"),
    ] {
        assert_eq!(text.parse::<Host>().map(|host| host.to_string()).as_deref(), Ok(written));
    }
    assert!("".parse::<Host>().is_err() && "a b".parse::<Host>().is_err() && "[::".parse::<Host>().is_err());
}

#[test]
fn no_value_that_would_end_a_line_is_read() {
    for end in ["\r\n", "\n", "\r"] {
        assert_eq!(format!("sip:a.example;x=\"1{end}2\"").parse::<NameAddr>(), Err(Rule::LineEnd));
        assert_eq!(format!("SIP/2.0/UDP a.example;branch=z9hG4bK1;x=\"1{end}2\"").parse::<Via>().err(), Some(Rule::LineEnd));
        assert_eq!(format!("SIP;cause=200;text=\"1{end}2\"").parse::<Reason>().err(), Some(Rule::LineEnd));
    }
}
