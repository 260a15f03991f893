//! `baton serve --supervised`: a small parent that holds the sockets and starts the worker, again at once if it dies.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt};
use rustix::process::{Pid, Signal as Number, kill_process};
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::clock::Clock;
use crate::keeper::passing::{GROUP_MAX, Received, receive, send};
use crate::keeper::{HOLD, PARENT, TAKE, TAKEN};

/// A worker that has lived for as long has come up.
const UP_AFTER: Duration = Duration::from_secs(2);

/// A worker that dies before it has come up this many times in a row has a reason that another start does not cure.
const STARTS_MAX: u32 = 20;

/// How long the parent waits before it starts a worker anew that has not come up.
const PAUSE: Duration = Duration::from_millis(250);

/// Holds sockets and keeps a worker running until it is told to stop.
pub(crate) fn run(config: Option<PathBuf>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => {
            eprintln!("baton: the parent cannot be started: {fault}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(supervise(config)) {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("baton: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

async fn supervise(config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let mut parent = Parent {
        program: std::env::current_exe().context("the path of this program")?,
        config,
        sockets: BTreeMap::new(),
        orders: Orders::new()?,
        clock: Clock::start(),
        starts: 0,
        failed: 0,
    };
    raise_limit();
    loop {
        let began = parent.clock.now().mono;
        let (status, ended) = parent.run_worker().await?;
        if ended || status.success() {
            return Ok(code_of(status));
        }
        let lived = parent.clock.now().mono.since(began);
        parent.failed = if lived < UP_AFTER { parent.failed + 1 } else { 0 };
        // A configuration that is wrong, or a port that is taken, at the very first start: nobody is on the line.
        if parent.starts == 1 && status.code().is_some() && lived < UP_AFTER || parent.failed >= STARTS_MAX {
            return Ok(code_of(status));
        }
        tracing::error!(%status, sockets = parent.sockets.len(), "the worker has died; it is started again");
        if parent.failed > 1 {
            parent.orders.pause().await;
        }
    }
}

/// The parent.
struct Parent {
    program: PathBuf,
    config: Option<PathBuf>,
    /// By what they are and where they are bound: the last one counts.
    sockets: BTreeMap<String, OwnedFd>,
    orders: Orders,
    clock: Clock,
    starts: u32,
    failed: u32,
}

impl Parent {
    /// Runs one worker to its end; says whether that was wanted.
    async fn run_worker(&mut self) -> anyhow::Result<(ExitStatus, bool)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let mut worker = self.start(theirs)?;
        self.give(&ours)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        #[expect(deprecated, reason = "an owned descriptor stays what it is as long as it is watched")]
        let ours = AsyncFd::new(ours)?;
        let (mut ends, mut listens) = (false, true);
        loop {
            tokio::select! {
                status = worker.wait() => return Ok((status.context("the worker's end")?, ends)),
                ready = ours.readable(), if listens => {
                    let mut ready = ready?;
                    match ready.try_io(|way| receive(way.get_ref())) {
                        Ok(Ok(Received::Message { text, sockets })) if text.starts_with(HOLD) => self.hold(sockets),
                        Ok(Ok(Received::Message { text, .. })) => tracing::warn!(text, "the worker says what nobody understands"),
                        Ok(Ok(Received::End)) | Ok(Err(_)) => listens = false,
                        Err(_would_block) => {}
                    }
                }
                order = self.orders.next() => {
                    ends |= order == Order::End;
                    pass_on(&worker, order);
                }
            }
        }
    }

    fn start(&mut self, way: OwnedFd) -> anyhow::Result<Child> {
        self.starts += 1;
        let mut command = Command::new(&self.program);
        command.arg("serve").env(PARENT, "1").stdin(Stdio::from(way));
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        if self.starts > 1 && std::env::var("BATON_SELF_TEST").is_ok_and(|test| test.starts_with("die-")) {
            command.env_remove("BATON_SELF_TEST");
        }
        command.spawn().with_context(|| format!("{} cannot be started", self.program.display()))
    }

    /// Hands everything over that is held.
    fn give(&self, way: &OwnedFd) -> anyhow::Result<()> {
        let all: Vec<BorrowedFd<'_>> = self.sockets.values().map(AsFd::as_fd).collect();
        for group in all.chunks(GROUP_MAX) {
            send(way, TAKE, group).context("the sockets cannot be handed over")?;
        }
        send(way, TAKEN, &[]).context("the sockets cannot be handed over")
    }

    fn hold(&mut self, sockets: Vec<OwnedFd>) {
        for socket in sockets {
            let (kind, address) = (sockopt::socket_type(&socket), rustix::net::getsockname(&socket));
            if let (Ok(kind), Ok(address)) = (kind, address) {
                self.sockets.insert(format!("{kind:?} {address:?}"), socket);
            }
        }
    }
}

fn pass_on(worker: &Child, order: Order) {
    let number = match order {
        Order::End => Number::TERM,
        Order::Swap => Number::USR2,
        Order::Reload => Number::HUP,
    };
    let pid = worker.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(Err(fault)) = pid.map(|pid| kill_process(pid, number)) {
        tracing::error!(%fault, "the worker cannot be told");
    }
}

/// What the parent is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// SIGTERM, SIGINT: the worker ends its calls, and that is all.
    End,
    /// SIGUSR2: the worker leaves its calls to the next one, which is started from the program's path as it is then.
    Swap,
    /// SIGHUP: the worker reads its configuration anew.
    Reload,
}

struct Orders {
    term: Signal,
    int: Signal,
    usr2: Signal,
    hup: Signal,
}

impl Orders {
    fn new() -> anyhow::Result<Orders> {
        let on = |kind| signal(kind).context("signals cannot be listened for");
        Ok(Orders {
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
            usr2: on(SignalKind::user_defined2())?,
            hup: on(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.term.recv() => Order::End,
            _ = self.int.recv() => Order::End,
            _ = self.usr2.recv() => Order::Swap,
            _ = self.hup.recv() => Order::Reload,
        }
    }

    /// Waits a moment, but not if it is told to end.
    async fn pause(&mut self) {
        if let Ok(Order::End) = tokio::time::timeout(PAUSE, self.next()).await {
            std::process::exit(0);
        }
    }
}

/// As many descriptors as the system lets us have: all sockets of all calls are held here too.
fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(fault) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%fault, "the limit of descriptors stays as it is");
    }
}

fn code_of(status: ExitStatus) -> ExitCode {
    status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
}
