//! What the parties saw on the wire, as a pcapng file.

use std::net::SocketAddr;

use baton_party::Record;
use baton_time::{Mono, Now};

use crate::capture::pcapng::{self, Header, Packet};

/// One datagram.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Datagram<'a> {
    at: Mono,
    from: SocketAddr,
    to: SocketAddr,
    bytes: &'a [u8],
}

/// Writes everything that the parties sent and received, in the order of time; `start` says what the clocks read together.
pub(crate) fn write<'a>(records: impl IntoIterator<Item = &'a Record>, start: Now) -> Vec<u8> {
    let mut datagrams: Vec<Datagram<'a>> = records.into_iter().flat_map(datagrams).collect();
    datagrams.sort();
    let mut file = pcapng::beginning("loopback");
    for datagram in &datagrams {
        file.extend(packet(datagram, start));
    }
    file
}

fn datagrams(record: &Record) -> impl Iterator<Item = Datagram<'_>> {
    let sip = record.sip.iter().map(|seen| directed(seen.at, seen.sent, seen.local, seen.remote, &seen.bytes));
    let out = record.rtp_sent.iter().map(|seen| directed(seen.at, true, seen.local, seen.remote, &seen.bytes));
    let back = record.rtp_received.iter().map(|seen| directed(seen.at, false, seen.local, seen.remote, &seen.bytes));
    sip.chain(out).chain(back)
}

fn directed(at: Mono, sent: bool, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) -> Datagram<'_> {
    let (from, to) = if sent { (local, remote) } else { (remote, local) };
    Datagram { at, from, to, bytes }
}

fn packet(datagram: &Datagram<'_>, start: Now) -> Vec<u8> {
    let at = start.wall + datagram.at.since(start.mono);
    pcapng::packet(&Packet {
        at,
        from: datagram.from,
        to: datagram.to,
        header: Header::Udp,
        payload: datagram.bytes,
        comment: "",
    })
}

#[cfg(test)]
mod tests {
    use baton_party::SipSeen;
    use baton_time::Wall;

    use super::*;

    fn sip(at: Mono) -> SipSeen {
        SipSeen {
            at,
            sent: false,
            local: "127.0.0.1:5090".parse().unwrap(),
            remote: "127.0.0.1:5060".parse().unwrap(),
            bytes: "BYE sip:x SIP/2.0\r\n\r\n".as_bytes().into(),
            title: "BYE".to_owned(),
            again: false,
        }
    }

    #[test]
    fn packets_of_all_parties_are_in_the_order_of_time() {
        let late = Record { sip: vec![sip(Mono::from_millis(1_500))], ..Record::default() };
        let early = Record { sip: vec![SipSeen { sent: true, ..sip(Mono::from_millis(700)) }], ..Record::default() };
        let start = Now { mono: Mono::from_millis(500), wall: Wall::from_seconds(1_700_000_000) };
        let there = Packet {
            at: Wall::from_micros(1_700_000_000_200_000),
            from: "127.0.0.1:5090".parse().unwrap(),
            to: "127.0.0.1:5060".parse().unwrap(),
            header: Header::Udp,
            payload: b"BYE sip:x SIP/2.0\r\n\r\n",
            comment: "",
        };
        let back = Packet { at: Wall::from_micros(1_700_000_001_000_000), from: there.to, to: there.from, ..there };
        let expected = [pcapng::beginning("loopback"), pcapng::packet(&there), pcapng::packet(&back)].concat();
        assert_eq!(write([&late, &early], start), expected);
    }
}
