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
use crate::keeper::{FIRST_WORKER, FOLLOWS, HOLD, LEFT, LOADED, NEXT_WORKER, PARENT, TAKE, TAKEN};

/// A worker that has lived for as long has come up.
const UP_AFTER: Duration = Duration::from_secs(2);

/// A worker that dies before it has come up this many times in a row has a reason that another start does not cure.
const STARTS_MAX: u32 = 20;

/// How long the parent waits before it starts a worker anew that has not come up.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a worker that is to follow another one may take until it has the calls.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(30);

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
        ends: false,
    };
    raise_limit();
    let mut worker = parent.begin()?;
    loop {
        let began = parent.clock.now().mono;
        let status = match parent.follow(&mut worker).await? {
            End::Followed(next) => {
                worker = *next;
                parent.failed = 0;
                continue;
            }
            End::Gone(status) => status,
        };
        if parent.ends || status.success() {
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
        worker = parent.begin()?;
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
    /// It was told to end, and its worker, too.
    ends: bool,
}

/// A worker, and the way to it.
struct Worker {
    process: Child,
    way: AsyncFd<OwnedFd>,
    /// It says nothing any more.
    is_mute: bool,
}

/// What has become of a worker.
enum End {
    /// It is gone.
    Gone(ExitStatus),
    /// Another one has its calls.
    Followed(Box<Worker>),
}

/// What a worker says.
#[derive(Debug)]
enum Said {
    /// These are to be held.
    Hold(Vec<OwnedFd>),
    /// It has loaded what it needs.
    Loaded,
    /// Its calls are on record.
    Left,
    /// It has the calls.
    Follows,
    /// Something that nobody understands, or nothing any more.
    Nothing,
}

/// How far a worker has come that is to follow another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It loads what it needs; the other one has the calls.
    Loading,
    /// The other one is writing down where its calls stand.
    Leaving,
    /// It takes them up; by the other one people still hear each other.
    Taking,
}

impl Parent {
    /// Starts a worker that finds everything waiting.
    fn begin(&mut self) -> anyhow::Result<Worker> {
        let worker = self.start(FIRST_WORKER)?;
        self.give(&worker)?;
        Ok(worker)
    }

    /// Listens to a worker and passes orders on, until it is gone or another one has its calls.
    async fn follow(&mut self, worker: &mut Worker) -> anyhow::Result<End> {
        loop {
            let order = tokio::select! {
                status = worker.process.wait() => return Ok(End::Gone(status.context("the worker's end")?)),
                said = hear(&worker.way, worker.is_mute) => {
                    self.heed(worker, said?);
                    continue;
                }
                order = self.orders.next() => order,
            };
            match order {
                Order::Swap if self.ends => {}
                Order::Swap => {
                    if let Some(next) = self.swap(worker).await? {
                        return Ok(End::Followed(Box::new(next)));
                    }
                }
                Order::End | Order::Reload => self.pass_on(worker, order),
            }
        }
    }

    /// What a worker says while nobody follows it.
    fn heed(&mut self, worker: &mut Worker, said: Option<Said>) {
        match said {
            Some(Said::Hold(sockets)) => self.hold(sockets),
            // Somebody else told it to leave: another one is started as soon as it is gone.
            Some(Said::Left) => end(&mut worker.process),
            Some(Said::Loaded | Said::Follows | Said::Nothing) => {}
            None => worker.is_mute = true,
        }
    }

    /// Starts another worker beside this one. It loads what it needs, then this one leaves its calls, the other one takes them up, and only when it
    /// has them this one ends: nobody is without sound meanwhile. None where it does not come to that; then this worker has the calls, or is gone.
    async fn swap(&mut self, old: &mut Worker) -> anyhow::Result<Option<Worker>> {
        let mut next = self.start(NEXT_WORKER)?;
        let mut stage = Stage::Loading;
        let mut patience = tokio::time::interval(FOLLOWS_WITHIN);
        patience.tick().await; // the first one is now
        loop {
            tokio::select! {
                status = next.process.wait() => {
                    tracing::error!(?stage, status = %status.context("the next worker's end")?, "the next worker does not come up");
                    self.stay(old, stage);
                    return Ok(None);
                }
                status = old.process.wait() => {
                    tracing::info!(?stage, status = %status.context("the worker's end")?, "the worker is gone; the next one follows");
                    if stage != Stage::Taking {
                        self.give(&next)?;
                    }
                    return Ok(Some(next));
                }
                said = hear(&next.way, next.is_mute) => match said? {
                    Some(Said::Hold(sockets)) => self.hold(sockets),
                    Some(Said::Loaded) if stage == Stage::Loading => {
                        self.pass_on(old, Order::Swap);
                        stage = Stage::Leaving;
                    }
                    Some(Said::Follows) if stage == Stage::Taking => {
                        end(&mut old.process);
                        tracing::info!(sockets = self.sockets.len(), "the next worker has the calls");
                        old.process.wait().await.context("the worker's end")?;
                        return Ok(Some(next));
                    }
                    Some(Said::Loaded | Said::Follows | Said::Left | Said::Nothing) => {}
                    None => next.is_mute = true,
                },
                said = hear(&old.way, old.is_mute) => match said? {
                    Some(Said::Hold(sockets)) => self.hold(sockets),
                    Some(Said::Left) => {
                        self.give(&next)?;
                        stage = Stage::Taking;
                    }
                    Some(Said::Loaded | Said::Follows | Said::Nothing) => {}
                    None => old.is_mute = true,
                },
                order = self.orders.next() => match (order, stage) {
                    (Order::Swap, _) => {}
                    (Order::Reload | Order::End, Stage::Taking) => self.pass_on(&next, order),
                    (Order::Reload, Stage::Loading | Stage::Leaving) => self.pass_on(old, order),
                    (Order::End, Stage::Loading | Stage::Leaving) => {
                        end(&mut next.process);
                        self.pass_on(old, order);
                        return Ok(None);
                    }
                },
                _ = patience.tick() => {
                    tracing::error!(?stage, "the next worker is not ready in time");
                    end(&mut next.process);
                    self.stay(old, stage);
                    return Ok(None);
                }
            }
        }
    }

    /// Nobody follows: a worker that still has its calls goes on, one that has left them ends, so that another can take them up.
    fn stay(&self, old: &mut Worker, stage: Stage) {
        match stage {
            Stage::Loading => tracing::warn!("the worker that has the calls goes on"),
            Stage::Leaving | Stage::Taking => end(&mut old.process),
        }
    }

    fn start(&mut self, which: &str) -> anyhow::Result<Worker> {
        self.starts += 1;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let mut command = Command::new(&self.program);
        command.arg("serve").env(PARENT, which).stdin(Stdio::from(theirs)).kill_on_drop(true);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        if self.starts > 1 && std::env::var("BATON_SELF_TEST").is_ok_and(|test| test.starts_with("die-")) {
            command.env_remove("BATON_SELF_TEST");
        }
        let process = command.spawn().with_context(|| format!("{} cannot be started", self.program.display()))?;
        #[expect(deprecated, reason = "an owned descriptor stays what it is as long as it is watched")]
        let way = AsyncFd::new(ours)?;
        rustix::io::ioctl_fionbio(way.get_ref(), true)?;
        Ok(Worker { process, way, is_mute: false })
    }

    /// Hands everything over that is held.
    fn give(&self, worker: &Worker) -> anyhow::Result<()> {
        let way = worker.way.get_ref();
        rustix::io::ioctl_fionbio(way, false)?;
        let all: Vec<BorrowedFd<'_>> = self.sockets.values().map(AsFd::as_fd).collect();
        for group in all.chunks(GROUP_MAX) {
            send(way, TAKE, group).context("the sockets cannot be handed over")?;
        }
        send(way, TAKEN, &[]).context("the sockets cannot be handed over")?;
        Ok(rustix::io::ioctl_fionbio(way, true)?)
    }

    fn hold(&mut self, sockets: Vec<OwnedFd>) {
        for socket in sockets {
            let (kind, address) = (sockopt::socket_type(&socket), rustix::net::getsockname(&socket));
            if let (Ok(kind), Ok(address)) = (kind, address) {
                self.sockets.insert(format!("{kind:?} {address:?}"), socket);
            }
        }
    }

    fn pass_on(&mut self, worker: &Worker, order: Order) {
        let number = match order {
            Order::End => Number::TERM,
            Order::Swap => Number::USR2,
            Order::Reload => Number::HUP,
        };
        self.ends |= order == Order::End;
        let pid = worker.process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(Err(fault)) = pid.map(|pid| kill_process(pid, number)) {
            tracing::error!(%fault, "the worker cannot be told");
        }
    }
}

/// Ends a process at once.
fn end(process: &mut Child) {
    if let Err(fault) = process.start_kill() {
        tracing::debug!(%fault, "the worker has ended already");
    }
}

/// What a worker says next; none where it says nothing any more. One that is mute is waited for without end.
async fn hear(way: &AsyncFd<OwnedFd>, is_mute: bool) -> anyhow::Result<Option<Said>> {
    if is_mute {
        std::future::pending::<()>().await;
    }
    loop {
        let mut ready = way.readable().await?;
        match ready.try_io(|way| receive(way.get_ref())) {
            Ok(Ok(Received::Message { text, sockets })) => return Ok(Some(Said::read(&text, sockets))),
            Ok(Ok(Received::End)) | Ok(Err(_)) => return Ok(None),
            Err(_would_block) => {}
        }
    }
}

impl Said {
    fn read(text: &str, sockets: Vec<OwnedFd>) -> Said {
        match text {
            LOADED => Said::Loaded,
            LEFT => Said::Left,
            FOLLOWS => Said::Follows,
            text if text.starts_with(HOLD) => Said::Hold(sockets),
            text => {
                tracing::warn!(text, "the worker says what nobody understands");
                Said::Nothing
            }
        }
    }
}

/// What the parent is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// SIGTERM, SIGINT: the worker ends its calls, and that is all.
    End,
    /// SIGUSR2: the worker leaves its calls to another one, which is started from the program's path as it is then.
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
