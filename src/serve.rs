//! `baton serve`: everything is opened first, then the engine begins, and at the end nobody is cut off.

mod bind;
mod load;
mod lock;
mod lookups;
mod open;
mod plan;
mod reload;
mod retention;
mod survive;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use baton_contract::Event;
use baton_http::{HttpSettings, router};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::Sender;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::capture::Scribe;
use crate::config::Config;
use crate::engine::{Door, Ending, Engine, EngineControl, EngineParts, Outlets, Phase, Request, Snapshot};
use crate::keeper::{Keeper, LEFT};
use crate::memory::{self, Tide};
use crate::record::Recorder;
use crate::watchdog;
use load::Loading;

/// How long transfers in flight may go on after SIGTERM.
const TRANSFERS_END_MAX: Duration = Duration::from_secs(90);

/// How long the BYEs to what is left may take.
const FAREWELL_MAX: Duration = Duration::from_secs(2);

/// The exit code of a process that leaves its calls to the next one: whoever started it is to start another.
const LEFT_CODE: i32 = 75;

/// How long tasks may take to end when the calls are left.
const RUNTIME_ENDS_MAX: Duration = Duration::from_millis(50);

/// How long people hear each other by a process that has left its calls, if nobody follows and nobody ends it.
const FOLLOWED_MAX: Duration = Duration::from_secs(60);

/// How often the gauges are counted, and how often it is looked whether the last transfer has ended.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Runs the daemon until it is told to stop. What keeps it from running is one sentence on stderr, and exit 1.
pub(crate) fn serve(config: Config, file: Option<&Path>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(fault) => {
            eprintln!("baton: the runtime cannot be started: {fault}");
            return ExitCode::FAILURE;
        }
    };
    if let Err(fault) = crate::logs::gather() {
        eprintln!("baton: the log has no thread of its own: {fault}");
    }
    let ended = runtime.block_on(run(Arc::new(config), file.map(Path::to_owned), runtime.handle().clone()));
    crate::logs::let_out();
    match ended {
        Ok(Ending::Stopped) => ExitCode::SUCCESS,
        Ok(Ending::Left(outlets)) => leave(runtime, &outlets),
        Err(fault) => {
            eprintln!("baton: {fault:#}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for the next process to have the calls, where there is somebody who will say so, and ends. Until then people hear each other.
fn leave(runtime: Runtime, outlets: &Outlets) -> ExitCode {
    if matches!(outlets.keeper, Keeper::Parent(_)) {
        // Nobody is let in here any more, and nothing is told twice.
        runtime.shutdown_timeout(RUNTIME_ENDS_MAX);
    }
    tracing::info!("leaving; the next process takes the calls up");
    if outlets.keeper.say(LEFT) {
        std::thread::park_timeout(FOLLOWED_MAX);
    }
    crate::logs::let_out();
    std::process::exit(LEFT_CODE);
}

async fn run(config: Arc<Config>, file: Option<PathBuf>, runtime: tokio::runtime::Handle) -> anyhow::Result<Ending> {
    let mut stop = Stop::new()?;
    let signals = survive::Signals::new()?;
    let keeper = Keeper::find()?;
    let self_test = open::SelfTest::from_environment();
    let loading = Loading::begin(&config, self_test.switchboard).before(&keeper).await?;
    let survived = survive::Survived::find(&config, keeper)?;
    let clock = survived.clock;
    let opened = open::everything(&config, survived, runtime, (loading, self_test.media)).await?;
    let phase = Arc::new(Phase::default());
    let gauges = Arc::new(parking_lot::Mutex::new(Snapshot::default()));
    let control = Arc::new(EngineControl {
        door: opened.door.clone(),
        store: opened.store.clone(),
        events: opened.events.clone(),
        metrics: opened.metrics.clone(),
        clock,
        phase: phase.clone(),
        gauges: gauges.clone(),
        book: opened.scribe.book.clone(),
    });
    let settings = HttpSettings {
        token: config.http.token.as_ref().map(|token| token.expose().to_owned()),
        ..HttpSettings::new(opened.links.clone())
    };
    let (end_http, http_ends) = oneshot::channel::<()>();
    let http = tokio::spawn(baton_http::serve(opened.http, router(control, settings), async move { drop(http_ends.await) }));
    let (voices, metrics) = (opened.engine.outlets.voices.clone(), opened.engine.outlets.metrics.clone());
    let tls = opened.tls.clone();
    signals.follow(reload::Reloader { door: opened.door.clone(), voices, metrics, tls, file });
    let streams = opened.engine.outlets.streams.acceptor();
    if let Some(tls) = opened.tls.clone() {
        tokio::spawn(tls.watch());
    }
    for listener in opened.streams {
        tokio::spawn(streams.clone().listen(listener));
    }
    tokio::spawn(watchdog::feed(clock, opened.pulse.clone()));
    tokio::spawn(look(opened.door.clone(), gauges.clone()));
    let teller = opened.teller.map(|teller| tokio::spawn(teller.run(opened.events.subscribe())));
    let (engine, mut engine_end) = begin_engine(opened.engine, opened.parts)?;
    phase.is_up();
    watchdog::notify(&[sd_notify::NotifyState::Ready]);
    tracing::info!(node = config.node.name, "ready");
    tokio::select! {
        () = stop.wanted() => farewell(&opened.door, &phase, &gauges, &mut stop).await,
        _ = &mut engine_end => {}
    }
    if opened.door.send(Request::Stop).is_err() {
        tracing::debug!("the engine has ended");
    }
    let result = tokio::task::spawn_blocking(move || engine.join()).await.context("the engine's end")?;
    if let Ok(Ok(left @ Ending::Left(_))) = result {
        return Ok(left);
    }
    if end_http.send(()).is_err() {
        tracing::debug!("HTTP has ended");
    }
    http.await.context("HTTP's end")??;
    opened.couriers.stop().await;
    if let Some(store) = Arc::into_inner(opened.store) {
        store.close().await;
    }
    put_away(opened.recorder, opened.scribe, opened.events, teller).await?;
    drop(opened.lock);
    match result {
        Ok(result) => result.context("the engine has failed"),
        Err(_) => anyhow::bail!("the engine has panicked"),
    }
}

/// Starts the engine's thread; the other end of the channel is dropped when it ends.
fn begin_engine(engine: Engine, parts: EngineParts) -> anyhow::Result<(EngineThread, oneshot::Receiver<()>)> {
    let (engine_ended, engine_end) = oneshot::channel();
    let run = move || {
        let result = engine.run(parts);
        if engine_ended.send(()).is_err() {
            tracing::debug!("nobody waits for the engine");
        }
        result
    };
    let thread = std::thread::Builder::new().name("engine".to_owned()).spawn(run);
    Ok((thread.context("the engine's thread cannot be started")?, engine_end))
}

/// How the engine ends.
type EngineThread = std::thread::JoinHandle<std::io::Result<Ending>>;

/// Those who look on are done with what they have seen, or are not waited for.
async fn put_away(
    recorder: Option<Arc<Recorder>>,
    scribe: Scribe,
    events: Sender<Event>,
    teller: Option<JoinHandle<()>>,
) -> anyhow::Result<()> {
    if let Some(recorder) = recorder {
        tokio::task::spawn_blocking(move || recorder.stop()).await.context("the end of recordings")?;
    }
    tokio::task::spawn_blocking(move || scribe.stop()).await.context("the end of captures")?;
    drop(events);
    if let Some(teller) = teller
        && tokio::time::timeout(FAREWELL_MAX, teller).await.is_err()
    {
        tracing::warn!("the collector did not take the last traces");
    }
    Ok(())
}

/// No new calls; transfers in flight end first, then the rest is hung up.
async fn farewell(door: &Door, phase: &Phase, gauges: &parking_lot::Mutex<Snapshot>, stop: &mut Stop) {
    tracing::info!("stopping: no new calls");
    watchdog::notify(&[sd_notify::NotifyState::Stopping]);
    phase.is_ending();
    if door.send(Request::Drain).is_err() {
        tracing::error!("the engine does not take the order to drain");
    }
    let transfers_ended = until(gauges, |snapshot| !snapshot.transfers_in_flight);
    tokio::select! {
        ended = tokio::time::timeout(TRANSFERS_END_MAX, transfers_ended) => {
            if ended.is_err() {
                tracing::warn!("transfers are still in flight; they are ended now");
            }
        }
        () = stop.wanted() => tracing::warn!("told to stop twice: nothing is waited for"),
    }
    if door.send(Request::HangUpAll).is_err() {
        tracing::error!("the engine does not take the order to hang up");
    }
    if tokio::time::timeout(FAREWELL_MAX, until(gauges, |snapshot| snapshot.idle)).await.is_err() {
        tracing::warn!("calls are left");
    }
}

/// Waits for two looks at the gauges in a row that are as wanted: the first one may be older than the order.
async fn until(gauges: &parking_lot::Mutex<Snapshot>, wanted: impl Fn(&Snapshot) -> bool) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut seen = 0;
    while seen < 3 {
        looks.tick().await;
        seen = if wanted(&gauges.lock()) { seen + 1 } else { 0 };
    }
}

/// Keeps the gauges fresh, and gives memory back when they have fallen.
async fn look(door: Door, gauges: Arc<parking_lot::Mutex<Snapshot>>) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let mut tide = Tide::default();
    loop {
        looks.tick().await;
        let (sender, answer) = oneshot::channel();
        if door.send(Request::Gauges(sender)).is_ok()
            && let Ok(snapshot) = answer.await
        {
            if tide.is_low(snapshot.gauges.sessions) {
                drop(tokio::task::spawn_blocking(memory::give_back));
            }
            *gauges.lock() = snapshot;
        }
    }
}

/// SIGTERM and SIGINT.
struct Stop {
    term: Signal,
    int: Signal,
}

impl Stop {
    fn new() -> anyhow::Result<Stop> {
        let on = |kind| signal(kind).context("signals cannot be listened for");
        Ok(Stop { term: on(SignalKind::terminate())?, int: on(SignalKind::interrupt())? })
    }

    async fn wanted(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
        }
    }
}
