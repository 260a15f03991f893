//! `[[trunk]]`, `[[ai]]` and `[[route]]`: who calls come from, who talks, and which goes where.

use baton_switchboard::{
    AiEnds, AiRoute, AiSilence, Allowed, AnswerCaller, CallerId, Capacity, ColdWay, Outsiders, RING_MAX, Rescue, RescueBy,
    UserToUser,
};

use super::read::limits;
use super::settings::{Ai, Credentials, Route, RouteIn, RtpPath, Trunk};
use super::value::one_of;
use super::walk::{Found, Parsed, Section, Walk};
use super::{lines, tls, uri, value};

/// The most channels or calls per second that a trunk may have.
const COUNT_MAX: u32 = 100_000;

pub(super) fn read_trunk(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Trunk> {
    let name = at.required(walk, "name", "\"carrier\"", value::id).unwrap_or_default();
    let uri = at.required(walk, "uri", "\"sip:192.0.2.1:5060\"", uri::trunk).unwrap_or_default();
    let own = || uri::address(&uri).and_then(|address| address.to_string().parse().ok()).into_iter().collect();
    let sources = at.list(walk, "sources", true, value::network).unwrap_or_else(own);
    let username = at.text(walk, "username", value::plain);
    let password = at.text(walk, "password", value::secret);
    let credentials = match (username, password) {
        (Some(username), Some(password)) => Some(Credentials { username, password }),
        (None, None) => None,
        (Some(_), None) => at.incomplete(walk, "username", "password"),
        (None, Some(_)) => at.incomplete(walk, "password", "username"),
    };
    let tls = tls::of_peer(walk, &mut at, &uri, &sources);
    let line = lines::trunk(walk, &mut at, credentials.is_some());
    let trunk = Trunk {
        name,
        uri,
        sources,
        tls,
        credentials,
        ringing: limits(walk, &mut at, "ringing"),
        rtp: at.text(walk, "rtp", value::rtp).unwrap_or(RtpPath::Symmetric),
        allow: at.list(walk, "allow", true, value::pattern).map_or(Allowed::Usual, Allowed::Patterns),
        ring_max: at.text(walk, "ring_max", value::span).unwrap_or(RING_MAX),
        caller_id: at.text(walk, "caller_id", caller_id).unwrap_or_default(),
        number: at.text(walk, "number", value::number),
        capacity: capacity(walk, &mut at),
        cold_by: at.text(walk, "cold", cold_by).unwrap_or_default(),
        line,
    };
    at.finish(walk, &["srtp"], trunk)
}

/// `channels`, `reserve`, `cps`; a tenth of the channels is kept where nothing is said.
fn capacity(walk: &mut Walk<'_>, at: &mut Section<'_>) -> Capacity {
    let channels = at.count(walk, "channels", 1..=COUNT_MAX);
    let reserve = at.count(walk, "reserve", 0..=COUNT_MAX);
    let cps = at.count(walk, "cps", 1..=COUNT_MAX);
    match (channels, reserve) {
        (None, Some(_)) if !at.has("channels") => {
            at.fault(walk, "reserve", "stands without `channels`, of which it would be a part, write both or neither");
        }
        (Some(channels), Some(reserve)) if reserve >= channels => {
            let what = format!("keeps all {channels} channels, no call would ever come in, write at most {}", channels - 1);
            at.fault(walk, "reserve", what);
        }
        (_, _) => {}
    }
    Capacity { channels, reserve: reserve.unwrap_or_else(|| channels.unwrap_or(0) / 10), cps }
}

pub(super) fn read_ai(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Ai> {
    let name = at.required(walk, "name", "\"agent\"", value::id).unwrap_or_default();
    let uri = at.required(walk, "uri", "\"sip:ai@127.0.0.1:5080\"", uri::ai).unwrap_or_default();
    let ai = Ai {
        phone: lines::phone(walk, &mut at, &name),
        name,
        tls: tls::of_peer(walk, &mut at, &uri.replace("{to}", "0"), &[]),
        uri,
        outsiders: at.text(walk, "refer", outsiders).unwrap_or_default(),
        trust_context: at.flag(walk, "trust_context").unwrap_or(true),
        bye: at.text(walk, "bye", bye).unwrap_or_default(),
        silence: at.text(walk, "silence", silence).unwrap_or_default(),
    };
    at.finish(walk, &["door"], ai)
}

pub(super) fn read_route(walk: &mut Walk<'_>, mut at: Section<'_>) -> Found<Route> {
    let to = at.text(walk, "to", value::pattern).unwrap_or_else(|| "*".to_owned());
    let from = at.text(walk, "from", from_ai);
    if at.has("from") {
        let trunk = at.required(walk, "trunk", "\"carrier\"", value::id).unwrap_or_default();
        for key in ["ai", "answer", "language", "rescue", "rescue_to"] {
            if at.skip(key) {
                at.fault(walk, key, "is for calls that come in, this route is for those that an AI places, leave it out");
            }
        }
        return at.finish(walk, &[], Route::FromAi(AiRoute { ai: from.unwrap_or_default(), to, trunk }));
    }
    let ais = at.required_list(walk, "ai", "\"agent\"", value::id).unwrap_or_default();
    let trunk = at.text(walk, "trunk", value::id);
    let answer = at.text(walk, "answer", answer).unwrap_or_default();
    let language = at.text(walk, "language", value::language);
    let by = at.text(walk, "rescue", rescue).unwrap_or_default();
    let rescue = Rescue { by, to: at.text(walk, "rescue_to", value::id) };
    if rescue.to.is_some() && by == RescueBy::Nothing {
        at.fault(walk, "rescue_to", "names somebody, but `rescue = \"none\"` asks nobody, leave one of them out");
    }
    at.finish(walk, &[], Route::In(RouteIn { to, ais, trunk, answer, language, rescue }))
}

/// `own | caller`
pub(super) fn caller_id(text: &str) -> Parsed<CallerId> {
    match text {
        "own" => Ok(CallerId::Own),
        "caller" => Ok(CallerId::Caller),
        _ => one_of(text, &["own", "caller"], &[]),
    }
}

/// `hex | isdn`
pub(super) fn uui(text: &str) -> Parsed<UserToUser> {
    match text {
        "hex" => Ok(UserToUser::Hex),
        "isdn" => Ok(UserToUser::Isdn),
        _ => one_of(text, &["hex", "isdn"], &[]),
    }
}

/// `bridge | refer`
fn cold_by(text: &str) -> Parsed<ColdWay> {
    match text {
        "bridge" => Ok(ColdWay::Bridge),
        "refer" => Ok(ColdWay::Refer),
        _ => one_of(text, &["bridge", "refer"], &[]),
    }
}

/// `cold | deny`
fn outsiders(text: &str) -> Parsed<Outsiders> {
    match text {
        "cold" => Ok(Outsiders::Cold),
        "deny" => Ok(Outsiders::Deny),
        _ => one_of(text, &["cold", "deny"], &[]),
    }
}

/// `end | rescue`
fn bye(text: &str) -> Parsed<AiEnds> {
    match text {
        "end" => Ok(AiEnds::Call),
        "rescue" => Ok(AiEnds::Rescue),
        _ => one_of(text, &["end", "rescue"], &[]),
    }
}

/// `rescue | ignore`
fn silence(text: &str) -> Parsed<AiSilence> {
    match text {
        "rescue" => Ok(AiSilence::Rescue),
        "ignore" => Ok(AiSilence::Ignored),
        _ => one_of(text, &["rescue", "ignore"], &[]),
    }
}

/// `on_ai | immediate`
fn answer(text: &str) -> Parsed<AnswerCaller> {
    match text {
        "on_ai" => Ok(AnswerCaller::OnAi),
        "immediate" => Ok(AnswerCaller::Immediate),
        _ => one_of(text, &["on_ai", "immediate"], &[]),
    }
}

/// `human | callback | voicemail | none`
fn rescue(text: &str) -> Parsed<RescueBy> {
    match text {
        "human" => Ok(RescueBy::Human),
        "callback" => Ok(RescueBy::Callback),
        "voicemail" => Ok(RescueBy::Voicemail),
        "none" => Ok(RescueBy::Nothing),
        _ => one_of(text, &["human", "callback", "voicemail", "none"], &[]),
    }
}

/// `ai:NAME`
fn from_ai(text: &str) -> Parsed<String> {
    let name = text.strip_prefix("ai:").filter(|name| !name.is_empty());
    value::id(name.ok_or_else(|| format!("`{text}` names no AI, write `ai:agent`"))?)
}
