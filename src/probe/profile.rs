//! What was learnt about a trunk.

use std::net::SocketAddr;
use std::time::Duration;

use baton_sip::wire::{Message, Name};
use baton_sip::{Event, Hop};
use bytes::Bytes;
use serde::Serialize;

/// Everything that a probe has learnt.
#[derive(Debug, Default, Serialize)]
pub(super) struct Profile {
    /// The trunk.
    trunk: String,
    /// Its addresses, the first to be tried first.
    addresses: Vec<String>,
    /// Why nobody could be asked: no connection came up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<String>,
    /// What it said to OPTIONS; nothing if it did not answer.
    pub(super) options: Option<Reply>,
    /// What a call has told.
    pub(super) call: Option<Call>,
}

/// An answer to OPTIONS.
#[derive(Debug, Serialize)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) took_ms: u64,
    pub(super) abilities: Abilities,
}

/// What somebody says of themselves.
#[derive(Debug, Default, Serialize)]
pub(super) struct Abilities {
    /// Methods.
    allow: Vec<String>,
    /// Extensions.
    supported: Vec<String>,
    /// What they call themselves.
    product: Option<String>,
}

/// What a call has told.
#[derive(Debug, Default, Serialize)]
pub(super) struct Call {
    /// INVITE → 100.
    trying_ms: Option<u64>,
    /// INVITE → the first 18x: the post-dial delay.
    ringing_ms: Option<u64>,
    /// Provisional answers in their order; `183 sdp` brings early media.
    provisional: Vec<String>,
    /// INVITE → the final answer.
    answered_ms: Option<u64>,
    /// The final status.
    pub(super) status: u16,
    /// What the answer offers: `PCMA/8000`, `telephone-event/8000` …
    codecs: Vec<String>,
    /// Where the answer wants RTP.
    pub(super) media: Option<SocketAddr>,
    /// What came from there.
    pub(super) sound: Sound,
    abilities: Abilities,
    /// What was said to a REFER.
    pub(super) refer: Option<u16>,
}

/// What was heard.
#[derive(Debug, Default, Serialize)]
pub(super) struct Sound {
    /// RTP packets in two seconds.
    pub(super) packets: u32,
    /// Where the last came from.
    pub(super) from: Option<String>,
    /// Whether that is where the answer wants RTP; `false` asks for `rtp = "signalled"`.
    pub(super) is_symmetric: Option<bool>,
}

/// Whole milliseconds.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Profile {
    pub(super) fn new(trunk: &str, hops: &[Hop]) -> Profile {
        let addresses = hops.iter().map(|hop| format!("{} {}", hop.transport.name(), hop.addr)).collect();
        Profile { trunk: trunk.to_owned(), addresses, ..Profile::default() }
    }

    /// Whether somebody is there.
    pub(super) fn is_there(&self) -> bool {
        self.options.as_ref().is_some_and(|reply| reply.status != 503) || self.call.is_some()
    }

    /// The profile for people.
    pub(super) fn words(&self) -> String {
        let mut lines = vec![format!("{}: {}", self.trunk, self.addresses.join(", "))];
        match &self.options {
            Some(reply) => {
                lines.push(format!("OPTIONS    {} after {} ms", reply.status, reply.took_ms));
                lines.extend(reply.abilities.words());
            }
            None => lines.push(format!("OPTIONS    {}", self.fault.as_deref().unwrap_or("no answer"))),
        }
        lines.extend(self.call.iter().flat_map(Call::words));
        lines.join("\n")
    }
}

impl Abilities {
    pub(super) fn read(message: &Message) -> Abilities {
        let all = |name| message.headers(name).map(str::to_owned).collect();
        let product = message.header(Name::Server).or(message.header(Name::UserAgent)).map(str::to_owned);
        Abilities { allow: all(Name::Allow), supported: all(Name::Supported), product }
    }

    fn words(&self) -> Vec<String> {
        let rows = [
            ("Allow", self.allow.join(", ")),
            ("Supported", self.supported.join(", ")),
            ("Product", self.product.clone().unwrap_or_default()),
        ];
        rows.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| format!("{name:<10} {text}")).collect()
    }
}

impl Call {
    /// Takes in what happens; true once the call is answered or refused.
    pub(super) fn hear(&mut self, event: &Event, at_ms: u64) -> bool {
        #[expect(clippy::wildcard_enum_match_arm, reason = "nothing else happens before a call is answered")]
        match event {
            Event::Trying { .. } => self.trying_ms = Some(at_ms),
            Event::Ringing { status, sdp, .. } => {
                self.ringing_ms = self.ringing_ms.or(Some(at_ms));
                let said = if sdp.is_some() { format!("{status} sdp") } else { status.to_string() };
                if self.provisional.last() != Some(&said) && self.provisional.len() < 16 {
                    self.provisional.push(said);
                }
            }
            Event::Answered { sdp, message, .. } => {
                (self.status, self.answered_ms) = (message.status(), Some(at_ms));
                self.abilities = Abilities::read(message);
                if let Some(sdp) = sdp {
                    (self.codecs, self.media) = described(sdp);
                }
                return true;
            }
            Event::Refused { status, .. } => {
                (self.status, self.answered_ms) = (*status, Some(at_ms));
                return true;
            }
            _ => {}
        }
        false
    }

    fn words(&self) -> Vec<String> {
        let after = |span: Option<u64>| span.map_or_else(|| "never".to_owned(), |span| format!("after {span} ms"));
        let mut lines = vec![
            format!("Ringing    {} ({})", after(self.ringing_ms), self.provisional.join(", ")),
            format!("Answer     {} {}", self.status, after(self.answered_ms)),
        ];
        if !self.codecs.is_empty() {
            lines.push(format!("Codecs     {}", self.codecs.join(", ")));
            let path = match self.sound.is_symmetric {
                Some(true) => "from where the answer says",
                Some(false) => "from elsewhere than the answer says: `rtp = \"signalled\"` may be needed",
                None => "nothing was heard",
            };
            lines.push(format!("RTP        {} packets in 2 s, {path}", self.sound.packets));
        }
        lines.extend(self.refer.map(|status| {
            let verdict = if status < 300 { "it can be referred" } else { "it cannot be referred" };
            format!("REFER      {status}: {verdict}")
        }));
        lines
    }
}

/// The formats of the first stream, and where it is wanted.
fn described(sdp: &Bytes) -> (Vec<String>, Option<SocketAddr>) {
    let text = String::from_utf8_lossy(sdp);
    let value = |start: &str| text.lines().find_map(|line| line.strip_prefix(start)).map(str::trim);
    let codecs =
        text.lines().filter_map(|line| line.strip_prefix("a=rtpmap:")?.split_once(' ')).map(|(_, name)| name.trim().to_owned());
    let codecs: Vec<String> = codecs.take(16).collect();
    let media = value("m=audio ").unwrap_or_default();
    let mut words = media.split(' ');
    let port = words.next().and_then(|port| port.parse::<u16>().ok());
    let bare = words.skip(1).filter_map(|format| match format {
        "0" => Some("PCMU/8000".to_owned()),
        "8" => Some("PCMA/8000".to_owned()),
        _ => None,
    });
    let codecs = if codecs.is_empty() { bare.collect() } else { codecs };
    let ip = value("c=IN ").and_then(|rest| rest.split_once(' ')).and_then(|(_, ip)| ip.parse().ok());
    (codecs, ip.zip(port).map(|(ip, port)| SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_its_codecs_and_where_it_listens() {
        let answer = "v=0\r\nc=IN IP4 192.0.2.9\r\nm=audio 4000 RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n";
        let (codecs, media) = described(&Bytes::from(answer));
        assert_eq!(codecs, ["PCMA/8000", "telephone-event/8000"]);
        assert_eq!(media, Some("192.0.2.9:4000".parse().unwrap()));
        let (codecs, media) = described(&Bytes::from("m=audio x RTP/AVP 0 8"));
        assert_eq!((codecs.join(" ").as_str(), media), ("PCMU/8000 PCMA/8000", None));
        assert_eq!(described(&Bytes::from("\u{0}")), (Vec::new(), None));
    }
}
