//! What the switchboard is told at start: peers, routes and limits, all of it checked and resolved.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use baton_contract::AeId;
use baton_media::{Clip, Sources};
use baton_sip::Hop;
use baton_transfer::{Language, Line};

use crate::destinations::Allowed;

/// Everything that a switchboard needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What From and Contact call us.
    pub domain: String,
    /// The address that SDP names.
    pub media_address: IpAddr,
    /// Peers that are trunks, in the order of the configuration.
    pub trunks: Vec<Trunk>,
    /// AIs by name.
    pub ais: Vec<Ai>,
    /// Where calls go; the first match wins.
    pub routes: Vec<Route>,
    /// Where calls go that AIs place; the first match wins.
    pub ai_routes: Vec<AiRoute>,
    /// How each AE is reached.
    pub aes: BTreeMap<AeId, AeLine>,
    /// Rules of a transfer.
    pub transfer: baton_transfer::Settings,
    /// The spoken lines, in English; shared, because there are many and they are never changed.
    pub prompts: Arc<BTreeMap<Line, Arc<Clip>>>,
    /// The same in other languages, as far as there are recordings of them.
    pub tongues: BTreeMap<Language, BTreeMap<Line, Arc<Clip>>>,
    /// Where screen-pop links point: scheme, host and port.
    pub public_url: String,
    /// How long a screen-pop link is good.
    pub pop_link_ttl: Duration,
    /// How fast the voice of the briefing speaks.
    pub words_per_second: f64,
    /// How long an AI may take to answer before the next one is tried.
    pub ai_answer_max: Duration,
    /// Which calls are recorded.
    pub recording: crate::RecordingSettings,
    /// What a stranger hears who asks by OPTIONS whether we are there.
    pub strangers: Strangers,
    /// Makes the switchboard misbehave on purpose, so that a self-test can show that it is noticed.
    pub sabotage: Option<Sabotage>,
}

/// What a stranger hears who asks by OPTIONS whether we are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strangers {
    /// 403.
    #[default]
    Refused,
    /// Nothing.
    Silence,
    /// What everybody hears.
    Answered,
}

/// Misbehaviour on purpose, for self-tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// The AE's phone goes on ringing when the caller has left.
    NoCancel,
    /// A port that a leg has left is never used again.
    KeepPorts,
}

/// A SIP trunk or PBX.
#[derive(Debug, Clone)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// Where calls to it go.
    pub uri: baton_sip::wire::Uri,
    /// The address behind `uri`.
    pub address: SocketAddr,
    /// Addresses that are this trunk.
    pub sources: Vec<Network>,
    /// What it asks for with 401 and 407.
    pub credentials: Option<Credentials>,
    /// Where its RTP is sent.
    pub rtp: Sources,
    /// What may be dialled over it.
    pub allow: Allowed,
    /// How long somebody who is dialled over it may ring, unless whoever dials says otherwise.
    pub ring_max: Duration,
    /// Whose number its calls show.
    pub caller_id: CallerId,
    /// Our own number on it.
    pub number: Option<String>,
    /// How many calls it carries.
    pub capacity: Capacity,
    /// How a caller of it is passed on to somebody outside.
    pub cold_by: ColdWay,
    /// All its addresses, the first to be tried first; `address` alone where there are none.
    pub hops: Vec<Hop>,
    /// With which registrar we register, and as whom.
    pub registration: Option<crate::Registering>,
    /// The user name that calls from it must prove; its `sources` alone say who it is where there is none. Without `sources` whoever proves it is
    /// this trunk.
    pub caller_account: Option<String>,
    /// How often it is asked by OPTIONS whether it is there; never, where nothing is said.
    pub options: Option<Duration>,
    /// How it writes numbers.
    pub numbers: crate::NumberPlan,
    /// Whether a call over it goes where a 3xx leads, if that may be dialled over it.
    pub follows_redirects: bool,
    /// Whether a call is let go once a human has it, where caller and human are both on this trunk.
    pub releases: bool,
}

/// Whose number a call shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallerId {
    /// Ours.
    #[default]
    Own,
    /// The caller's.
    Caller,
}

/// How many calls a trunk carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Calls at the same time; none: as many as come.
    pub channels: Option<u32>,
    /// How many of them are kept for consults, callbacks and hand-backs.
    pub reserve: u32,
    /// New calls in a second, in both directions; none: as many as come.
    pub cps: Option<u32>,
}

/// How a caller is passed on to somebody outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ColdWay {
    /// Baton dials, and stays in between.
    #[default]
    Bridge,
    /// The trunk is asked to, by REFER; where it refuses, Baton dials.
    Refer,
}

impl Trunk {
    /// A trunk as it is where nothing else is said: any source but its own address is a stranger, no limits, no password.
    pub fn new(name: &str, uri: baton_sip::wire::Uri, address: SocketAddr) -> Trunk {
        Trunk {
            name: name.to_owned(),
            uri,
            address,
            sources: vec![Network::only(address.ip())],
            credentials: None,
            rtp: Sources::Symmetric,
            allow: Allowed::Usual,
            ring_max: RING_MAX,
            caller_id: CallerId::Own,
            number: None,
            capacity: Capacity::default(),
            cold_by: ColdWay::Bridge,
            hops: Vec::new(),
            registration: None,
            caller_account: None,
            options: None,
            numbers: crate::NumberPlan::default(),
            follows_redirects: false,
            releases: false,
        }
    }

    /// The same at these addresses.
    #[must_use]
    pub fn at(self, hops: Vec<Hop>) -> Trunk {
        Trunk { hops, ..self }
    }

    /// Whether `host` is this trunk.
    pub(crate) fn is_at(&self, host: &baton_sip::wire::HostPort) -> bool {
        self.uri.host_port().is_some_and(|own| own.host == host.host && own.port.unwrap_or(5060) == host.port.unwrap_or(5060))
    }

    /// What it is told after 401 and 407.
    pub(crate) fn answers(&self) -> Option<baton_sip::digest::Credentials> {
        self.credentials.as_ref().map(|own| baton_sip::digest::Credentials::new(&own.username, &own.password))
    }
}

/// How long somebody who is dialled over a trunk rings, unless it is configured: carriers give up after a minute.
pub const RING_MAX: Duration = Duration::from_secs(45);

/// User name and password for digest authentication.
#[derive(Clone)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// An AI that speaks SIP.
#[derive(Debug, Clone)]
pub struct Ai {
    /// Its name.
    pub name: String,
    /// Its URI; `{to}` stands for the dialled number.
    pub uri: String,
    /// The address behind `uri`; the first of `hops` where there are several.
    pub address: SocketAddr,
    /// All its addresses, the first to be tried first; `address` alone where there are none.
    pub hops: Vec<Hop>,
    /// The account with which it registers; it is called where it has registered then.
    pub account: Option<String>,
    /// Whether `X-Baton-*` and `User-to-User` from it are believed.
    pub trust_context: bool,
    /// What becomes of its REFER to somebody who is neither an AE nor a group.
    pub outsiders: Outsiders,
    /// What its BYE means while no transfer runs.
    pub bye: AiEnds,
    /// What it means that nothing is heard of it for [`AI_LOST_AFTER_MS`].
    pub silence: AiSilence,
}

/// What becomes of a REFER to somebody who is neither an AE nor a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outsiders {
    /// A cold transfer, where the trunk's `allow` permits.
    #[default]
    Cold,
    /// 403.
    Deny,
}

/// What an AI's BYE means while no transfer runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AiEnds {
    /// The conversation is over. A BYE whose Reason tells of a failure still means that the AI has died.
    #[default]
    Call,
    /// The AI has died: the plan runs.
    Rescue,
}

/// What it means that an AI sends no RTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AiSilence {
    /// It has died: the plan runs.
    #[default]
    Rescue,
    /// It says nothing.
    Ignored,
}

/// An AI of which nothing has been heard for so long has died, in milliseconds.
pub const AI_LOST_AFTER_MS: u64 = 10_000;

impl Ai {
    /// The same at these addresses.
    #[must_use]
    pub fn at(self, hops: Vec<Hop>) -> Ai {
        Ai { hops, ..self }
    }

    /// An AI as it is where nothing else is said.
    pub fn new(name: &str, uri: &str, address: SocketAddr) -> Ai {
        Ai {
            name: name.to_owned(),
            uri: uri.to_owned(),
            address,
            hops: Vec::new(),
            account: None,
            trust_context: true,
            outsiders: Outsiders::Cold,
            bye: AiEnds::Call,
            silence: AiSilence::Rescue,
        }
    }
}

/// Which AI takes which calls.
#[derive(Debug, Clone)]
pub struct Route {
    /// Pattern for the dialled user; `*` stands for any run of characters.
    pub to: String,
    /// Only calls from this trunk.
    pub trunk: Option<String>,
    /// Names of the AIs, in the order in which they are tried.
    pub ais: Vec<String>,
    /// When the caller is answered.
    pub answer: AnswerCaller,
    /// The language in which its callers are spoken to; absent: as everybody.
    pub language: Option<Language>,
    /// What is done for a caller whose AI cannot be had or has died.
    pub rescue: Rescue,
}

/// When a caller is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AnswerCaller {
    /// As soon as the AI has answered.
    #[default]
    OnAi,
    /// At once; the caller hears ringing until the AI is there.
    Immediate,
}

/// What is done for a caller without an AI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rescue {
    /// By which way.
    pub by: RescueBy,
    /// The AE or group that is asked; whoever suits where nobody is named.
    pub to: Option<String>,
}

/// By which way a caller without an AI is helped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RescueBy {
    /// A human, and a callback where none can be had.
    #[default]
    Human,
    /// A callback.
    Callback,
    /// A recorded line: the caller leaves a message.
    Voicemail,
    /// Not at all: the caller is refused, or the call ends.
    Nothing,
}

/// Calls that an AI places by INVITE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AiRoute {
    /// The name of the AI.
    pub ai: String,
    /// Pattern for the dialled number.
    pub to: String,
    /// The name of the trunk that carries them.
    pub trunk: String,
}

impl Route {
    /// Every call that fits `to` goes to these AIs.
    pub fn new(to: &str, ais: &[&str]) -> Route {
        Route {
            to: to.to_owned(),
            trunk: None,
            ais: ais.iter().map(|ai| (*ai).to_owned()).collect(),
            answer: AnswerCaller::OnAi,
            language: None,
            rescue: Rescue::default(),
        }
    }
}

/// How an AE is reached.
#[derive(Debug, Clone)]
pub struct AeLine {
    /// The URI that is dialled.
    pub uri: baton_sip::wire::Uri,
    /// Where the INVITE is sent.
    pub address: SocketAddr,
    /// The trunk that carries the call, by its place in [`Settings::trunks`].
    pub trunk: Option<usize>,
    /// Whether the payload's headers go with the INVITE.
    pub trusted: bool,
    /// Whose number they are shown; what their trunk says where nothing is said.
    pub caller_id: Option<CallerId>,
    /// How their phone is told the transfer.
    pub uui: UserToUser,
    /// All addresses behind `uri`, the first to be tried first; `address` alone where there are none.
    pub hops: Vec<Hop>,
    /// The account with which their phone registers; it is called where it has registered then.
    pub account: Option<String>,
    /// Whether their phone, or its PBX, is asked to tell its dialogs (RFC 4235).
    pub watches_dialogs: bool,
}

/// In which form User-to-User is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserToUser {
    /// As RFC 7433 has it: the transfer's id.
    #[default]
    Hex,
    /// As exchanges hand it on to ISDN (RFC 7434).
    Isdn,
}

impl AeLine {
    /// A phone at a fixed address.
    pub fn new(uri: baton_sip::wire::Uri, address: SocketAddr) -> AeLine {
        AeLine {
            uri,
            address,
            trunk: None,
            trusted: true,
            caller_id: None,
            uui: UserToUser::Hex,
            hops: Vec::new(),
            account: None,
            watches_dialogs: false,
        }
    }
}

/// A range of addresses: `192.0.2.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a range of addresses is written `192.0.2.0/24` or `2001:db8::/32`")]
pub struct NetworkError;

impl Network {
    /// The range of one address.
    pub fn only(address: IpAddr) -> Network {
        Network { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Whether `address` lies in this range; an IPv4 address may come mapped into IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(one)) => {
                same_prefix(u128::from(net.to_bits()) << 96, u128::from(one.to_bits()) << 96, self.prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(one)) => same_prefix(net.to_bits(), one.to_bits(), self.prefix),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, prefix: u8) -> bool {
    prefix == 0 || (a ^ b) >> (128 - u32::from(prefix)) == 0
}

impl std::str::FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Network, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| NetworkError)?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(widest), |text| text.parse().map_err(|_| NetworkError))?;
        if prefix > widest { Err(NetworkError) } else { Ok(Network { address, prefix }) }
    }
}

impl Settings {
    /// The route of a call to `user` that came over `trunk`.
    pub(crate) fn route_for(&self, user: &str, trunk: &str) -> Option<&Route> {
        self.routes.iter().find(|route| glob(&route.to, user) && route.trunk.as_deref().is_none_or(|name| name == trunk))
    }

    /// The AIs for a call to `user` that came over `trunk`, by their places, in the order in which they are tried.
    pub(crate) fn ai_places_for(&self, user: &str, trunk: &str) -> Vec<usize> {
        let Some(route) = self.route_for(user, trunk) else { return Vec::new() };
        route.ais.iter().filter_map(|name| self.ai_named(name)).collect()
    }

    /// The place of the AI with this name.
    pub(crate) fn ai_named(&self, name: &str) -> Option<usize> {
        self.ais.iter().position(|ai| ai.name == name)
    }
}

/// Whether `pattern`, in which `*` stands for any run of characters, describes all of `text`.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last_piece = None;
    for piece in pieces {
        if let Some(held) = last_piece.replace(piece) {
            match rest.find(held) {
                Some(at) => rest = &rest[at + held.len()..],
                None => return false,
            }
        }
    }
    match last_piece {
        Some(tail) => rest.ends_with(tail),
        None => rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("+1*", "+15550100", true),
            ("+1*", "+441", false),
            ("*100", "+15550100", true),
            ("sales", "sales", true),
            ("sales", "sales2", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_network_holds_its_own_addresses_only() {
        let net: Network = "127.0.0.0/8".parse().unwrap();
        assert!(net.contains("127.9.9.9".parse().unwrap()));
        assert!(net.contains("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!net.contains("128.0.0.1".parse().unwrap()));
        assert!("2001:db8::/32".parse::<Network>().unwrap().contains("2001:db8::1".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Network>().unwrap().contains("9.9.9.9".parse().unwrap()));
        assert_eq!("127.0.0.1/33".parse::<Network>(), Err(NetworkError));
        assert_eq!("localhost".parse::<Network>(), Err(NetworkError));
    }
}
