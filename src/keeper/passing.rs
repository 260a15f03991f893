//! Descriptors on their way from one process to another: `SCM_RIGHTS`.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// How many descriptors go with one message; the kernel takes 253.
pub(crate) const GROUP_MAX: usize = 128;

/// The longest text of a message, in octets.
const TEXT_MAX: usize = 4_096;

/// What has come.
#[derive(Debug)]
pub(crate) enum Received {
    /// A message with the descriptors that belong to it.
    Message {
        /// What it says.
        text: String,
        /// What came with it.
        sockets: Vec<OwnedFd>,
    },
    /// The other side is gone.
    End,
}

/// Sends a message with at most [`GROUP_MAX`] descriptors.
pub(crate) fn send(way: impl AsFd, text: &str, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(GROUP_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one message"));
    }
    let sent = rustix::io::retry_on_intr(|| sendmsg(&way, &[IoSlice::new(text.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL));
    sent.map(drop).map_err(io::Error::from)
}

/// Receives one message.
pub(crate) fn receive(way: impl AsFd) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(GROUP_MAX * 2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut text = [0; TEXT_MAX];
    let received =
        rustix::io::retry_on_intr(|| recvmsg(&way, &mut [IoSliceMut::new(&mut text)], &mut ancillary, RecvFlags::CMSG_CLOEXEC));
    let length = received?.bytes;
    let mut sockets = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            sockets.extend(passed);
        }
    }
    if length == 0 {
        return Ok(Received::End);
    }
    Ok(Received::Message { text: String::from_utf8_lossy(&text[..length]).into_owned(), sockets })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    #[test]
    fn a_socket_that_was_passed_on_has_its_port_and_what_waits_there() {
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        send(&one, "here", &[socket.as_fd()]).unwrap();
        drop(socket);
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"hello", address).unwrap();
        let Received::Message { text, sockets } = receive(&other).unwrap() else { panic!("a message") };
        assert_eq!(text, "here");
        let [passed] = <[OwnedFd; 1]>::try_from(sockets).unwrap();
        let passed = UdpSocket::from(passed);
        passed.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(passed.recv(&mut buffer).unwrap(), 5);
        assert_eq!(passed.local_addr().unwrap(), address);
        drop(one);
        assert!(matches!(receive(&other).unwrap(), Received::End));
    }
}
