//! One party's connection.

use std::time::Duration;

use baton_contract::{LegId, LegRole, LegState, LegView};
use baton_media::{Direction, Negotiated, Port, sdp};
use baton_sip::SessionId;
use baton_time::Mono;
use baton_transfer::{Key, KeyPair, Language};
use bytes::Bytes;

use crate::recording::Tracked;
use serde::{Deserialize, Serialize};

/// How long after a key the same key by another way is the same press, in microseconds: RFC 4733 and INFO duplicates.
const SAME_KEY_MICROS: u64 = 200_000;

/// A leg: a SIP session, a media port and what was agreed about it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    pub(crate) role: LegRole,
    pub(crate) session: SessionId,
    pub(crate) state: LegState,
    pub(crate) sip_call_id: String,
    pub(crate) local: sdp::Local,
    pub(crate) media: Agreement,
    /// The trunk that carries it, by its place in the settings.
    pub(crate) trunk: Option<usize>,
    /// The AI at its other end, by its place in the settings.
    pub(crate) ai: Option<usize>,
    /// The language in which whoever is there is spoken to, where they have one of their own.
    pub(crate) language: Option<Language>,
    /// A key that came by INFO and waits for the one that may follow it.
    pub(crate) held_key: Option<char>,
    /// Whether packets come from it.
    pub(crate) sound: Sound,
    /// The track that what it says is written to.
    #[serde(skip)]
    pub(crate) track: Option<Tracked>,
    last_key: Option<(char, Mono)>,
    /// When it pressed the first of the two keys that hand a caller back.
    pair_begun: Option<Mono>,
    /// When its first packet came.
    pub(crate) heard_at: Option<Mono>,
}

/// Whether packets come from a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sound {
    /// They do, or nobody has missed them yet.
    Comes,
    /// They have not for a while.
    Missing,
}

/// How far offer and answer of a leg have come.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Agreement {
    /// Nothing was offered.
    None,
    /// We have offered this.
    Offered(Bytes),
    /// We have offered this, and know where their sound comes from before the answer: early media.
    Early(Bytes, Negotiated),
    /// The answer to their offer is made, and goes out when the leg is answered.
    Answering(Bytes, Negotiated),
    /// Both sides know.
    Agreed(Negotiated),
    /// Both sides know, and we have offered something new.
    Reoffered(Negotiated, Bytes),
}

impl Leg {
    /// A leg at its beginning.
    pub(crate) fn new(id: LegId, role: LegRole, session: SessionId, sip_call_id: String, local: sdp::Local) -> Leg {
        let media = Agreement::None;
        Leg {
            id,
            role,
            session,
            state: LegState::Trying,
            sip_call_id,
            local,
            media,
            trunk: None,
            sound: Sound::Comes,
            ai: None,
            language: None,
            track: None,
            last_key: None,
            pair_begun: None,
            held_key: None,
            heard_at: None,
        }
    }

    /// The media end.
    pub(crate) fn port(&self) -> Port {
        Port(self.local.port)
    }

    /// What was agreed last.
    pub(crate) fn agreed(&self) -> Option<&Negotiated> {
        match &self.media {
            Agreement::Agreed(agreed) | Agreement::Reoffered(agreed, _) | Agreement::Early(_, agreed) => Some(agreed),
            Agreement::None | Agreement::Offered(_) | Agreement::Answering(..) => None,
        }
    }

    /// Whether the leg can hear and be heard.
    pub(crate) fn is_up(&self) -> bool {
        self.state == LegState::Up
    }

    /// Whether the leg has not ended.
    pub(crate) fn is_live(&self) -> bool {
        self.state != LegState::Ended
    }

    /// Whether its sound comes already although it has not answered; an agreement alone is no sound yet.
    pub(crate) fn has_early_media(&self) -> bool {
        self.is_live() && self.heard_at.is_some() && matches!(self.media, Agreement::Early(..))
    }

    /// Whether a key completes the pair that hands a caller back.
    pub(crate) fn completes(&mut self, pair: KeyPair, key: Key, at: Mono, within: Duration) -> bool {
        let begun = self.pair_begun.take().is_some_and(|begun| at.since(begun) <= within);
        if begun && key == pair.then {
            return true;
        }
        self.pair_begun = (key == pair.first).then_some(at);
        false
    }

    /// Whether this party has put us on hold.
    pub(crate) fn holds(&self) -> bool {
        self.agreed().is_some_and(|agreed| matches!(agreed.direction, Direction::RecvOnly | Direction::Inactive))
    }

    /// Whether a key is a new press, not the same one told in a second way.
    pub(crate) fn is_new_press(&mut self, digit: char, at: Mono) -> bool {
        let repeated =
            self.last_key.is_some_and(|(last, when)| last == digit && at.since(when).as_micros() < u128::from(SAME_KEY_MICROS));
        if !repeated {
            self.last_key = Some((digit, at));
        }
        !repeated
    }

    /// The leg as the API shows it.
    pub(crate) fn view(&self) -> LegView {
        LegView {
            id: self.id,
            role: self.role,
            state: self.state,
            sip_call_id: self.sip_call_id.clone(),
            codec: self.agreed().map(|agreed| agreed.codec.name().to_owned()),
        }
    }
}
