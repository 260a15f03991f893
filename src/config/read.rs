//! Reads each table of the file into checked values; what concerns several of them at once is looked at afterwards.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use baton_contract::AeId;
use baton_sip::Transport;
use baton_transfer::{
    AeSettings, BriefingBy, BudgetSettings, CallbackSettings, Choice, Choices, GroupSettings, Hours, Language, Limits, Zone,
};
use toml_edit::Table;

use super::fault::hint;
use super::language::{self, Tongue};
use super::settings::{
    Ai, Config, Http, HttpVoice, Listen, Media, Node, Phone, Recording, Route, Secret, Shown, Sip, Store, Transcriber, Trunk,
    VoiceSpec,
};
use super::tls::{self, TlsDraft};
use super::walk::{Found, Places, Section, Walk};
use super::{beyond, callback, lines, mode, observe, peers, uri, value};
use crate::capture::CaptureSettings;
use crate::telemetry::TelemetrySettings;
use crate::tls::Identity;
use crate::webhook::Hook;

/// The tables of a file, in the order of the documentation.
const TABLES: &[&str] = &[
    "node",
    "sip",
    "tls",
    "certificate",
    "media",
    "http",
    "store",
    "budget",
    "transfer",
    "briefing",
    "callback",
    "mode",
    "recording",
    "transcribe",
    "capture",
    "telemetry",
    "trunk",
    "ai",
    "route",
    "ae",
    "group",
    "webhook",
    "voice",
    "language",
];
/// Tables of parts that are not here.
const TABLES_LATER: &[&str] = &["policy"];

/// What stands for our own domain in the URI of a phone that registers.
const HERE: &str = "registered.invalid";

/// Everything that a file says, with the places where it says it.
pub(super) struct Draft {
    pub(super) node: Found<Node>,
    pub(super) sip: Found<Sip>,
    pub(super) tls: Found<TlsDraft>,
    pub(super) certificates: Vec<Found<Identity>>,
    pub(super) media: Found<MediaDraft>,
    pub(super) http: Found<HttpDraft>,
    pub(super) store: Found<Store>,
    pub(super) budget: Found<BudgetSettings>,
    pub(super) transfer: Found<baton_transfer::Settings>,
    pub(super) voices: Found<Vec<VoiceSpec>>,
    pub(super) callback: Found<CallbackSettings>,
    pub(super) trunks: Vec<Found<Trunk>>,
    pub(super) ais: Vec<Found<Ai>>,
    pub(super) routes: Vec<Found<Route>>,
    pub(super) aes: Vec<Found<AeSettings>>,
    /// What AEs are shown, in the order of `aes`.
    pub(super) shown: Vec<Shown>,
    /// The phones of AEs, in the order of `aes`.
    ae_phones: Vec<Phone>,
    pub(super) groups: Vec<Found<GroupSettings>>,
    pub(super) webhooks: Vec<Found<Option<Hook>>>,
    pub(super) recording: Found<Recording>,
    pub(super) http_voices: Vec<Found<Option<HttpVoice>>>,
    pub(super) transcriber: Found<Option<Transcriber>>,
    pub(super) capture: Found<CaptureSettings>,
    pub(super) telemetry: Found<Option<TelemetrySettings>>,
    pub(super) languages: Vec<Found<Option<Tongue>>>,
    /// The rows of the table of modes, in their order.
    pub(super) modes: Vec<Found<Option<Choice>>>,
}

pub(super) struct MediaDraft {
    pub(super) address: Option<IpAddr>,
    pub(super) advertise: Option<IpAddr>,
    pub(super) ports: (u16, u16),
}

pub(super) struct HttpDraft {
    pub(super) listen: SocketAddr,
    public_url: Option<String>,
    pub(super) token: Option<Secret>,
}

/// Reads the whole file.
pub(super) fn draft(walk: &mut Walk<'_>, root: &Table) -> Draft {
    for (name, item) in root.iter().filter(|(name, _)| !TABLES.contains(name)) {
        let span = root.key(name).and_then(toml_edit::Key::span).or_else(|| item.span()).unwrap_or(0..0);
        let what = match TABLES_LATER.contains(&name) {
            true => "is not built yet in this version, leave it out".to_owned(),
            false => format!("is not known, {}", hint(name, TABLES)),
        };
        walk.findings.add(&span, name, what);
    }
    let empty = Table::new();
    let table = |walk: &mut Walk<'_>, name| walk.table(root, &empty, name);
    let (node, sip, tls, media) = (table(walk, "node"), table(walk, "sip"), table(walk, "tls"), table(walk, "media"));
    let (http, store, budget) = (table(walk, "http"), table(walk, "store"), table(walk, "budget"));
    let (transfer, briefing) = (table(walk, "transfer"), table(walk, "briefing"));
    let (recording, transcribe) = (table(walk, "recording"), table(walk, "transcribe"));
    let (capture, telemetry) = (table(walk, "capture"), table(walk, "telemetry"));
    let callback = table(walk, "callback");
    let callback = callback::read(walk, callback);
    let (voices, briefing) = read_briefing(walk, briefing);
    let mut transfer = read_transfer(walk, transfer);
    (transfer.value.briefing_max, transfer.value.briefing, transfer.value.language) = briefing;
    let languages: Vec<_> = walk.tables(root, "language").into_iter().map(|section| language::read(walk, section)).collect();
    for tongue in languages.iter().filter_map(|found| found.value.as_ref()) {
        transfer.value.phrases.put(tongue.language, tongue.phrases.clone());
    }
    let modes: Vec<_> = walk.tables(root, "mode").into_iter().map(|section| mode::read(walk, section)).collect();
    if !modes.is_empty() {
        transfer.value.choices = Choices::new(modes.iter().filter_map(|found| found.value).collect());
    }
    let aes: Vec<_> = walk.tables(root, "ae").into_iter().map(|section| read_ae(walk, section)).collect();
    Draft {
        node: read_node(walk, node),
        sip: read_sip(walk, sip),
        tls: tls::read(walk, tls),
        certificates: each(walk, root, "certificate", tls::read_certificate),
        media: read_media(walk, media),
        http: read_http(walk, http),
        store: read_store(walk, store),
        budget: read_budget(walk, budget),
        transfer,
        voices,
        callback,
        trunks: each(walk, root, "trunk", peers::read_trunk),
        ais: each(walk, root, "ai", peers::read_ai),
        routes: each(walk, root, "route", peers::read_route),
        shown: aes.iter().map(|(_, (shown, _))| *shown).collect(),
        ae_phones: aes.iter().map(|(_, (_, phone))| phone.clone()).collect(),
        aes: aes.into_iter().map(|(ae, _)| ae).collect(),
        groups: each(walk, root, "group", read_group),
        webhooks: each(walk, root, "webhook", beyond::webhook),
        recording: beyond::recording(walk, recording),
        http_voices: each(walk, root, "voice", beyond::voice),
        transcriber: beyond::transcribe(walk, transcribe),
        capture: observe::capture(walk, capture),
        telemetry: observe::telemetry(walk, telemetry),
        languages,
        modes,
    }
}

fn each<T>(
    walk: &mut Walk<'_>,
    root: &Table,
    name: &'static str,
    read: fn(&mut Walk<'_>, Section<'_>) -> Found<T>,
) -> Vec<Found<T>> {
    walk.tables(root, name).into_iter().map(|section| read(walk, section)).collect()
}

fn read_node(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Node> {
    let name = at.text(walk, "name", value::id).unwrap_or_else(|| "baton-1".to_owned());
    at.finish(walk, &[], Node { name })
}

/// The domain is empty where none is written.
fn read_sip(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Sip> {
    let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 5060));
    let both = || [Transport::Udp, Transport::Tcp].map(|transport| Listen { transport, address: default }).to_vec();
    let listen = at.list(walk, "listen", true, value::listen).unwrap_or_else(both);
    let advertise = at.list(walk, "advertise", true, value::advertise).unwrap_or_default();
    let domain = at.text(walk, "domain", value::domain).unwrap_or_default();
    let strangers = at.text(walk, "strangers", lines::strangers).unwrap_or_default();
    let session_ids = at.text(walk, "session_id", lines::session_ids).unwrap_or_default();
    let nameservers = at.list(walk, "nameservers", true, lines::name_server).unwrap_or_default();
    at.finish(walk, &[], Sip { listen, advertise, domain, strangers, session_ids, nameservers })
}

fn read_media(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<MediaDraft> {
    let address = at.text(walk, "address", value::address);
    let advertise = at.text(walk, "advertise", value::reachable);
    let ports = at.text(walk, "ports", value::ports).unwrap_or((20_000, 29_999));
    at.finish(walk, &[], MediaDraft { address, advertise, ports })
}

fn read_http(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<HttpDraft> {
    let listen = at.text(walk, "listen", value::socket).unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
    let public_url = at.text(walk, "public_url", value::public_url);
    let token = at.text(walk, "token", value::token);
    at.finish(walk, &[], HttpDraft { listen, public_url, token })
}

fn read_store(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Store> {
    let url = at.text(walk, "url", value::store_url).unwrap_or_else(|| "sqlite:baton.db".to_owned());
    let keep = at.text(walk, "keep", value::days);
    at.finish(walk, &[], Store { url, keep })
}

fn read_budget(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<BudgetSettings> {
    let default = BudgetSettings::default();
    let start = limits(walk, &mut at, "start").unwrap_or(default.start);
    let ringing = limits(walk, &mut at, "ringing").unwrap_or(default.ringing);
    let accept = limits(walk, &mut at, "accept").unwrap_or(default.accept);
    let total = limits(walk, &mut at, "total").unwrap_or(default.total);
    at.finish(walk, &[], BudgetSettings { start, ringing, accept, total })
}

/// Target and worst case: `["500ms", "1s"]`.
pub(super) fn limits(walk: &mut Walk<'_>, at: &mut Section<'_>, key: &'static str) -> Option<Limits> {
    let values = at.list(walk, key, false, value::span)?;
    match values.as_slice() {
        [target, worst] if target <= worst => Some(Limits { target: *target, worst: *worst }),
        [_, _] => {
            at.fault(walk, key, "has a target above its worst case, write the smaller one first: `[\"500ms\", \"1s\"]`");
            None
        }
        _ => {
            at.fault(
                walk,
                key,
                format!("has {} durations, write two, the target and the worst case: `[\"500ms\", \"1s\"]`", values.len()),
            );
            None
        }
    }
}

fn read_transfer(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<baton_transfer::Settings> {
    let mut settings = baton_transfer::Settings::default();
    let keys = &mut settings.keys;
    for (name, key) in [
        ("accept_key", &mut keys.accept),
        ("decline_key", &mut keys.decline),
        ("repeat_key", &mut keys.repeat),
        ("skip_key", &mut keys.skip),
        ("later_key", &mut keys.later),
    ] {
        *key = at.text(walk, name, value::key).unwrap_or(*key);
    }
    settings.ring_max = at.text(walk, "ring_max", value::span).unwrap_or(settings.ring_max);
    settings.accept = at.text(walk, "accept", value::accept).unwrap_or(settings.accept);
    settings.attempts = at.count(walk, "attempts", 1..=ATTEMPTS_MAX).unwrap_or(settings.attempts);
    settings.while_dialing = at.text(walk, "while_dialing", value::while_dialing).unwrap_or(settings.while_dialing);
    settings.after_ae = at.text(walk, "after_ae", value::after_ae).unwrap_or(settings.after_ae);
    settings.wrap_up = at.text(walk, "wrap_up", value::duration).unwrap_or(settings.wrap_up);
    settings.introduce = at.flag(walk, "introduce").unwrap_or(settings.introduce);
    settings.introduce_max = at.text(walk, "introduce_max", value::span).unwrap_or(settings.introduce_max);
    if let Some(pair) = at.text(walk, "handback_key", value::key_pair) {
        (settings.handback_key, settings.handback_key_is_chosen) = (pair, true);
    }
    settings.message_max = at.text(walk, "message_max", value::span).unwrap_or(settings.message_max);
    settings.message_silence_max = at.text(walk, "message_silence", value::span).unwrap_or(settings.message_silence_max);
    at.finish(walk, &[], settings)
}

/// More AEs than this nobody waits for.
const ATTEMPTS_MAX: u8 = 10;

fn read_briefing(
    walk: &mut Walk<'_>,
    mut at: Section<'_>,
) -> (Found<Vec<VoiceSpec>>, (std::time::Duration, BriefingBy, Language)) {
    let max = at.text(walk, "max", value::span).unwrap_or(baton_transfer::Settings::default().briefing_max);
    let voices = at.list(walk, "voices", true, value::voice).unwrap_or_default();
    let by = at.text(walk, "by", value::briefing_by).unwrap_or_default();
    let language = at.text(walk, "language", value::language).unwrap_or_default();
    (at.finish(walk, &[], voices), (max, by, language))
}

fn read_ae(walk: &mut Walk<'_>, mut at: Section<'_>) -> (Found<AeSettings>, (Shown, Phone)) {
    let id = at.required(walk, "id", "\"michael\"", value::id).unwrap_or_default();
    let trunk = at.text(walk, "trunk", value::id);
    let phone = lines::phone(walk, &mut at, &id);
    if trunk.is_some() && phone.account.is_some() {
        at.fault(
            walk,
            "password",
            "is for a phone that registers, but `trunk` says that they are called over a trunk, leave one out",
        );
    }
    // Who registers is called where they have registered, whatever their own address is.
    let own = phone.account.as_ref().filter(|_| !at.has("uri")).map(|account| format!("sip:{}@{HERE}", account.username));
    let ae = AeSettings {
        name: at.text(walk, "name", value::title).unwrap_or_else(|| id.clone()),
        id: AeId(id),
        uri: own.or_else(|| at.required(walk, "uri", "\"sip:michael@192.0.2.5:5060\"", uri::ae)).unwrap_or_default(),
        numbers: at.list(walk, "numbers", true, value::number).unwrap_or_default(),
        backup: at.text(walk, "backup", value::id).map(AeId),
        timezone: at.text(walk, "timezone", value::timezone).unwrap_or(Zone::UTC),
        hours: at.text(walk, "hours", value::hours).unwrap_or_else(Hours::always),
        language: at.text(walk, "language", value::language),
        skills: at.list(walk, "skills", true, value::title).unwrap_or_default(),
        trusted: at.flag(walk, "trusted").unwrap_or(trunk.is_none()),
        ring_max: at.text(walk, "ring_max", value::span),
        ringing: None,
        trunk,
    };
    let shown = Shown {
        caller_id: at.text(walk, "caller_id", peers::caller_id),
        uui: at.text(walk, "uui", peers::uui).unwrap_or_default(),
    };
    (at.finish(walk, &[], ae), (shown, phone))
}

fn read_group(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<GroupSettings> {
    let name = at.required(walk, "name", "\"sales\"", value::id).unwrap_or_default();
    let aes = at.required_list(walk, "aes", "[\"michael\"]", value::id).unwrap_or_default();
    let numbers = at.list(walk, "numbers", true, value::number).unwrap_or_default();
    at.finish(walk, &[], GroupSettings { name, aes: aes.into_iter().map(AeId).collect(), numbers })
}

impl Draft {
    /// The phones that AEs and AIs register with.
    pub(super) fn phones(&self) -> impl Iterator<Item = (&Places, &Phone)> {
        let aes = self.aes.iter().zip(&self.ae_phones).map(|(ae, phone)| (&ae.places, phone));
        aes.chain(self.ais.iter().map(|ai| (&ai.places, &ai.value.phone)))
    }

    /// The address of the first socket of SIP.
    fn sip_address(&self) -> IpAddr {
        self.sip.value.listen.first().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |listen| listen.address.ip())
    }

    /// The address that RTP sockets are bound to.
    pub(super) fn media_address(&self) -> IpAddr {
        self.media.value.address.unwrap_or_else(|| self.sip_address())
    }

    /// The address that SDP names, if there is one that others can send to.
    pub(super) fn media_advertise(&self) -> Option<IpAddr> {
        let is_family = |host: &IpAddr| host.is_ipv4() == self.media_address().is_ipv4();
        let of_sip = || self.sip.value.advertise.iter().filter_map(|outer| outer.host.parse().ok()).find(is_family);
        let bound = Some(self.media_address()).filter(|address| !address.is_unspecified());
        self.media.value.advertise.or(bound).or_else(of_sip)
    }

    /// The host that others know us by, where no domain is written.
    fn sip_host(&self) -> String {
        self.sip.value.advertise.first().map_or_else(|| self.sip_address().to_string(), |outer| outer.host.clone())
    }

    fn public_url(&self) -> String {
        let listen = self.http.value.listen;
        let host = match listen.ip().is_unspecified() {
            false => value::host(listen.ip()),
            true => self.media_advertise().map_or_else(|| "localhost".to_owned(), value::host),
        };
        self.http.value.public_url.clone().unwrap_or_else(|| format!("http://{host}:{}", listen.port()))
    }

    /// The configuration; only to be asked for when no fault was found.
    pub(super) fn into_config(self) -> Config {
        let sip = match self.sip.value.domain.is_empty() {
            false => self.sip.value.clone(),
            true => Sip { domain: self.sip_host(), ..self.sip.value.clone() },
        };
        let mut capture = self.capture.value.clone();
        capture.hep.iter_mut().for_each(|hep| hep.node.clone_from(&self.node.value.name));
        let domain = sip.domain.clone();
        let tls = tls::settings(&self);
        let address = self.media_address();
        let advertise = self.media_advertise().unwrap_or(address);
        let public_url = self.public_url();
        let http_voices: Vec<HttpVoice> = values(self.http_voices).into_iter().flatten().collect();
        let voices = match self.voices.places.has("voices") {
            true => self.voices.value,
            false => voices_of_itself(&http_voices),
        };
        let trunks: Vec<Trunk> = values(self.trunks);
        let mut aes: Vec<AeSettings> = values(self.aes);
        for ae in &mut aes {
            ae.uri = ae.uri.replace(HERE, &domain);
            ae.ringing = trunks.iter().find(|trunk| Some(&trunk.name) == ae.trunk.as_ref()).and_then(|trunk| trunk.ringing);
        }
        Config {
            media: Media { address, advertise, ports: self.media.value.ports },
            http: Http { listen: self.http.value.listen, public_url, token: self.http.value.token.clone() },
            sip,
            tls,
            transfer: baton_transfer::Settings {
                budget: self.budget.value,
                callback: CallbackSettings { node: self.node.value.name.clone(), ..self.callback.value },
                ..self.transfer.value
            },
            node: self.node.value,
            store: self.store.value,
            voices,
            http_voices,
            trunks,
            ais: values(self.ais),
            routes: values(self.routes),
            shown: aes.iter().map(|ae| ae.id.clone()).zip(self.shown).collect(),
            phones: aes.iter().map(|ae| ae.id.clone()).zip(self.ae_phones).collect(),
            aes,
            groups: values(self.groups),
            webhooks: values(self.webhooks).into_iter().flatten().collect(),
            recording: self.recording.value,
            transcriber: self.transcriber.value,
            capture,
            telemetry: self.telemetry.value,
            languages: values(self.languages).into_iter().flatten().map(|tongue| (tongue.language, tongue.prompts)).collect(),
        }
    }
}

/// Who speaks where nobody is named: the voices over HTTP, then what this machine has.
fn voices_of_itself(http_voices: &[HttpVoice]) -> Vec<VoiceSpec> {
    let here = [VoiceSpec::Flite("slt".to_owned()), VoiceSpec::EspeakNg("en-us".to_owned())];
    http_voices.iter().map(|voice| VoiceSpec::Http(voice.name.clone())).chain(here).collect()
}

fn values<T>(found: Vec<Found<T>>) -> Vec<T> {
    found.into_iter().map(|found| found.value).collect()
}
