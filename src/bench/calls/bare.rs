//! What the machine takes for a call's datagrams and wake-ups alone: the same calls through a process that sends each datagram on as it came. It knows nothing
//! of SIP, has no timers, keeps nothing and writes nothing, so whatever carries calls from one phone to another over UDP costs at least that.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::process::{Signal, set_parent_process_death_signal};

use super::load::{Load, Plan};
use super::phone::RECEIVE_BUFFER;
use super::report::Rate;
use super::{WARM_UP, measured};
use crate::bench::setting::Addresses;
use crate::clock::Clock;
use crate::precedence;

/// What `baton bench forward` is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ForwardArgs {
    /// Where datagrams come to
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: SocketAddr,
    /// Whoever is not this one is the caller
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) callee: SocketAddr,
}

/// The longest datagram that is sent on, in bytes.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Sends on until the process ends: with the one that has started it, at the latest.
pub(in crate::bench) fn forward(args: &ForwardArgs) -> anyhow::Result<bool> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("to end with whoever has started this")?;
    precedence::set(precedence::LIVE);
    let mut forwarder = Forwarder::open(args.listen, args.callee).with_context(|| args.listen.to_string())?;
    let mut told = io::stdout().lock();
    writeln!(told, "{}", args.listen)?;
    told.flush()?;
    loop {
        forwarder.step()?;
    }
}

/// One socket between two phones.
struct Forwarder {
    socket: UdpSocket,
    callee: SocketAddr,
    /// Whoever else has sent something last.
    caller: Option<SocketAddr>,
    room: Box<[u8]>,
}

impl Forwarder {
    fn open(listen: SocketAddr, callee: SocketAddr) -> io::Result<Forwarder> {
        let socket = UdpSocket::bind(listen)?;
        socket.set_nonblocking(true)?;
        set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
        Ok(Forwarder { socket, callee, caller: None, room: vec![0; DATAGRAM_BYTES_MAX].into_boxed_slice() })
    }

    /// Waits for a datagram and sends it to the other side, if that is known. Three questions to the kernel.
    fn step(&mut self) -> io::Result<()> {
        let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN)];
        poll(&mut fds, None)?;
        let Ok((length, from)) = self.socket.recv_from(&mut self.room) else { return Ok(()) };
        let to = if from == self.callee { self.caller } else { Some(self.callee) };
        if from != self.callee {
            self.caller = Some(from);
        }
        if let Some(to) = to
            && let Err(error) = self.socket.send_to(&self.room[..length], to)
        {
            tracing::debug!(%error, "a datagram did not leave");
        }
        Ok(())
    }
}

/// The forwarder as a process of its own, which ends with this.
struct Bare(Child);

impl Bare {
    fn start(listen: SocketAddr, callee: SocketAddr) -> anyhow::Result<Bare> {
        let program = std::env::current_exe().context("this program")?;
        let mut command = Command::new(program);
        command.args(["bench", "forward", "--listen", &listen.to_string(), "--callee", &callee.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut bare = Bare(command.spawn().context("the forwarder")?);
        let mut told = String::new();
        let output = bare.0.stdout.take().context("the forwarder's output")?;
        BufReader::new(output).read_line(&mut told).context("the forwarder's output")?;
        ensure!(told.trim_end() == listen.to_string(), "the forwarder did not begin");
        Ok(bare)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            tracing::debug!(%error, "the forwarder");
        }
    }
}

/// Makes the calls of a plan through a forwarder.
pub(super) fn rate_of(plan: Plan) -> anyhow::Result<Rate> {
    let at = Addresses::wide()?.sip;
    let mut load = Load::open(Clock::start(), at).context("the phones' sockets")?;
    let bare = Bare::start(at, load.callee())?;
    load.run(WARM_UP);
    measured(bare.0.id(), &mut load, plan)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    /// A phone whose patience is long, but has an end.
    fn phone() -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        socket
    }

    fn heard(phone: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut room = [0; 64];
        let (length, from) = phone.recv_from(&mut room).unwrap();
        (room[..length].to_vec(), from)
    }

    #[test]
    fn each_datagram_goes_to_the_other_phone_as_it_came() {
        let (caller, callee, later) = (phone(), phone(), phone());
        let mut forwarder = Forwarder::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), callee.local_addr().unwrap()).unwrap();
        let at = forwarder.socket.local_addr().unwrap();
        callee.send_to(b"nobody is there yet", at).unwrap();
        forwarder.step().unwrap();
        for (asking, text) in [(&caller, b"INVITE"), (&caller, b"ACK..."), (&later, b"INVITE")] {
            asking.send_to(text, at).unwrap();
            forwarder.step().unwrap();
            assert_eq!(heard(&callee), (text.to_vec(), at));
            callee.send_to(b"180", at).unwrap();
            callee.send_to(b"", at).unwrap();
            forwarder.step().unwrap();
            forwarder.step().unwrap();
            assert_eq!((heard(asking), heard(asking)), ((b"180".to_vec(), at), (Vec::new(), at)));
        }
        caller.set_nonblocking(true).unwrap();
        assert_eq!(caller.recv_from(&mut [0; 64]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
