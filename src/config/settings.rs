//! What a configuration says once everything in it has been checked. Wrong values do not exist in here.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use baton_contract::AeId;
use baton_sip::digest::Algorithms;
use baton_sip::{SessionIds, Transport};
use baton_switchboard::{
    AiEnds, AiRoute, AiSilence, Allowed, AnswerCaller, CallerId, Capacity, ColdWay, Network, NumberPlan, Outsiders, Rescue,
    Strangers, UserToUser,
};
use baton_transfer::{AeSettings, GroupSettings, Language, Limits};

use crate::capture::CaptureSettings;
use crate::fetch::{Reach, Target};
use crate::telemetry::TelemetrySettings;
use crate::tls::{Peer, TlsSettings};
use crate::webhook::Hook;

/// A whole configuration.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// This node.
    pub(crate) node: Node,
    /// Where SIP is spoken.
    pub(crate) sip: Sip,
    /// Certificates, and who is trusted.
    pub(crate) tls: TlsSettings,
    /// Where RTP is spoken.
    pub(crate) media: Media,
    /// Where HTTP is spoken.
    pub(crate) http: Http,
    /// Where facts are kept.
    pub(crate) store: Store,
    /// How a transfer goes: `[budget]`, `[transfer]` and the length of `[briefing]`.
    pub(crate) transfer: baton_transfer::Settings,
    /// Who speaks briefings: the first that can.
    pub(crate) voices: Vec<VoiceSpec>,
    /// Voices over HTTP, in the order of the file.
    pub(crate) http_voices: Vec<HttpVoice>,
    /// Trunks and PBXs, in the order of the file.
    pub(crate) trunks: Vec<Trunk>,
    /// AIs, in the order of the file.
    pub(crate) ais: Vec<Ai>,
    /// Where calls go; the first match wins.
    pub(crate) routes: Vec<Route>,
    /// The humans who take over, in the order of the file.
    pub(crate) aes: Vec<AeSettings>,
    /// What their phones are shown.
    pub(crate) shown: BTreeMap<AeId, Shown>,
    /// Their phones.
    pub(crate) phones: BTreeMap<AeId, Phone>,
    /// Groups of them, in the order of the file.
    pub(crate) groups: Vec<GroupSettings>,
    /// Who hears of events.
    pub(crate) webhooks: Vec<Hook>,
    /// What is recorded, and where to.
    pub(crate) recording: Recording,
    /// Who writes down what was said; nobody if it is absent.
    pub(crate) transcriber: Option<Transcriber>,
    /// What is done with what is spoken in SIP.
    pub(crate) capture: CaptureSettings,
    /// Who is told what took how long; nobody if it is absent.
    pub(crate) telemetry: Option<TelemetrySettings>,
    /// The languages that were configured, and where recordings and texts of what Baton says lie.
    pub(crate) languages: BTreeMap<Language, Option<PathBuf>>,
}

/// What an AE's phone is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Whose number, where that is said.
    pub(crate) caller_id: Option<CallerId>,
    /// In which form User-to-User.
    pub(crate) uui: UserToUser,
}

/// `[node]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// The name of this node.
    pub(crate) name: String,
}

/// `[sip]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sip {
    /// The sockets, at least one.
    pub(crate) listen: Vec<Listen>,
    /// What Contact and Via say instead of the address that is listened on; the first that fits.
    pub(crate) advertise: Vec<Advertise>,
    /// The host of From and of our own addresses of record; never empty.
    pub(crate) domain: String,
    /// What a stranger hears who asks by OPTIONS whether we are there.
    pub(crate) strangers: Strangers,
    /// Who is told a Session-ID.
    pub(crate) session_ids: SessionIds,
    /// Who is asked for names; whoever this machine asks if none is configured.
    pub(crate) nameservers: Vec<SocketAddr>,
}

/// A socket that SIP listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listen {
    /// How messages come.
    pub(crate) transport: Transport,
    /// Where.
    pub(crate) address: SocketAddr,
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.name().to_ascii_lowercase(), self.address)
    }
}

/// A host that others know us by, and the port if it differs from the one that is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advertise {
    /// The only transport that it is for.
    pub(crate) transport: Option<Transport>,
    /// An address or a name; an IPv6 address without brackets.
    pub(crate) host: String,
    /// The port.
    pub(crate) port: Option<u16>,
}

impl Sip {
    /// What is said instead of this address: the first that is for its transport and, if it is an address, of its family.
    pub(crate) fn advertised(&self, transport: Transport, bound: IpAddr) -> Option<&Advertise> {
        self.advertise.iter().find(|outer| {
            let is_family = outer.host.parse::<IpAddr>().map_or(true, |host| host.is_ipv4() == bound.is_ipv4());
            outer.transport.is_none_or(|only| only == transport) && is_family
        })
    }
}

/// `[media]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Media {
    /// The address that RTP sockets are bound to.
    pub(crate) address: IpAddr,
    /// The address that SDP names.
    pub(crate) advertise: IpAddr,
    /// The lowest and the highest port, both included; RTP takes the even ones, RTCP the odd ones above them.
    pub(crate) ports: (u16, u16),
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Http {
    /// The socket.
    pub(crate) listen: SocketAddr,
    /// Scheme, host and port of links to us, without a slash at the end.
    pub(crate) public_url: String,
    /// The bearer token that every request of the API needs; `None` on loopback only.
    pub(crate) token: Option<Secret>,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    /// `sqlite:PATH`; a relative path starts in the working directory.
    pub(crate) url: String,
    /// How long calls, their transfers and callbacks are kept once they are over; absent: for ever.
    pub(crate) keep: Option<Duration>,
}

/// `[recording]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recording {
    /// The folder; without one nothing is recorded.
    pub(crate) dir: Option<PathBuf>,
    /// How long recordings are kept; absent: for ever.
    pub(crate) keep: Option<Duration>,
    /// Which calls.
    pub(crate) settings: baton_switchboard::RecordingSettings,
}

/// `[[voice]]`: a voice behind `POST …/audio/speech`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpVoice {
    /// Its name in `briefing.voices`.
    pub(crate) name: String,
    /// What `/audio/speech` is appended to.
    pub(crate) target: Target,
    /// The model.
    pub(crate) model: String,
    /// The voice of the model.
    pub(crate) voice: String,
    /// The bearer token.
    pub(crate) key: Option<Secret>,
    /// The language that it speaks; every one if it is absent.
    pub(crate) language: Option<String>,
    /// How long it may take before the next voice is asked.
    pub(crate) within: Duration,
    /// Which addresses it may have.
    pub(crate) reach: Reach,
}

/// `[transcribe]`: speech to text behind `POST …/audio/transcriptions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transcriber {
    /// What `/audio/transcriptions` is appended to.
    pub(crate) target: Target,
    /// The model.
    pub(crate) model: String,
    /// The bearer token.
    pub(crate) key: Option<Secret>,
    /// The language that is spoken; guessed by the model if it is absent.
    pub(crate) language: Option<String>,
    /// How long it may take.
    pub(crate) within: Duration,
    /// Which addresses it may have.
    pub(crate) reach: Reach,
}

/// Something that turns text into sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VoiceSpec {
    /// A directory with `NAME.wav` and `NAME.txt`, looked up by text.
    Files(PathBuf),
    /// The program flite with one of its voices.
    Flite(String),
    /// The program espeak-ng with one of its voices.
    EspeakNg(String),
    /// The `[[voice]]` of this name.
    Http(String),
}

/// `[[trunk]]`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trunk {
    /// Its name.
    pub(crate) name: String,
    /// Where calls to it go.
    pub(crate) uri: String,
    /// Addresses that are this trunk; the host of `uri` alone if none is configured and it is an address.
    pub(crate) sources: Vec<Network>,
    /// What it is told after 401 and 407.
    pub(crate) credentials: Option<Credentials>,
    /// Its own limits of the stage `ringing`.
    pub(crate) ringing: Option<Limits>,
    /// Where its RTP is sent.
    pub(crate) rtp: RtpPath,
    /// What may be dialled over it.
    pub(crate) allow: Allowed,
    /// How long somebody who is dialled over it may ring.
    pub(crate) ring_max: Duration,
    /// Whose number its calls show.
    pub(crate) caller_id: CallerId,
    /// Our own number on it.
    pub(crate) number: Option<String>,
    /// How many calls it carries.
    pub(crate) capacity: Capacity,
    /// How a caller of it is passed on to somebody outside.
    pub(crate) cold_by: ColdWay,
    /// What it says about TLS for itself.
    pub(crate) tls: Option<Peer>,
    /// Registration, passwords of its calls, health and numbers.
    pub(crate) line: TrunkLine,
}

/// What a trunk says of registrations, passwords, health and numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TrunkLine {
    /// Whether we register with it.
    pub(crate) registers: bool,
    /// The registrar's domain; the host of `uri` if none is configured.
    pub(crate) registrar: Option<String>,
    /// How long a registration shall last.
    pub(crate) expires: Duration,
    /// What calls from it must prove.
    pub(crate) inbound: Option<Credentials>,
    /// By which algorithms.
    pub(crate) inbound_digest: Algorithms,
    /// How often it is asked by OPTIONS whether it is there.
    pub(crate) options: Option<Duration>,
    /// Whether calls over it go where a 3xx leads.
    pub(crate) follows_redirects: bool,
    /// Whether calls are let go once caller and human are both on it.
    pub(crate) releases: bool,
    /// How it writes numbers.
    pub(crate) numbers: NumberPlan,
}

/// What is said of the phone of an AE or an AI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Phone {
    /// With what it registers.
    pub(crate) account: Option<Credentials>,
    /// By which algorithms it proves its password.
    pub(crate) digest: Algorithms,
    /// Whether it, or its PBX, is asked to tell its dialogs.
    pub(crate) watches_dialogs: bool,
}

/// User name and password for digest authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// The user name.
    pub(crate) username: String,
    /// The password.
    pub(crate) password: Secret,
}

/// Where RTP is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RtpPath {
    /// To where it comes from.
    Symmetric,
    /// To where SDP says.
    Signalled,
}

/// `[[ai]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ai {
    /// Its name.
    pub(crate) name: String,
    /// Its URI; `{to}` stands for the dialled number.
    pub(crate) uri: String,
    /// Whether `X-Baton-*` and `User-to-User` from it are believed.
    pub(crate) trust_context: bool,
    /// What becomes of its REFER to somebody who is neither an AE nor a group.
    pub(crate) outsiders: Outsiders,
    /// What its BYE means while no transfer runs.
    pub(crate) bye: AiEnds,
    /// What it means that nothing is heard of it.
    pub(crate) silence: AiSilence,
    /// What it says about TLS for itself.
    pub(crate) tls: Option<Peer>,
    /// With what it registers.
    pub(crate) phone: Phone,
}

/// `[[route]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// Of calls that come in.
    In(RouteIn),
    /// Of calls that an AI places.
    FromAi(AiRoute),
}

/// A route of calls that come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteIn {
    /// Pattern for the dialled user; `*` stands for any run of characters.
    pub(crate) to: String,
    /// Names of the AIs, in the order in which they are tried; at least one.
    pub(crate) ais: Vec<String>,
    /// Only calls from this trunk.
    pub(crate) trunk: Option<String>,
    /// When the caller is answered.
    pub(crate) answer: AnswerCaller,
    /// The language in which its callers are spoken to.
    pub(crate) language: Option<Language>,
    /// What is done for a caller without an AI.
    pub(crate) rescue: Rescue,
}

impl Config {
    /// How much of what there is, for people: `1 trunk, 1 AI, 1 route, 2 AEs, 0 groups`.
    pub(crate) fn summary(&self) -> String {
        let counts = [
            ("trunk", self.trunks.len()),
            ("AI", self.ais.len()),
            ("route", self.routes.len()),
            ("AE", self.aes.len()),
            ("group", self.groups.len()),
        ];
        let parts = counts.iter().map(|(what, count)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }));
        parts.collect::<Vec<_>>().join(", ")
    }
}
