//! Packets as a pcapng file (draft-ietf-opsawg-pcapng): IP without a link layer, each datagram or segment with headers made for it.

use std::net::{IpAddr, SocketAddr};

use baton_time::Wall;

/// LINKTYPE_RAW: each packet begins with its IPv4 or IPv6 header.
const LINK_TYPE_RAW: u16 = 101;

/// The most of a message that fits behind an IPv4 and a UDP header, in bytes.
const PAYLOAD_MAX: usize = 65_507;

/// The option `opt_comment` of a block.
const OPTION_COMMENT: u16 = 1;

/// The option `if_name` of an interface.
const OPTION_NAME: u16 = 2;

/// What stands in front of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Header {
    /// UDP, without a checksum where IPv4 allows that.
    Udp,
    /// TCP: one segment of a stream that was up before and stays up.
    Tcp {
        /// The number of the first byte.
        seq: u32,
        /// How far the other side has been heard.
        ack: u32,
    },
}

/// One packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet<'a> {
    /// When it was seen.
    pub(crate) at: Wall,
    /// From where.
    pub(crate) from: SocketAddr,
    /// To where; of the family of `from`.
    pub(crate) to: SocketAddr,
    /// What carries it.
    pub(crate) header: Header,
    /// What is in it; what does not fit into one packet is cut off.
    pub(crate) payload: &'a [u8],
    /// What a reader is told beside it; nothing where it is empty.
    pub(crate) comment: &'a str,
}

/// How a file begins: the section, and its one interface. Timestamps are in microseconds, which is what is meant where nothing is said.
pub(crate) fn beginning(interface: &str) -> Vec<u8> {
    let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    section.extend_from_slice(&1_u16.to_le_bytes());
    section.extend_from_slice(&0_u16.to_le_bytes());
    section.extend_from_slice(&u64::MAX.to_le_bytes());
    let mut described = LINK_TYPE_RAW.to_le_bytes().to_vec();
    described.extend_from_slice(&0_u16.to_le_bytes());
    described.extend_from_slice(&0_u32.to_le_bytes());
    described.extend(options(OPTION_NAME, interface));
    [block(0x0a0d_0d0a, &section), block(1, &described)].concat()
}

/// The block of one packet.
pub(crate) fn packet(packet: &Packet<'_>) -> Vec<u8> {
    let micros = u64::try_from(packet.at.as_micros()).unwrap_or(0);
    let ip = ip_packet(packet);
    let length = (ip.len() as u32).to_le_bytes();
    let mut body = 0_u32.to_le_bytes().to_vec();
    body.extend_from_slice(&((micros >> 32) as u32).to_le_bytes());
    body.extend_from_slice(&(micros as u32).to_le_bytes());
    body.extend_from_slice(&length);
    body.extend_from_slice(&length);
    body.extend_from_slice(&ip);
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(options(OPTION_COMMENT, packet.comment));
    block(6, &body)
}

/// One option and the end of options; nothing where there is no text.
fn options(code: u16, text: &str) -> Vec<u8> {
    if text.is_empty() {
        return Vec::new();
    }
    let text = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
    let mut options = code.to_le_bytes().to_vec();
    options.extend_from_slice(&(text.len() as u16).to_le_bytes());
    options.extend_from_slice(text);
    options.resize(options.len().next_multiple_of(4), 0);
    options.extend_from_slice(&[0; 4]);
    options
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

fn ip_packet(packet: &Packet<'_>) -> Vec<u8> {
    let payload = &packet.payload[..packet.payload.len().min(PAYLOAD_MAX - 12)];
    let (protocol, mut inner) = match packet.header {
        Header::Udp => (17, udp(packet, payload)),
        Header::Tcp { seq, ack } => (6, tcp(packet, payload, seq, ack)),
    };
    let mut ip = match (packet.from.ip(), packet.to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let mut ip = vec![0x45, 0];
            ip.extend_from_slice(&((inner.len() + 20) as u16).to_be_bytes());
            ip.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0]);
            ip.extend_from_slice(&from.octets());
            ip.extend_from_slice(&to.octets());
            let sum = checksum(&ip);
            ip[10..12].copy_from_slice(&sum.to_be_bytes());
            ip
        }
        (from, to) => {
            let mut ip = vec![0x60, 0, 0, 0];
            ip.extend_from_slice(&(inner.len() as u16).to_be_bytes());
            ip.extend_from_slice(&[protocol, 64]);
            ip.extend_from_slice(&v6(from));
            ip.extend_from_slice(&v6(to));
            // RFC 8200 §8.1: here a checksum is no choice. It is over both addresses, the length, the protocol and the rest.
            let mut covered = ip[8..40].to_vec();
            covered.extend_from_slice(&(inner.len() as u32).to_be_bytes());
            covered.extend_from_slice(&[0, 0, 0, protocol]);
            covered.extend_from_slice(&inner);
            let place = if protocol == 17 { 6 } else { 16 };
            inner[place..place + 2].copy_from_slice(&checksum(&covered).to_be_bytes());
            ip
        }
    };
    ip.extend_from_slice(&inner);
    ip
}

fn udp(packet: &Packet<'_>, payload: &[u8]) -> Vec<u8> {
    let mut udp = packet.from.port().to_be_bytes().to_vec();
    udp.extend_from_slice(&packet.to.port().to_be_bytes());
    udp.extend_from_slice(&((payload.len() + 8) as u16).to_be_bytes());
    udp.extend_from_slice(&[0, 0]); // RFC 768: no checksum was made
    udp.extend_from_slice(payload);
    udp
}

fn tcp(packet: &Packet<'_>, payload: &[u8], seq: u32, ack: u32) -> Vec<u8> {
    let mut tcp = packet.from.port().to_be_bytes().to_vec();
    tcp.extend_from_slice(&packet.to.port().to_be_bytes());
    tcp.extend_from_slice(&seq.to_be_bytes());
    tcp.extend_from_slice(&ack.to_be_bytes());
    tcp.extend_from_slice(&[0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]); // five words long, PSH and ACK, window; no checksum, no urgency
    tcp.extend_from_slice(payload);
    tcp
}

fn v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// RFC 1071
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.fold(0, |sum, word| sum.wrapping_add(word));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(from: &str, to: &str, header: Header, payload: &'a [u8]) -> Packet<'a> {
        let at = Wall::from_micros(1_700_000_001_000_000);
        Packet { at, from: from.parse().unwrap(), to: to.parse().unwrap(), header, payload, comment: "" }
    }

    fn kinds(file: &[u8]) -> Vec<u32> {
        let (mut at, mut kinds) = (0, Vec::new());
        while at < file.len() {
            let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            let length = word(at + 4) as usize;
            assert_eq!((word(at + length - 4) as usize, length % 4), (length, 0));
            kinds.push(word(at));
            at += length;
        }
        kinds
    }

    #[test]
    fn blocks_follow_each_other_and_the_packet_is_the_datagram() {
        let one = seen("127.0.0.1:5060", "127.0.0.1:5090", Header::Udp, b"BYE sip:x SIP/2.0\r\n\r\n");
        let file = [beginning("baton"), packet(&one), packet(&Packet { comment: "was under TLS", ..one })].concat();
        assert_eq!(kinds(&file), [0x0a0d_0d0a, 1, 6, 6]);
        let block = packet(&one);
        let micros = 1_700_000_001_000_000_u64;
        assert_eq!(block[12..20], [((micros >> 32) as u32).to_le_bytes(), (micros as u32).to_le_bytes()].concat());
        let ip = &block[28..];
        assert_eq!(checksum(&ip[..20]), 0);
        assert_eq!((&ip[12..16], &ip[20..24]), ([127, 0, 0, 1].as_slice(), [0x13, 0xc4, 0x13, 0xe2].as_slice()));
        assert!(ip[28..].starts_with(b"BYE sip:x"));
    }

    #[test]
    fn a_segment_says_where_in_its_stream_it_stands() {
        let header = Header::Tcp { seq: 7, ack: 9 };
        let ip = ip_packet(&seen("127.0.0.1:5060", "127.0.0.1:5090", header, b"x"));
        assert_eq!((ip[9], &ip[24..32], ip[40]), (6, [0, 0, 0, 7, 0, 0, 0, 9].as_slice(), b'x'));
    }

    #[test]
    fn ipv6_has_the_checksum_that_it_demands() {
        for (header, protocol) in [(Header::Udp, 17), (Header::Tcp { seq: 1, ack: 1 }, 6)] {
            let ip = ip_packet(&seen("[2001:db8::1]:5060", "[2001:db8::2]:5060", header, b"odd"));
            assert_eq!((ip[0], ip[6]), (0x60, protocol));
            let mut covered = ip[8..40].to_vec();
            covered.extend_from_slice(&((ip.len() - 40) as u32).to_be_bytes());
            covered.extend_from_slice(&[0, 0, 0, protocol]);
            covered.extend_from_slice(&ip[40..]);
            assert_eq!(checksum(&covered), 0);
        }
    }

    #[test]
    fn what_fits_into_no_packet_is_cut_off() {
        let big = vec![b'x'; 80_000];
        let ip = ip_packet(&seen("127.0.0.1:1", "127.0.0.1:2", Header::Udp, &big));
        assert_eq!(usize::from(u16::from_be_bytes([ip[2], ip[3]])), ip.len());
    }
}
