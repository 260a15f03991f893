//! Sockets that outlive the process: somebody else holds them too, the parent of `baton serve --supervised` or the service manager, and gives them
//! back to the process that comes after this one. Both are told in the words of systemd's store of file descriptors.

pub(crate) mod passing;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::UnixDatagram;

use anyhow::Context as _;
use rustix::net::SocketType;
use rustix::net::sockopt;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use passing::{Received, receive, send};

/// Says in the environment that the parent holds sockets, and that the way to it is the standard input: [`FIRST_WORKER`] or [`NEXT_WORKER`].
pub(crate) const PARENT: &str = "BATON_KEEPER";

/// There is no other worker: calls of an earlier one wait.
pub(crate) const FIRST_WORKER: &str = "first";
/// Another worker has the calls, until this one has loaded what it needs.
pub(crate) const NEXT_WORKER: &str = "next";

/// Adds descriptors to the store; a socket that reports an error stays in it.
pub(crate) const HOLD: &str = "FDSTORE=1\nFDNAME=baton\nFDPOLL=0";

/// What the parent says before it hands descriptors over, and after the last ones.
pub(crate) const TAKE: &str = "TAKE";
pub(crate) const TAKEN: &str = "TAKEN";

/// A worker that is to follow another one says that it has loaded what it needs: the other may leave.
pub(crate) const LOADED: &str = "LOADED";
/// A worker says that its calls are on record, and that it does nothing any more but let people hear each other.
pub(crate) const LEFT: &str = "LEFT";
/// The worker that follows says that it has the calls, and is about to let people hear each other: the other one must end.
pub(crate) const FOLLOWS: &str = "FOLLOWS";

/// The first descriptor that a service manager passes on.
const FIRST: i32 = 3;

/// Who holds our sockets beside us.
#[derive(Debug)]
pub(crate) enum Keeper {
    /// Nobody: after the process the ports are bound again.
    Nobody,
    /// The parent, by this socket.
    Parent(OwnedFd),
    /// The service manager, by this socket.
    Manager(UnixDatagram),
}

/// The sockets that an earlier process had bound.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    udp: Vec<(SocketAddr, UdpSocket)>,
    tcp: Vec<(SocketAddr, TcpListener)>,
}

impl Keeper {
    /// Finds out who holds sockets.
    pub(crate) fn find() -> anyhow::Result<Keeper> {
        if std::env::var(PARENT).is_ok() {
            let parent = std::io::stdin().as_fd().try_clone_to_owned().context("the way to the parent is missing")?;
            return Ok(Keeper::Parent(parent));
        }
        match std::env::var("NOTIFY_SOCKET").ok() {
            Some(path) => Ok(Keeper::Manager(connect(&path).context("the service manager cannot be reached")?)),
            None => Ok(Keeper::Nobody),
        }
    }

    /// Whether another worker has the calls until this one says that it has loaded what it needs.
    pub(crate) fn has_another_worker(&self) -> bool {
        matches!(self, Keeper::Parent(_)) && std::env::var(PARENT).is_ok_and(|which| which == NEXT_WORKER)
    }

    /// Takes the sockets that are held; waits until the worker before has left its calls.
    pub(crate) fn take(&self) -> anyhow::Result<Kept> {
        let mut kept = Kept::default();
        match self {
            Keeper::Parent(parent) => {
                take_from_parent(parent, &mut kept).context("the parent's sockets cannot be taken over")?;
            }
            Keeper::Manager(_) | Keeper::Nobody => {
                take_from_manager(&mut kept).context("the service manager's sockets cannot be taken over")?;
            }
        }
        Ok(kept)
    }

    /// Tells the parent how far this worker is; says whether there is one that was told.
    pub(crate) fn say(&self, word: &str) -> bool {
        let Keeper::Parent(parent) = self else { return false };
        let said = send(parent, word, &[]);
        if let Err(fault) = &said {
            tracing::error!(%fault, word, "the parent cannot be told");
        }
        said.is_ok()
    }

    /// Has sockets held. What goes wrong is logged: the daemon runs, but would have to bind these ports again.
    pub(crate) fn hold(&self, sockets: &[BorrowedFd<'_>]) {
        for group in sockets.chunks(passing::GROUP_MAX) {
            let sent = match self {
                Keeper::Nobody => return,
                Keeper::Parent(parent) => send(parent, HOLD, group),
                Keeper::Manager(manager) => send(manager, HOLD, group),
            };
            if let Err(fault) = sent {
                tracing::error!(%fault, "sockets are not held by anybody else");
            }
        }
    }
}

fn connect(path: &str) -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    match path.strip_prefix('@') {
        Some(name) => socket.connect_addr(&std::os::unix::net::SocketAddr::from_abstract_name(name)?)?,
        None => socket.connect(path)?,
    }
    Ok(socket)
}

fn take_from_parent(parent: &OwnedFd, kept: &mut Kept) -> anyhow::Result<()> {
    loop {
        match receive(parent)? {
            Received::Message { text, sockets } if text == TAKE => sockets.into_iter().for_each(|socket| kept.add(socket)),
            Received::Message { text, .. } if text == TAKEN => return Ok(()),
            Received::Message { text, .. } => anyhow::bail!("it says {text:?}"),
            Received::End => anyhow::bail!("it has gone"),
        }
    }
}

/// The convention of `sd_listen_fds(3)`.
fn take_from_manager(kept: &mut Kept) -> anyhow::Result<()> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<i32>().ok());
    let own = getpid().as_raw_nonzero().get();
    let Some(count) = number("LISTEN_FDS").filter(|_| number("LISTEN_PID") == Some(own)) else { return Ok(()) };
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    for inherited in FIRST..FIRST + count {
        let socket = pidfd_getfd(&this, inherited, PidfdGetfdFlags::empty())?;
        kept.add(socket);
        // The copy is closed in programs that we start; the inherited one would not be.
        nix::unistd::close(inherited)?;
    }
    Ok(())
}

impl Kept {
    fn add(&mut self, socket: OwnedFd) {
        match sockopt::socket_type(&socket) {
            Ok(SocketType::DGRAM) => {
                let socket = UdpSocket::from(socket);
                if let Ok(address) = socket.local_addr() {
                    self.udp.push((address, socket));
                }
            }
            Ok(SocketType::STREAM) => {
                let socket = TcpListener::from(socket);
                if let Ok(address) = socket.local_addr() {
                    self.tcp.push((address, socket));
                }
            }
            Ok(_) | Err(_) => tracing::warn!("a descriptor that is no socket of ours was handed over"),
        }
    }

    /// The UDP socket that was bound to this address.
    pub(crate) fn udp(&mut self, address: SocketAddr) -> Option<UdpSocket> {
        let place = self.udp.iter().position(|(bound, _)| *bound == address)?;
        Some(self.udp.swap_remove(place).1)
    }

    /// The listener that was bound to this address.
    pub(crate) fn tcp(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let place = self.tcp.iter().position(|(bound, _)| *bound == address)?;
        Some(self.tcp.swap_remove(place).1)
    }

    /// All UDP sockets of an address with a port in this range.
    pub(crate) fn range(&mut self, address: IpAddr, ports: std::ops::RangeInclusive<u16>) -> Vec<UdpSocket> {
        let all = std::mem::take(&mut self.udp);
        let (ours, others) = all.into_iter().partition(|(bound, _)| bound.ip() == address && ports.contains(&bound.port()));
        self.udp = others;
        let ours: Vec<(SocketAddr, UdpSocket)> = ours;
        ours.into_iter().map(|(_, socket)| socket).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.udp.len() + self.tcp.len()
    }
}
