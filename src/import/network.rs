//! From packets to what was said in them: links, IP with its fragments, UDP, and TCP put in order.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use baton_sip::wire::{Frame, Framer};

use super::capture::{Packet, Unreadable};

/// Fragments that wait for others at most.
const FRAGMENTS_MAX: usize = 4_096;

/// Bytes of a stream that wait for those before them at most.
const AHEAD_MAX: usize = 1_024 * 1_024;

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// Microseconds since 1970.
    pub(super) at: i64,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

/// Every datagram, and every SIP message of a stream, in the order in which they were whole.
pub(super) fn said(packets: &[Packet<'_>]) -> Result<Vec<Said>, Unreadable> {
    let mut network = Network::default();
    for packet in packets {
        network.packet(packet)?;
    }
    network.said.sort_by_key(|said| said.at);
    Ok(network.said)
}

#[derive(Default)]
struct Network {
    said: Vec<Said>,
    fragments: BTreeMap<(IpAddr, IpAddr, u16, u8), Fragments>,
    streams: BTreeMap<(SocketAddr, SocketAddr), Stream>,
}

/// Pieces of an IPv4 packet by where they stand in it, and how long the whole is once the last one has come.
#[derive(Default)]
struct Fragments {
    pieces: BTreeMap<usize, Vec<u8>>,
    length: Option<usize>,
}

struct Stream {
    next: u32,
    ahead: BTreeMap<u32, Vec<u8>>,
    framer: Framer,
}

/// What stands behind the IP header.
struct Carried<'a> {
    at: i64,
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    bytes: &'a [u8],
}

impl Network {
    fn packet(&mut self, packet: &Packet<'_>) -> Result<(), Unreadable> {
        if let Some(ip) = behind_link(packet)? {
            match ip.first().map(|first| first >> 4) {
                Some(4) => self.v4(packet.at, ip),
                Some(6) => self.v6(packet.at, ip),
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    fn v4(&mut self, at: i64, ip: &[u8]) {
        let Some(head) = ip.first().map(|first| usize::from(first & 0x0f) * 4).filter(|head| *head >= 20) else { return };
        let (Some(length), Some(id), Some(place)) = (short(ip, 2), short(ip, 4), short(ip, 6)) else { return };
        let Some(bytes) = ip.get(head..usize::from(length).min(ip.len())) else { return };
        let address = |at: usize| ip.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
        let (Some(from), Some(to)) = (address(12), address(16)) else { return };
        let (from, to) = (IpAddr::from(Ipv4Addr::from(from)), IpAddr::from(Ipv4Addr::from(to)));
        let (protocol, offset, more) = (ip[9], usize::from(place & 0x1fff) * 8, place & 0x2000 != 0);
        if offset == 0 && !more {
            return self.carried(&Carried { at, from, to, protocol, bytes });
        }
        if self.fragments.len() >= FRAGMENTS_MAX {
            self.fragments.clear();
        }
        let fragments = self.fragments.entry((from, to, id, protocol)).or_default();
        fragments.pieces.insert(offset, bytes.to_vec());
        if !more {
            fragments.length = Some(offset + bytes.len());
        }
        if let Some(whole) = fragments.whole() {
            self.fragments.remove(&(from, to, id, protocol));
            self.carried(&Carried { at, from, to, protocol, bytes: &whole });
        }
    }

    fn v6(&mut self, at: i64, ip: &[u8]) {
        let address = |at: usize| ip.get(at..at + 16).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        let (Some(from), Some(to), Some(length)) = (address(8), address(24), short(ip, 4)) else { return };
        let Some(bytes) = ip.get(40..(40 + usize::from(length)).min(ip.len())) else { return };
        let (from, to) = (Ipv6Addr::from(from).into(), Ipv6Addr::from(to).into());
        self.carried(&Carried { at, from, to, protocol: ip[6], bytes });
    }

    fn carried(&mut self, carried: &Carried<'_>) {
        let Carried { at, bytes, .. } = *carried;
        let (Some(source), Some(target)) = (short(bytes, 0), short(bytes, 2)) else { return };
        let (from, to) = (SocketAddr::new(carried.from, source), SocketAddr::new(carried.to, target));
        match carried.protocol {
            17 => {
                if let Some(payload) = bytes.get(8..) {
                    self.said.push(Said { at, from, to, bytes: payload.to_vec() });
                }
            }
            6 => self.segment(at, from, to, bytes),
            _ => {}
        }
    }

    fn segment(&mut self, at: i64, from: SocketAddr, to: SocketAddr, tcp: &[u8]) {
        let Some(seq) = tcp.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes) else { return };
        let (Some(head), Some(flags)) = (tcp.get(12).map(|word| usize::from(word >> 4) * 4), tcp.get(13)) else { return };
        let Some(payload) = tcp.get(head..) else { return };
        let is_beginning = flags & 0x02 != 0;
        let first = if is_beginning { seq.wrapping_add(1) } else { seq };
        if is_beginning {
            self.streams.remove(&(from, to));
        }
        let fresh = || Stream { next: first, ahead: BTreeMap::new(), framer: Framer::new() };
        let stream = self.streams.entry((from, to)).or_insert_with(fresh);
        for bytes in stream.take(first, payload) {
            self.said.push(Said { at, from, to, bytes });
        }
    }
}

impl Fragments {
    fn whole(&self) -> Option<Vec<u8>> {
        let length = self.length?;
        let mut whole = Vec::with_capacity(length);
        for (offset, piece) in &self.pieces {
            let known = whole.len().checked_sub(*offset)?;
            whole.extend_from_slice(piece.get(known..).unwrap_or_default());
        }
        (whole.len() >= length).then_some(whole)
    }
}

impl Stream {
    /// Takes a segment; yields the messages that are whole now. Bytes that have been seen are not seen again.
    fn take(&mut self, seq: u32, payload: &[u8]) -> Vec<Vec<u8>> {
        if !payload.is_empty() && self.ahead.values().map(Vec::len).sum::<usize>() < AHEAD_MAX {
            self.ahead.insert(seq, payload.to_vec());
        }
        let mut messages = Vec::new();
        loop {
            let known = |seq: u32, bytes: &[u8]| {
                let behind = self.next.wrapping_sub(seq);
                (behind < 1 << 31).then(|| bytes.get(behind as usize..).unwrap_or_default().to_vec())
            };
            let next = self.ahead.iter().find_map(|(seq, bytes)| Some((*seq, known(*seq, bytes)?)));
            let Some((seq, bytes)) = next else { break };
            self.ahead.remove(&seq);
            self.next = self.next.wrapping_add(bytes.len() as u32);
            self.framer.push(&bytes);
        }
        while let Ok(Some(frame)) = self.framer.next() {
            if let Frame::Message(bytes) = frame {
                messages.push(bytes.to_vec());
            }
        }
        messages
    }
}

/// The IP packet behind the header of its link; none where the link carries something else.
fn behind_link<'a>(packet: &Packet<'a>) -> Result<Option<&'a [u8]>, Unreadable> {
    let bytes = packet.bytes;
    let is_ip = |kind: Option<u16>| matches!(kind, Some(0x0800 | 0x86dd));
    Ok(match packet.link {
        101 | 228 | 229 | 12 | 14 => Some(bytes),
        0 | 108 => bytes.get(4..),
        113 => bytes.get(16..).filter(|_| is_ip(short(bytes, 14))),
        276 => bytes.get(20..).filter(|_| is_ip(short(bytes, 0))),
        1 => {
            // IEEE 802.1Q: tags stand in front of the kind of what follows.
            let mut kind = 12;
            while matches!(short(bytes, kind), Some(0x8100 | 0x88a8)) {
                kind += 4;
            }
            bytes.get(kind + 2..).filter(|_| is_ip(short(bytes, kind)))
        }
        link => return Err(Unreadable::Link(link)),
    })
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use baton_time::Wall;

    use super::super::capture;
    use super::*;
    use crate::capture::pcapng::{self, Header};

    fn block(micros: i64, header: Header, payload: &[u8]) -> Vec<u8> {
        let (from, to) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5080".parse().unwrap());
        pcapng::packet(&pcapng::Packet { at: Wall::from_micros(micros), from, to, header, payload, comment: "a comment" })
    }

    fn read(blocks: &[Vec<u8>]) -> Vec<(i64, Vec<u8>)> {
        let file = [pcapng::beginning("x"), blocks.concat()].concat();
        said(&capture::packets(&file).unwrap()).unwrap().into_iter().map(|said| (said.at, said.bytes)).collect()
    }

    #[test]
    fn our_own_files_are_read_back() {
        assert_eq!(read(&[block(7, Header::Udp, b"odd")]), [(7, b"odd".to_vec())]);
    }

    #[test]
    fn a_message_of_a_stream_is_whole_whatever_order_its_segments_come_in() {
        let text = b"BYE sip:x SIP/2.0\r\nContent-Length: 4\r\n\r\nbody";
        let part =
            |at: usize, end: usize, micros: i64| block(micros, Header::Tcp { seq: 100 + at as u32, ack: 1 }, &text[at..end]);
        let all = text.len();
        assert_eq!(read(&[part(0, 10, 1), part(20, all, 2), part(10, 25, 3), part(0, 10, 4)]), [(3, text.to_vec())]);
    }

    #[test]
    fn links_are_taken_off() {
        let file = [pcapng::beginning("x"), block(1, Header::Udp, b"abc")].concat();
        let ip = capture::packets(&file).unwrap()[0].bytes;
        for (link, head) in [
            (1, [&[0; 12][..], &[8, 0]].concat()),
            (1, [&[0; 12][..], &[0x81, 0, 0, 7, 8, 0]].concat()),
            (113, [&[0; 14][..], &[8, 0]].concat()),
            (276, [&[8, 0][..], &[0; 18]].concat()),
            (0, vec![2, 0, 0, 0]),
        ] {
            let bytes = [head, ip.to_vec()].concat();
            let heard = said(&[Packet { at: 1, link, bytes: &bytes }]).unwrap();
            assert_eq!(heard.first().map(|said| said.bytes.as_slice()), Some(b"abc".as_slice()), "link {link}");
        }
        assert_eq!(said(&[Packet { at: 1, link: 147, bytes: b"x" }]), Err(Unreadable::Link(147)));
    }

    #[test]
    fn fragments_are_put_together() {
        let file = [pcapng::beginning("x"), block(1, Header::Udp, &[b'x'; 40])].concat();
        let ip = capture::packets(&file).unwrap()[0].bytes;
        let fragment = |from: usize, end: usize, more: bool| {
            let mut piece = [&ip[..20], &ip[20 + from..20 + end]].concat();
            piece[2..4].copy_from_slice(&((20 + end - from) as u16).to_be_bytes());
            piece[6..8].copy_from_slice(&((from as u16 / 8) | if more { 0x2000 } else { 0 }).to_be_bytes());
            piece
        };
        let (first, last) = (fragment(0, 24, true), fragment(24, 48, false));
        let packet = |bytes| Packet { at: 1, link: 101, bytes };
        for order in [[packet(&first), packet(&last)], [packet(&last), packet(&first)]] {
            let heard = said(&order).unwrap();
            assert_eq!(heard.first().map(|said| said.bytes.as_slice()), Some([b'x'; 40].as_slice()));
        }
    }

    #[test]
    fn what_is_cut_short_is_left_out() {
        let file = [pcapng::beginning("x"), block(1, Header::Tcp { seq: 1, ack: 1 }, b"abc")].concat();
        let ip = capture::packets(&file).unwrap()[0].bytes.to_vec();
        for end in 0..ip.len() {
            said(&[Packet { at: 1, link: 101, bytes: &ip[..end] }]).unwrap();
            said(&[Packet { at: 1, link: 1, bytes: &ip[..end] }]).unwrap();
        }
    }
}
