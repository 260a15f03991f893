//! A phone's socket, read and written in batches: a load tool that asks the kernel once for each datagram takes the processor from what it measures.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use baton_time::Mono;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg};
use nix::sys::time::TimeSpec;
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};

use crate::clock::Clock;
use crate::demo::port::{DATAGRAM_BYTES_MAX, Port, arrival, stamp};

/// How many datagrams are read or sent with one question to the kernel.
const BATCH: usize = 32;
/// Bytes that may wait at each phone: this tool is not to be what loses a datagram.
pub(super) const RECEIVE_BUFFER: usize = 4 << 20;

/// One phone.
pub(super) struct Phone {
    port: Port,
    envelopes: MultiHeaders<SockaddrIn>,
    room: Box<[u8]>,
    /// How long what was read last is, and when the kernel had it.
    came: Vec<(usize, Mono)>,
}

impl Phone {
    /// Takes a port.
    pub(super) fn at(port: Port) -> io::Result<Phone> {
        set_socket_recv_buffer_size(&port, RECEIVE_BUFFER)?;
        let room = vec![0; DATAGRAM_BYTES_MAX * BATCH].into_boxed_slice();
        Ok(Phone { port, envelopes: envelopes(), room, came: Vec::with_capacity(BATCH) })
    }

    /// Its address.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.port.address()
    }

    /// Reads what waits, a batch at the most; see [`Phone::came`].
    pub(super) fn read(&mut self, clock: Clock) {
        let mut stamps = [None; BATCH];
        let mut pieces = self.room.chunks_exact_mut(DATAGRAM_BYTES_MAX).map(|piece| [IoSliceMut::new(piece)]).collect::<Vec<_>>();
        self.came.clear();
        let flags = MsgFlags::MSG_DONTWAIT;
        let Ok(received) = recvmmsg(self.port.as_fd().as_raw_fd(), &mut self.envelopes, pieces.iter_mut(), flags, None) else {
            return;
        };
        let now = clock.now();
        for (one, kept) in received.zip(&mut stamps) {
            *kept = one.cmsgs().ok().and_then(|mut told| told.find_map(stamp));
            self.came.push((one.bytes, arrival(now, *kept)));
        }
        // An envelope has as much room for a stamp as the last one needed: none, where the system does not stamp yet.
        if stamps.iter().take(self.came.len()).any(Option::is_none) {
            self.envelopes = envelopes();
        }
    }

    /// What was read last: each datagram, and when the kernel had it.
    pub(super) fn came(&self) -> impl Iterator<Item = (&[u8], Mono)> {
        let pieces = self.room.chunks_exact(DATAGRAM_BYTES_MAX);
        self.came.iter().zip(pieces).map(|((length, at), piece)| (&piece[..(*length).min(piece.len())], *at))
    }
}

impl AsFd for Phone {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.as_fd()
    }
}

fn envelopes() -> MultiHeaders<SockaddrIn> {
    MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(TimeSpec)))
}

/// Messages that are to leave, one after the other in one text that is used again.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Outbox {
    /// Adds a message, which `write` puts at the end of the text.
    pub(super) fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.text);
        self.ends.push(self.text.len());
    }

    /// Sends all of them from this phone, and says how many there were. What the system does not take is lost, as in a network.
    pub(super) fn leave(&mut self, phone: &Phone, to: SocketAddr) -> usize {
        let count = self.ends.len();
        if count == 1 {
            phone.port.send(to, &self.text);
        } else if count > 1 {
            self.leave_together(phone, to);
        }
        self.text.clear();
        self.ends.clear();
        count
    }

    fn leave_together(&self, phone: &Phone, to: SocketAddr) {
        let to = SocketAddrAny::from(to);
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        let pieces: Vec<[IoSlice<'_>; 1]> =
            begins.zip(&self.ends).map(|(begin, end)| [IoSlice::new(&self.text[begin..*end])]).collect();
        let mut beside: Vec<SendAncillaryBuffer<'_, '_, '_>> = pieces.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut letters: Vec<MMsgHdr<'_>> =
            pieces.iter().zip(&mut beside).map(|(piece, beside)| MMsgHdr::new_with_addr(&to, piece, beside)).collect();
        let mut first = 0;
        while let Some(rest) = letters.get_mut(first..).filter(|rest| !rest.is_empty()) {
            let batch = rest.len().min(BATCH);
            first += match sendmmsg(&phone.port, &mut rest[..batch], SendFlags::DONTWAIT) {
                Ok(sent) => sent.max(1),
                Err(error) => {
                    tracing::debug!(%error, "a datagram did not leave");
                    1
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_sent_together_comes_whole_and_in_its_order() {
        const SENT: usize = 3 * BATCH + 5;
        let clock = Clock::start();
        let (one, mut other) = (Phone::at(Port::any().unwrap()).unwrap(), Phone::at(Port::any().unwrap()).unwrap());
        let mut outbox = Outbox::default();
        for number in 0..SENT {
            outbox.add(|text| text.extend_from_slice(&vec![b'x'; number + 1]));
        }
        let before = clock.now().mono;
        assert_eq!(outbox.leave(&one, other.address().unwrap()), SENT);
        let after = clock.now().mono;
        let mut lengths = Vec::new();
        for _ in 0..SENT {
            other.read(clock);
            // The kernel may begin to stamp after that; then what is told is when it was read.
            assert!(
                other.came().all(|(_, at)| at + Duration::from_millis(2) >= before && at.since(after) < Duration::from_secs(60))
            );
            lengths.extend(other.came().map(|(bytes, _)| bytes.len()));
        }
        assert_eq!(lengths, (1..=SENT).collect::<Vec<_>>());
        assert_eq!(outbox.leave(&one, other.address().unwrap()), 0);
        other.read(clock);
        assert_eq!(other.came().count(), 0);
    }

    #[test]
    fn stamps_are_read_also_when_the_first_datagrams_had_none() {
        const TRIES: usize = 200; // Linux begins to stamp a little after it was asked to.
        let clock = Clock::start();
        let (one, mut other) = (Port::any().unwrap(), Phone::at(Port::any().unwrap()).unwrap());
        let is_stamped = (0..TRIES).any(|_| {
            one.send(other.address().unwrap(), b"hello");
            let after = clock.now().mono;
            std::thread::park_timeout(Duration::from_millis(20));
            other.read(clock);
            other.came().any(|(bytes, at)| bytes == b"hello" && at <= after + Duration::from_millis(2))
        });
        assert!(is_stamped);
    }
}
