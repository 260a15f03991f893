use super::*;

fn local() -> Local {
    Local { address: [192, 0, 2, 9].into(), port: 20_000, session_id: 7, version: 1, direction: Direction::SendRecv }
}

fn sdp(lines: &str) -> Vec<u8> {
    let head = "v=0\no=- 1 1 IN IP4 198.51.100.1\ns=-\nc=IN IP4 198.51.100.1\nt=0 0\n";
    format!("{head}{lines}").replace('\n', "\r\n").into_bytes()
}

fn answered(lines: &str) -> Result<(String, Negotiated), SdpError> {
    answer(&sdp(lines), &local(), &Capabilities::default())
        .map(|(text, agreed)| (String::from_utf8(text.to_vec()).unwrap(), agreed))
}

const PHONE: &str = "m=audio 4000 RTP/AVP 9 8 0 96\na=rtpmap:9 G722/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:0 PCMU/8000\na=rtpmap:96 telephone-event/8000\na=fmtp:96 0-16\n";

#[test]
fn an_answer_has_exactly_one_codec_and_the_keys() {
    let (text, agreed) = answered(PHONE).unwrap();
    let expected = "v=0\no=- 7 1 IN IP4 192.0.2.9\ns=baton\nc=IN IP4 192.0.2.9\nt=0 0\nm=audio 20000 RTP/AVP 8 96\na=rtpmap:8 PCMA/8000\na=rtpmap:96 telephone-event/8000\na=fmtp:96 0-15\na=ptime:20\na=sendrecv\na=rtcp:20001\n";
    assert_eq!(text, expected.replace('\n', "\r\n"));
    assert_eq!(
        agreed,
        Negotiated {
            codec: Codec::Pcma,
            payload_type: 8,
            remote_payload_type: 8,
            dtmf: Some(KeyTypes { payload_type: 96, remote_payload_type: 96 }),
            ptime_ms: 20,
            remote: "198.51.100.1:4000".parse().unwrap(),
            remote_rtcp: "198.51.100.1:4001".parse().unwrap(),
            direction: Direction::SendRecv,
            rtcp_mux: false,
        }
    );
}

#[test]
fn other_streams_are_refused_in_their_places() {
    let lines =
        format!("m=video 5000 RTP/AVP 97\na=rtpmap:97 H264/90000\n{PHONE}m=audio 4002 RTP/AVP 0\nm=image 4004 udptl t38\n");
    let (text, _) = answered(&lines).unwrap();
    let streams: Vec<&str> = text.lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(streams, ["m=video 0 RTP/AVP 97", "m=audio 20000 RTP/AVP 8 96", "m=audio 0 RTP/AVP 0", "m=image 0 udptl t38"]);
}

#[test]
fn our_offer_and_their_answer_agree_with_each_other() {
    let can = Capabilities::default();
    let theirs =
        Local { address: "2001:db8::1".parse().unwrap(), port: 6_000, session_id: 3, version: 9, direction: Direction::SendRecv };
    let ours = offer(&local(), &can);
    let (reply, heard) = answer(&ours, &theirs, &can).unwrap();
    let agreed = accept(&ours, &reply).unwrap();
    assert_eq!((heard.codec, heard.remote.to_string(), heard.rtcp_mux), (Codec::Pcmu, "192.0.2.9:20000".into(), true));
    assert_eq!((agreed.codec, agreed.remote.to_string(), agreed.rtcp_mux), (Codec::Pcmu, "[2001:db8::1]:6000".into(), true));
    assert_eq!(agreed.dtmf, Some(KeyTypes { payload_type: 101, remote_payload_type: 101 }));
}

#[test]
fn an_answer_may_number_its_types_differently() {
    let ours = offer(&local(), &Capabilities::default());
    let reply = sdp("m=audio 4000 RTP/AVP 8 110\na=rtpmap:110 telephone-event/8000\na=ptime:30\n");
    let agreed = accept(&ours, &reply).unwrap();
    assert_eq!((agreed.codec, agreed.ptime_ms), (Codec::Pcma, 30));
    assert_eq!(agreed.dtmf, Some(KeyTypes { payload_type: 101, remote_payload_type: 110 }));
}

#[test]
fn hold_is_seen_in_all_its_spellings() {
    let cases = [
        ("a=sendonly\n", Direction::RecvOnly),
        ("a=inactive\n", Direction::Inactive),
        ("a=recvonly\n", Direction::SendOnly),
        ("a=sendrecv\n", Direction::SendRecv),
        ("c=IN IP4 0.0.0.0\n", Direction::RecvOnly),
        ("c=IN IP4 0.0.0.0\na=inactive\n", Direction::Inactive),
    ];
    for (lines, direction) in cases {
        let (text, agreed) = answered(&format!("m=audio 4000 RTP/AVP 0\n{lines}")).unwrap();
        assert_eq!(agreed.direction, direction, "{lines}");
        assert_eq!(agreed.is_held(), !direction.sends());
        assert!(text.contains(&format!("a={}\r\n", direction.name())), "{text}");
    }
    let held = String::from_utf8(sdp("m=audio 4000 RTP/AVP 0\n")).unwrap().replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n");
    assert_eq!(answer(held.as_bytes(), &local(), &Capabilities::default()).unwrap().1.direction, Direction::RecvOnly);
}

#[test]
fn a_phone_without_telephone_event_is_listened_to() {
    assert_eq!(answered("m=audio 4000 RTP/AVP 0\n").unwrap().1.dtmf, None);
}

#[test]
fn a_new_offer_keeps_the_types_and_raises_the_version() {
    let (_, agreed) = answered(PHONE).unwrap();
    let text = String::from_utf8(offer_again(&local().bumped(), &agreed).to_vec()).unwrap();
    assert!(text.contains("o=- 7 2 IN IP4 192.0.2.9\r\n"), "{text}");
    assert!(text.contains("m=audio 20000 RTP/AVP 8 96\r\n"), "{text}");
}

#[test]
fn packet_times_and_rtcp_are_taken_as_the_far_end_says() {
    for (lines, ms) in [
        ("a=ptime:30\n", 30),
        ("a=ptime:40\na=maxptime:20\n", 20),
        ("a=ptime:banana\n", 20),
        ("a=ptime:200\n", 20),
        ("a=ptime:0\n", 20),
    ] {
        assert_eq!(answered(&format!("m=audio 4000 RTP/AVP 0\n{lines}")).unwrap().1.ptime_ms, ms, "{lines}");
    }
    let rtcp = |line: &str| answered(&format!("m=audio 4000 RTP/AVP 0\n{line}")).unwrap().1.remote_rtcp.to_string();
    assert_eq!(rtcp("a=rtcp:53020\n"), "198.51.100.1:53020");
    assert_eq!(rtcp("a=rtcp:53020 IN IP4 198.51.100.7\n"), "198.51.100.7:53020");
    assert_eq!(rtcp("a=rtcp:none\n"), "198.51.100.1:4001");
    assert_eq!(rtcp("a=rtcp-mux\n"), "198.51.100.1:4000");
}

#[test]
fn what_cannot_be_used_is_refused_with_its_reason() {
    let cases = [
        ("m=audio 4000 RTP/AVP 9 18\na=rtpmap:9 G722/8000\n", SdpError::NoCommonCodec),
        ("m=audio 4000 RTP/AVP 0\na=rtpmap:0 L16/44100\n", SdpError::NoCommonCodec),
        ("m=audio 4000 RTP/AVP 96\na=rtpmap:96 telephone-event/8000\n", SdpError::NoCommonCodec),
        ("m=audio 4000 RTP/AVP 300 -1 x\n", SdpError::NoCommonCodec),
        ("m=audio 0 RTP/AVP 0\n", SdpError::NoAudio),
        ("m=audio 4000 RTP/SAVP 0\n", SdpError::NoAudio),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP4 224.1.2.3\n", SdpError::NoAudio),
        ("m=audio 4000 RTP/AVP 0\nc=IN IP4 phone.example\n", SdpError::NoAudio),
        ("m=image 4000 udptl t38\n", SdpError::NoAudio),
        ("", SdpError::NoAudio),
        ("m=audio banana RTP/AVP 0\n", SdpError::Malformed),
    ];
    for (lines, error) in cases {
        assert_eq!(answered(lines).unwrap_err(), error, "{lines}");
        assert_eq!(error.status(), 488);
    }
    let long = sdp(&format!("m=audio 4000 RTP/AVP 0\n{}", "a=x:yyyyyyyyyyyy\n".repeat(4_000)));
    assert_eq!(answer(&long, &local(), &Capabilities::default()).unwrap_err(), SdpError::TooLong);
    let ours = offer(&local(), &Capabilities::default());
    assert_eq!(accept(&ours, &sdp("")).unwrap_err(), SdpError::NotAnAnswer);
    assert_eq!(accept(&ours, &sdp("m=audio 0 RTP/AVP 0\n")).unwrap_err(), SdpError::NoAudio);
    assert_eq!(accept(&ours, &sdp("m=audio 4000 RTP/AVP 18\n")).unwrap_err(), SdpError::NoCommonCodec);
}

#[test]
fn no_garbage_makes_it_panic() {
    let good = sdp(PHONE);
    let mut seed = 1u32;
    for round in 0..3_000 {
        let mut bad = good.clone();
        for _ in 0..round % 7 + 1 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = seed as usize / 7 % bad.len();
            match seed % 3 {
                0 => bad[at] = (seed >> 24) as u8,
                1 if bad.len() > 1 => drop(bad.remove(at)),
                _ => bad.truncate(at.max(1)),
            }
        }
        if let Ok((text, _)) = answer(&bad, &local(), &Capabilities::default()) {
            assert!(sdp_types::Session::parse(&text).is_ok());
        }
    }
}
