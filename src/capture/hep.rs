//! HEP version 3: what Homer and other SIP monitors take in, a datagram for each message.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use baton_sip::Transport;

use super::{Direction, Wire};

/// The payload is SIP.
const PROTOCOL_SIP: u8 = 1;

/// The most of a message that is sent on: what fits into a datagram beside the other chunks, in bytes.
const PAYLOAD_MAX: usize = 64_000;

/// Where messages are sent on to, and what is said about us there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HepSettings {
    /// The collector.
    pub(crate) collector: SocketAddr,
    /// Our number among those that capture.
    pub(crate) agent: u32,
    /// What the collector wants to be shown.
    pub(crate) key: Option<crate::config::Secret>,
    /// Our name.
    pub(crate) node: String,
}

/// Sends messages on.
#[derive(Debug)]
pub(super) struct Hep {
    socket: UdpSocket,
    settings: HepSettings,
}

impl Hep {
    /// Nothing is sent before the first message.
    pub(super) fn open(settings: HepSettings) -> io::Result<Hep> {
        let any: IpAddr = match settings.collector {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_nonblocking(true)?;
        Ok(Hep { socket, settings })
    }

    /// Sends one message on; `call` is what all messages of one call have in common.
    pub(super) fn send(&self, wire: &Wire, call: Option<&str>) -> io::Result<()> {
        self.socket.send_to(&packet(wire, call, &self.settings), self.settings.collector).map(drop)
    }
}

/// The datagram for one message.
fn packet(wire: &Wire, call: Option<&str>, settings: &HepSettings) -> Vec<u8> {
    let (from, to) = match wire.direction {
        Direction::In => (wire.remote, wire.local),
        Direction::Out => (wire.local, wire.remote),
    };
    let micros = u64::try_from(wire.at.wall.as_micros()).unwrap_or(0);
    let mut packet = b"HEP3\0\0".to_vec();
    let family = if from.is_ipv4() { 2 } else { 10 };
    chunk(&mut packet, 1, &[family]);
    chunk(&mut packet, 2, &[protocol(wire.transport)]);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            chunk(&mut packet, 3, &from.octets());
            chunk(&mut packet, 4, &to.octets());
        }
        (from, to) => {
            chunk(&mut packet, 5, &v6(from).octets());
            chunk(&mut packet, 6, &v6(to).octets());
        }
    }
    chunk(&mut packet, 7, &from.port().to_be_bytes());
    chunk(&mut packet, 8, &to.port().to_be_bytes());
    chunk(&mut packet, 9, &((micros / 1_000_000) as u32).to_be_bytes());
    chunk(&mut packet, 10, &((micros % 1_000_000) as u32).to_be_bytes());
    chunk(&mut packet, 11, &[PROTOCOL_SIP]);
    chunk(&mut packet, 12, &settings.agent.to_be_bytes());
    if let Some(key) = &settings.key {
        chunk(&mut packet, 14, key.expose().as_bytes());
    }
    if let Some(call) = call {
        chunk(&mut packet, 17, call.as_bytes());
    }
    chunk(&mut packet, 19, settings.node.as_bytes());
    chunk(&mut packet, 15, &wire.bytes[..wire.bytes.len().min(PAYLOAD_MAX)]);
    let length = (packet.len() as u16).to_be_bytes();
    packet[4..6].copy_from_slice(&length);
    packet
}

/// A chunk of the generic vendor: vendor, type, length with these six bytes, value.
fn chunk(packet: &mut Vec<u8>, kind: u16, value: &[u8]) {
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(&kind.to_be_bytes());
    packet.extend_from_slice(&((value.len() + 6) as u16).to_be_bytes());
    packet.extend_from_slice(value);
}

/// The number of the IP protocol that carried it.
fn protocol(transport: Transport) -> u8 {
    if transport.is_reliable() { 6 } else { 17 }
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests {
    use baton_time::{Mono, Now, Wall};
    use bytes::Bytes;

    use super::*;

    fn wire(direction: Direction, local: &str, remote: &str) -> Wire {
        Wire {
            at: Now { mono: Mono::ZERO, wall: Wall::from_micros(1_700_000_001_000_007) },
            direction,
            transport: Transport::Udp,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
            bytes: Bytes::from_static(b"BYE sip:x SIP/2.0\r\n\r\n"),
        }
    }

    fn settings() -> HepSettings {
        let key = Some(crate::config::Secret::new("hush".to_owned()));
        HepSettings { collector: "127.0.0.1:9060".parse().unwrap(), agent: 2_001, key, node: "baton-1".to_owned() }
    }

    /// Type and value of every chunk.
    fn chunks(packet: &[u8]) -> Vec<(u16, Vec<u8>)> {
        assert_eq!((&packet[..4], usize::from(u16::from_be_bytes([packet[4], packet[5]]))), (b"HEP3".as_slice(), packet.len()));
        let (mut at, mut found) = (6, Vec::new());
        while at < packet.len() {
            let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
            let length = usize::from(word(at + 4));
            found.push((word(at + 2), packet[at + 6..at + length].to_vec()));
            at += length;
        }
        found
    }

    #[test]
    fn a_message_is_told_with_both_ends_the_time_and_the_call() {
        let packet = packet(&wire(Direction::Out, "192.0.2.1:5060", "192.0.2.2:5080"), Some("c_1"), &settings());
        let expected: Vec<(u16, Vec<u8>)> = vec![
            (1, vec![2]),
            (2, vec![17]),
            (3, vec![192, 0, 2, 1]),
            (4, vec![192, 0, 2, 2]),
            (7, 5_060_u16.to_be_bytes().to_vec()),
            (8, 5_080_u16.to_be_bytes().to_vec()),
            (9, 1_700_000_001_u32.to_be_bytes().to_vec()),
            (10, 7_u32.to_be_bytes().to_vec()),
            (11, vec![1]),
            (12, 2_001_u32.to_be_bytes().to_vec()),
            (14, b"hush".to_vec()),
            (17, b"c_1".to_vec()),
            (19, b"baton-1".to_vec()),
            (15, b"BYE sip:x SIP/2.0\r\n\r\n".to_vec()),
        ];
        assert_eq!(chunks(&packet), expected);
    }

    #[test]
    fn what_comes_in_is_from_the_far_end_and_ipv6_has_its_own_chunks() {
        let packet = packet(&wire(Direction::In, "[2001:db8::1]:5060", "[2001:db8::2]:5080"), None, &settings());
        let found = chunks(&packet);
        let of = |kind: u16| found.iter().find(|(known, _)| *known == kind).map(|(_, value)| value.clone());
        assert_eq!(of(1), Some(vec![10]));
        assert_eq!(of(5), Some("2001:db8::2".parse::<Ipv6Addr>().unwrap().octets().to_vec()));
        assert_eq!((of(7), of(3), of(17)), (Some(5_080_u16.to_be_bytes().to_vec()), None, None));
    }

    #[test]
    fn a_long_message_is_cut_so_that_it_fits() {
        let long = Wire { bytes: vec![b'x'; 70_000].into(), ..wire(Direction::In, "127.0.0.1:1", "127.0.0.1:2") };
        assert!(packet(&long, Some("c_1"), &settings()).len() < 65_500);
    }

    #[test]
    fn a_collector_gets_what_was_sent() {
        let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
        collector.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        let hep = Hep::open(HepSettings { collector: collector.local_addr().unwrap(), ..settings() }).unwrap();
        hep.send(&wire(Direction::In, "127.0.0.1:5060", "127.0.0.1:5080"), None).unwrap();
        let mut buffer = [0; 2_048];
        let (length, _) = collector.recv_from(&mut buffer).unwrap();
        assert_eq!(chunks(&buffer[..length]).last().unwrap().1, b"BYE sip:x SIP/2.0\r\n\r\n");
    }
}
