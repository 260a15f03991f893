//! Who is behind which wire: the trunk, the AI and the route of a world, as a story may change them.

use baton_switchboard::{Ai, AiRoute, Allowed, AnswerCaller, Rescue, Route, Trunk, UserToUser};
use baton_transfer::Language;

use super::stage::address;

/// The trunk, the AI and the route.
#[derive(Debug, Clone)]
pub struct Wiring {
    /// The trunk that the caller is behind.
    pub trunk: Trunk,
    /// The only AI; asked once more, it is `ai-again`.
    pub ai: Ai,
    /// How often the route names it.
    pub ais: usize,
    /// When the caller is answered.
    pub answer: AnswerCaller,
    /// The language of the route.
    pub language: Option<Language>,
    /// What is done for a caller without an AI.
    pub rescue: Rescue,
    /// Which numbers the AI may call by INVITE.
    pub ai_calls: Option<String>,
    /// How the AEs are reached.
    pub aes: AesAt,
    /// In which form they are told the transfer.
    pub uui: UserToUser,
}

/// How the AEs are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AesAt {
    /// Each at their own address.
    Home,
    /// Over the trunk's account, still at their own addresses.
    Trunk,
}

impl Default for Wiring {
    fn default() -> Wiring {
        Wiring {
            trunk: Trunk::new("carrier", "sip:10.0.1.1".parse().expect("a URI of an address"), address(1, 5060)),
            ai: Ai::new("agent", "sip:ai@10.0.1.2", address(2, 5060)),
            ais: 1,
            answer: AnswerCaller::default(),
            language: None,
            rescue: Rescue::default(),
            ai_calls: None,
            aes: AesAt::Home,
            uui: UserToUser::Hex,
        }
    }
}

impl Wiring {
    /// Changes one thing, by the name that the configuration has for it; lists are separated by `,`.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Option<()> {
        use baton_switchboard::{AiEnds, AiSilence, CallerId, RescueBy};
        match (key, value) {
            ("route.answer", "immediate") => self.answer = AnswerCaller::Immediate,
            ("route.language", tag) => self.language = Some(tag.parse().ok()?),
            ("route.ais", count) => self.ais = count.parse().ok()?,
            ("route.rescue", "human") => self.rescue.by = RescueBy::Human,
            ("route.rescue", "callback") => self.rescue.by = RescueBy::Callback,
            ("route.rescue", "voicemail") => self.rescue.by = RescueBy::Voicemail,
            ("route.rescue", "none") => self.rescue.by = RescueBy::Nothing,
            ("route.rescue_to", who) => self.rescue.to = Some(who.to_owned()),
            ("ai.calls", pattern) => self.ai_calls = Some(pattern.to_owned()),
            ("ai.bye", "rescue") => self.ai.bye = AiEnds::Rescue,
            ("ai.silence", "ignore") => self.ai.silence = AiSilence::Ignored,
            ("trunk.channels", count) => self.trunk.capacity.channels = Some(count.parse().ok()?),
            ("trunk.reserve", count) => self.trunk.capacity.reserve = count.parse().ok()?,
            ("trunk.cps", count) => self.trunk.capacity.cps = Some(count.parse().ok()?),
            ("trunk.allow", patterns) => {
                self.trunk.allow = Allowed::Patterns(patterns.split(',').map(str::to_owned).collect());
            }
            ("trunk.release", "refer") => self.trunk.releases = true,
            ("trunk.redirect", "follow") => self.trunk.follows_redirects = true,
            ("trunk.country", code) => {
                self.trunk.numbers.country = Some(code.to_owned());
                (self.trunk.numbers.national_prefix, self.trunk.numbers.international_prefix) = ("0".to_owned(), "00".to_owned());
            }
            ("trunk.number", number) => self.trunk.number = Some(number.to_owned()),
            ("trunk.caller_id", "caller") => self.trunk.caller_id = CallerId::Caller,
            ("trunk.caller_id", "own") => self.trunk.caller_id = CallerId::Own,
            ("trunk.ring_max", seconds) => {
                self.trunk.ring_max = std::time::Duration::from_secs(seconds.strip_suffix('s')?.parse().ok()?);
            }
            ("aes.uui", "isdn") => self.uui = UserToUser::Isdn,
            ("aes.over", "trunk") => self.aes = AesAt::Trunk,
            (_, _) => return None,
        }
        Some(())
    }

    pub(super) fn route(&self) -> Route {
        let ais = vec!["agent"; self.ais];
        Route { answer: self.answer, language: self.language, rescue: self.rescue.clone(), ..Route::new("*", &ais) }
    }

    pub(super) fn ai_routes(&self) -> Vec<AiRoute> {
        let one = |to: &String| AiRoute { ai: "agent".to_owned(), to: to.clone(), trunk: "carrier".to_owned() };
        self.ai_calls.iter().map(one).collect()
    }
}
