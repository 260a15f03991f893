//! The few words of a message that those who look on need; read without judging the rest.

/// How far into a message its headers are looked for, in bytes.
const LOOK_MAX: usize = 16 * 1_024;

/// What a message is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peek<'a> {
    /// `INVITE`, or `200 INVITE`.
    pub(super) title: String,
    /// Its Call-ID; empty where it has none.
    pub(super) call_id: &'a str,
    /// Our own id of the call, where the message names it.
    pub(super) call: Option<&'a str>,
}

/// Looks at a message; none where it does not begin as SIP does.
pub(super) fn peek(bytes: &[u8]) -> Option<Peek<'_>> {
    let head = &bytes[..bytes.len().min(LOOK_MAX)];
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| std::str::from_utf8(line).unwrap_or("").trim_end());
    let first = lines.next()?;
    let (mut call_id, mut cseq, mut call) = ("", "", None);
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.trim_end() {
            name if name.eq_ignore_ascii_case("call-id") || name.eq_ignore_ascii_case("i") => call_id = value.trim(),
            name if name.eq_ignore_ascii_case("cseq") => cseq = value.trim(),
            name if name.eq_ignore_ascii_case("x-baton-call") => call = Some(value.trim()),
            _ => {}
        }
    }
    let title = match first.strip_prefix("SIP/2.0 ") {
        Some(status) => {
            let method = cseq.split_whitespace().nth(1).unwrap_or_default();
            format!("{} {method}", status.get(..3)?).trim_end().to_owned()
        }
        None => first.strip_suffix(" SIP/2.0")?.split(' ').next()?.to_owned(),
    };
    Some(Peek { title, call_id, call })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_responses_are_told_by_what_they_are_about() {
        let request = b"INVITE sip:a@b SIP/2.0\r\nCALL-ID : 7@x\r\nX-Baton-Call: c_1\r\n\r\nCall-ID: in the body\r\n";
        assert_eq!(peek(request), Some(Peek { title: "INVITE".to_owned(), call_id: "7@x", call: Some("c_1") }));
        let response = b"SIP/2.0 180 Ringing\r\ni: 7@x\r\nCSeq: 1 INVITE\r\n\r\n";
        assert_eq!(peek(response), Some(Peek { title: "180 INVITE".to_owned(), call_id: "7@x", call: None }));
    }

    #[test]
    fn what_is_no_sip_is_about_nothing() {
        for bytes in [b"\r\n\r\n".as_slice(), b"", b"GET / HTTP/1.1\r\n\r\n", b"SIP/2.0 1", &[0xff; 40]] {
            assert_eq!(peek(bytes), None);
        }
        assert_eq!(peek(b"SIP/2.0 200").map(|peek| peek.title), Some("200".to_owned()));
    }
}
