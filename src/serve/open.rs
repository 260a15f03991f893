//! Opens everything that the daemon needs, and says in one sentence what cannot be had.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use baton_contract::{Event, IdSource, PopLink};
use baton_media::{RoomSettings, Sabotage as MediaSabotage};
use baton_relay::{Relay, RelaySettings};
use baton_sip::wire::HostPort;
use baton_sip::{Listen, OptionsFor, Transport, UserAgent};
use baton_store::Store;
use baton_switchboard::{Begin, Input, Network, Sabotage, Switchboard};
use baton_transfer::{Language, Roster};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use super::load::{Loaded, Loading};
use super::lock::StoreLock;
use super::lookups::Lookups;
use super::retention::Retention;
use super::survive::{self, Readable, Survived};
use super::{bind, plan};
use crate::capture::Scribe;
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{Connections, Door, Engine, EngineParts, Known, Outlets, Recordings, Request, Sockets, StreamListener};
use crate::journal::Marks;
use crate::keeper::{FOLLOWS, Keeper, Kept};
use crate::metrics::Metrics;
use crate::precedence;
use crate::record::Recorder;
use crate::telemetry::Teller;
use crate::tls::Tls;
use crate::transcribe::Transcriber;
use crate::voice::Voices;
use crate::watchdog::Pulse;
use crate::webhook::{Couriers, Hooks, Post, Receipts};

/// How many events a slow subscriber may be behind.
const EVENTS_BEHIND_MAX: usize = 4_096;

/// Everything, open.
pub(super) struct Opened {
    pub(super) parts: EngineParts,
    pub(super) engine: Engine,
    pub(super) door: Door,
    pub(super) store: Arc<Store>,
    pub(super) events: broadcast::Sender<Event>,
    pub(super) metrics: Arc<Mutex<Metrics>>,
    pub(super) links: PopLink,
    pub(super) http: TcpListener,
    pub(super) streams: Vec<StreamListener>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) couriers: Couriers,
    pub(super) recorder: Option<Arc<Recorder>>,
    pub(super) scribe: Scribe,
    pub(super) teller: Option<Teller>,
    pub(super) lock: Option<StoreLock>,
    /// Certificates, where anything is spoken under TLS.
    pub(super) tls: Option<Arc<Tls>>,
}

/// Opens the store, the sockets, the media threads and the voices. Last of all the ports are taken: until then a worker before this one may let
/// people hear each other.
pub(super) async fn everything(
    config: &Config,
    survived: Survived,
    runtime: tokio::runtime::Handle,
    (loading, sabotage): (Loading, Option<MediaSabotage>),
) -> anyhow::Result<Opened> {
    bind::all_descriptors();
    let Survived { lock, keeper, mut kept, journal, mut past, clock } = survived;
    let parts = EngineParts::new().context("the engine's queue cannot be made")?;
    let door = parts.door();
    let receipts = Arc::new(Receipts::default());
    let store = Arc::new(open_store(config, &door, receipts.clone()).await?);
    let (udp, streams, listen) = open_sip(config, &keeper, &mut kept)?;
    // After SIP: whoever finds HTTP open may call.
    let http = survive::listener(&keeper, &mut kept, config.http.listen);
    let http = http.and_then(TcpListener::from_std).with_context(|| taken("http", config.http.listen))?;
    let recorder = open_recorder(config, &door)?;
    let readable = Readable::of(&mut past, &journal);
    let links = PopLink::new(store.secret());
    let begin = begin(config, clock, &store, links.clone(), listen).await?;
    let (events, _) = broadcast::channel(EVENTS_BEHIND_MAX);
    let metrics = Arc::new(Mutex::new(Metrics::with_roster(&config.aes)));
    let pulse = Arc::new(Pulse::default());
    let Loaded { music, fetch, voices, names, tls, mut settings } = loading.end().await?;
    let rooms = RoomSettings { sabotage, ..RoomSettings::new(music) };
    let relay = open_relay(config, clock, &door, rooms, recorder.clone(), journal.marks())?;
    settings.words_per_second = readable.pace(&voices).await;
    learn_languages(config, &voices, &door, &runtime);
    let hooks = Arc::new(Hooks::new(config.webhooks.clone()));
    let retention = Retention::new(config, store.clone(), receipts.clone(), clock);
    let post = Post { store: store.clone(), receipts, fetch, metrics: metrics.clone(), clock };
    let couriers = Couriers::start(&hooks, &post, random_seed()?).beside(tokio::spawn(retention.run()));
    let transcriber = config.transcriber.clone().map(|spec| Arc::new(Transcriber::new(spec, post.fetch.clone())));
    let recordings = Recordings::new(recorder.clone().zip(config.recording.dir.clone()), transcriber);
    let (told, counted) = (events.clone(), metrics.clone());
    let scribe = Scribe::start(config.capture.clone(), &config.node.name).context("[capture] cannot be begun")?;
    let (tap, teller) = (scribe.tap.clone(), open_teller(config, &post));
    let connections = Connections::new(door.clone(), runtime.clone(), tls.clone(), known(&settings));
    let (asked, rows, ports) = (door.clone(), store.clone(), config.media.ports.0..=config.media.ports.1);
    let mut outlets =
        Outlets::new(relay, ports, rows, voices, told, counted, runtime, asked, hooks, recordings, tap, connections);
    let named = plan::named(config, &settings);
    let mut board = Switchboard::new(settings, begin);
    keeper.say(FOLLOWS);
    let first_ports = survive::first_ports(config, (&keeper, &mut kept), &outlets.relay, &readable)?;
    outlets.keeper = keeper;
    board.handle(clock.now(), Input::Ports(first_ports));
    let taken_up = readable.take_up(&mut board, past, clock);
    let journal = journal.begin(clock, &board.common_snapshot(), taken_up, metrics.clone())?;
    board.handle(clock.now(), Input::Up);
    Lookups::new(names, named, door.clone()).start();
    let engine = Engine { clock, board, sockets: Sockets::new(udp)?, outlets, pulse: pulse.clone(), journal };
    Ok(Opened {
        parts,
        engine,
        door,
        store,
        events,
        metrics,
        links,
        http,
        streams,
        pulse,
        couriers,
        recorder,
        scribe,
        teller,
        lock,
        tls,
    })
}

/// Has what Baton says spoken in every language that somebody is to hear, while the first calls come in: until then they hear English.
fn learn_languages(config: &Config, voices: &Arc<Voices>, door: &Door, runtime: &tokio::runtime::Handle) {
    let of_routes = config.routes.iter().filter_map(|route| match route {
        crate::config::Route::In(route) => route.language,
        crate::config::Route::FromAi(_) => None,
    });
    let wanted = config.aes.iter().filter_map(|ae| ae.language).chain(of_routes).chain(config.languages.keys().copied());
    let wanted: BTreeSet<Language> = wanted.chain([config.transfer.language]).collect();
    for language in wanted.into_iter().filter(|language| *language != Language::ENGLISH) {
        let folder = config.languages.get(&language).cloned().flatten();
        let (voices, door) = (voices.clone(), door.clone());
        runtime.spawn(async move {
            let clips = voices.lines_in(language, folder.as_deref()).await;
            tracing::info!(%language, lines = clips.len(), "language-learnt");
            if door.send(Request::Prompts { language, clips }).is_err() {
                tracing::debug!("nobody is left to speak");
            }
        });
    }
}

async fn open_store(config: &Config, door: &Door, receipts: Arc<Receipts>) -> anyhow::Result<Store> {
    let door = door.clone();
    let on_ack = Box::new(move |ack: baton_store::Ack| {
        if receipts.take(&ack) {
            return;
        }
        let is_left = ack.result.is_ok() && Outlets::is_unheard(ack.ticket);
        let told = if is_left { door.leave(Request::Stored(ack)) } else { door.send(Request::Stored(ack)) };
        if told.is_err() {
            tracing::error!("the engine does not take the store's answers");
        }
    });
    let before = precedence::set(precedence::LIVE); // the store's threads are started by this one
    let opened = Store::open(&config.store.url, baton_store::Settings::default(), on_ack).await;
    precedence::set(before);
    Ok(opened?)
}

/// Who tells what took how long, where a collector is named.
fn open_teller(config: &Config, post: &Post) -> Option<Teller> {
    let settings = config.telemetry.clone()?;
    Some(Teller::new(settings, &config.node.name, post.fetch.clone(), post.metrics.clone()))
}

/// Whoever is named in the configuration may open as many connections as there are.
fn known(settings: &baton_switchboard::Settings) -> Known {
    let trunks =
        settings.trunks.iter().flat_map(|trunk| trunk.sources.iter().copied().chain([Network::only(trunk.address.ip())]));
    let ais = settings.ais.iter().map(|ai| Network::only(ai.address.ip()));
    let aes = settings.aes.values().map(|line| Network::only(line.address.ip()));
    Known(trunks.chain(ais).chain(aes).collect())
}

/// Binds every SIP socket of the configuration.
fn open_sip(
    config: &Config,
    keeper: &Keeper,
    kept: &mut Kept,
) -> anyhow::Result<(Vec<std::net::UdpSocket>, Vec<StreamListener>, Vec<Listen>)> {
    let (mut udp, mut streams, mut listen) = (Vec::new(), Vec::new(), Vec::new());
    for wanted in &config.sip.listen {
        let transport = wanted.transport;
        let taken = || taken(&format!("sip {}", transport.name().to_ascii_lowercase()), wanted.address);
        let addr = match transport {
            Transport::Udp => {
                let socket = survive::datagrams(keeper, kept, wanted.address).with_context(taken)?;
                let addr = socket.local_addr()?;
                udp.push(socket);
                addr
            }
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let listener =
                    survive::listener(keeper, kept, wanted.address).and_then(TcpListener::from_std).with_context(taken)?;
                let local = listener.local_addr()?;
                streams.push(StreamListener { transport, listener, local });
                local
            }
        };
        listen.push(Listen { transport, addr, advertise: advertised(config, transport, addr)? });
    }
    Ok((udp, streams, listen))
}

fn advertised(config: &Config, transport: Transport, bound: SocketAddr) -> anyhow::Result<HostPort> {
    let Some(outer) = config.sip.advertised(transport, bound.ip()) else { return Ok(HostPort::from(bound)) };
    let host = if outer.host.contains(':') { format!("[{}]", outer.host) } else { outer.host.clone() };
    let text = format!("{host}:{}", outer.port.unwrap_or(bound.port()));
    text.parse().map_err(|_| anyhow::anyhow!("\"{text}\" cannot stand in a Contact"))
}

/// Starts the writer of recordings, where there is a folder for them.
fn open_recorder(config: &Config, door: &Door) -> anyhow::Result<Option<Arc<Recorder>>> {
    let Some(folder) = &config.recording.dir else { return Ok(None) };
    let door = door.clone();
    let tell = Box::new(move |tap, result: &Result<_, _>| {
        let result = result.clone();
        door.send(Request::Recorded { tap, result }).is_ok()
    });
    let started = Recorder::start(folder, tell);
    let recorder = started.with_context(|| format!("the folder for recordings {} cannot be written", folder.display()))?;
    Ok(Some(Arc::new(recorder)))
}

fn open_relay(
    config: &Config,
    clock: Clock,
    door: &Door,
    rooms: RoomSettings,
    recorder: Option<Arc<Recorder>>,
    marks: Marks,
) -> anyhow::Result<Relay> {
    let door = door.clone();
    let sink = Arc::new(move |event| {
        // That a port is free again is worth no waking.
        let can_wait = matches!(event, baton_media::Event::Closed { .. });
        let request = Request::Media(Box::new(event));
        if can_wait { door.leave(request) } else { door.send(request) }.is_ok()
    });
    let settings = RelaySettings { address: config.media.address, threads: 1, rooms, epoch: clock.epoch() };
    let taps: baton_relay::TapSink = match recorder {
        Some(recorder) => Arc::new(move |tapped| recorder.hear(tapped)),
        None => Arc::new(|_| false),
    };
    Ok(Relay::start_marking(settings, sink, taps, Some(Arc::new(move |told| marks.tell(told))))?)
}

async fn begin(config: &Config, clock: Clock, store: &Store, links: PopLink, listen: Vec<Listen>) -> anyhow::Result<Begin> {
    let mut roster = Roster::new(config.aes.clone(), config.groups.clone());
    let unread = "the store cannot be read";
    for row in store.leases().await.context(unread)? {
        roster.restore(clock.now(), &row);
    }
    Ok(Begin {
        agent: UserAgent::new(baton_sip::Settings {
            accounts: plan::accounts(config),
            options: OptionsFor::WhomOwnerSays,
            session_ids: config.sip.session_ids,
            ..baton_sip::Settings::new(listen, random_seed()?)
        }),
        roster,
        ids: IdSource::seeded(random_seed()?),
        links,
        callbacks: store.open_callbacks().await.context(unread)?,
        last_event_seq: store.last_event_seq().await.context(unread)?,
    })
}

/// Sixty-four bits from the operating system.
pub(super) fn random_seed() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    let mut source = std::fs::File::open("/dev/urandom").context("the system has no source of randomness")?;
    std::io::Read::read_exact(&mut source, &mut bytes).context("the system has no source of randomness")?;
    Ok(u64::from_ne_bytes(bytes))
}

fn taken(what: &str, address: SocketAddr) -> String {
    format!("{what}: cannot listen on {address}")
}

/// Faults put in on purpose by `baton demo --sabotage`, to show that its checks find them.
pub(super) struct SelfTest {
    pub(super) media: Option<MediaSabotage>,
    pub(super) switchboard: Option<Sabotage>,
}

impl SelfTest {
    pub(super) fn from_environment() -> SelfTest {
        let name = std::env::var("BATON_SELF_TEST").unwrap_or_default();
        let media = match name.as_str() {
            "leak-consult" => Some(MediaSabotage::LeakConsult),
            "ai-lingers" => Some(MediaSabotage::AiLingers),
            "drop-cutover" => Some(MediaSabotage::DropCutover),
            "silence" => Some(MediaSabotage::Silence),
            _ => None,
        };
        let switchboard = match name.as_str() {
            "no-cancel" => Some(Sabotage::NoCancel),
            "keep-ports" => Some(Sabotage::KeepPorts),
            _ => None,
        };
        if media.is_some() || switchboard.is_some() {
            tracing::warn!(name, "self-test: broken on purpose");
        }
        SelfTest { media, switchboard }
    }
}
