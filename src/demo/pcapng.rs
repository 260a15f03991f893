//! What the parties saw on the wire, as a pcapng file (draft-ietf-opsawg-pcapng): raw IP packets on loopback, UDP headers and all.

use std::net::{Ipv4Addr, SocketAddr};

use baton_party::Record;
use baton_time::{Mono, Now, Wall};

/// LINKTYPE_IPV4: each packet begins with its IPv4 header.
const LINK_TYPE_IPV4: u16 = 228;

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
    let mut file = section_header();
    file.extend(interface());
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

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = (padded as u32 + 12).to_le_bytes();
    let mut block = Vec::with_capacity(padded + 12);
    block.extend_from_slice(&kind.to_le_bytes());
    block.extend_from_slice(&length);
    block.extend_from_slice(body);
    block.resize(padded + 8, 0);
    block.extend_from_slice(&length);
    block
}

fn section_header() -> Vec<u8> {
    let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    body.extend_from_slice(&1_u16.to_le_bytes());
    body.extend_from_slice(&0_u16.to_le_bytes());
    body.extend_from_slice(&u64::MAX.to_le_bytes());
    block(0x0a0d_0d0a, &body)
}

/// One interface; its timestamps are in microseconds, which is what is meant where nothing is said.
fn interface() -> Vec<u8> {
    let mut body = LINK_TYPE_IPV4.to_le_bytes().to_vec();
    body.extend_from_slice(&0_u16.to_le_bytes());
    body.extend_from_slice(&0_u32.to_le_bytes());
    block(1, &body)
}

fn packet(datagram: &Datagram<'_>, start: Now) -> Vec<u8> {
    let wall: Wall = start.wall + datagram.at.since(start.mono);
    let micros = u64::try_from(wall.as_micros()).unwrap_or(0);
    let ip = ip_packet(datagram);
    let length = (ip.len() as u32).to_le_bytes();
    let mut body = 0_u32.to_le_bytes().to_vec();
    body.extend_from_slice(&((micros >> 32) as u32).to_le_bytes());
    body.extend_from_slice(&(micros as u32).to_le_bytes());
    body.extend_from_slice(&length);
    body.extend_from_slice(&length);
    body.extend_from_slice(&ip);
    block(6, &body)
}

fn ip_packet(datagram: &Datagram<'_>) -> Vec<u8> {
    let (source, target) = (v4(datagram.from), v4(datagram.to));
    let udp_length = (datagram.bytes.len() + 8).min(65_515) as u16;
    let mut ip = vec![0x45, 0];
    ip.extend_from_slice(&(udp_length + 20).to_be_bytes());
    ip.extend_from_slice(&[0, 0, 0x40, 0, 64, 17, 0, 0]);
    ip.extend_from_slice(&source.octets());
    ip.extend_from_slice(&target.octets());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip.extend_from_slice(&datagram.from.port().to_be_bytes());
    ip.extend_from_slice(&datagram.to.port().to_be_bytes());
    ip.extend_from_slice(&udp_length.to_be_bytes());
    ip.extend_from_slice(&[0, 0]); // RFC 768: no checksum was made
    ip.extend_from_slice(&datagram.bytes[..usize::from(udp_length) - 8]);
    ip
}

fn v4(address: SocketAddr) -> Ipv4Addr {
    match address {
        SocketAddr::V4(address) => *address.ip(),
        SocketAddr::V6(_) => Ipv4Addr::LOCALHOST,
    }
}

fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use baton_party::SipSeen;

    use super::*;

    fn record() -> Record {
        let seen = SipSeen {
            at: Mono::from_millis(1_500),
            sent: false,
            local: "127.0.0.1:5090".parse().unwrap(),
            remote: "127.0.0.1:5060".parse().unwrap(),
            bytes: "BYE sip:x SIP/2.0\r\n\r\n".as_bytes().into(),
            title: "BYE".to_owned(),
            again: false,
        };
        Record { sip: vec![seen], ..Record::default() }
    }

    #[test]
    fn blocks_follow_each_other_and_the_packet_is_the_datagram() {
        let start = Now { mono: Mono::from_millis(500), wall: Wall::from_seconds(1_700_000_000) };
        let file = write([&record()], start);
        let mut at = 0;
        let mut kinds = Vec::new();
        while at < file.len() {
            let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            let length = word(at + 4) as usize;
            assert_eq!(word(at + length - 4) as usize, length);
            kinds.push(word(at));
            at += length;
        }
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 6]);
        let ip = &file[28 + 20 + 28..];
        assert_eq!(checksum(&ip[..20]), 0);
        assert_eq!((&ip[12..16], &ip[20..24]), ([127, 0, 0, 1].as_slice(), [0x13, 0xc4, 0x13, 0xe2].as_slice()));
        assert!(ip[28..].starts_with(b"BYE sip:x"));
        let micros = 1_700_000_001_000_000_u64;
        assert_eq!(
            file[28 + 20 + 12..28 + 20 + 20],
            [((micros >> 32) as u32).to_le_bytes(), (micros as u32).to_le_bytes()].concat()
        );
    }
}
