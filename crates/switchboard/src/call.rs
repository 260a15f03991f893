//! Everything that happens for one caller.

use std::collections::{BTreeMap, VecDeque};

use baton_contract::{
    At, CallDirection, CallEnd, CallId, CallState, CallView, Context, Driver, LegId, LegRole, TransferId, TransferView,
};
use baton_media::{PlayId, Playlist, RoomId};
use baton_sip::{ReferId, SessionId};
use baton_time::Wall;
use baton_transfer::{Progress, SayId, SceneName, Transfer};

use crate::beginning::Beginning;
use crate::connecting::Recall;
use crate::leg::Leg;
use crate::outbound::Opening;
use crate::recording::{Recording, Taking};
use crate::texts::Thread;
use serde::{Deserialize, Serialize};

/// How many ended legs a call keeps in its view.
const ENDED_LEGS_MAX: usize = 16;

/// How many past transfers a call keeps.
const PAST_TRANSFERS_MAX: usize = 16;

/// A call: its legs, who hears whom, and the transfer that runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) room: RoomId,
    pub(crate) from: String,
    pub(crate) to: String,
    /// How it began.
    pub(crate) beginning: Beginning,
    /// The name of the trunk that carries the caller.
    pub(crate) trunk: String,
    pub(crate) started: Wall,
    pub(crate) phase: Phase,
    /// In the order in which they began.
    pub(crate) legs: Vec<Leg>,
    pub(crate) driver: Driver,
    pub(crate) context: Context,
    pub(crate) scene: SceneName,
    pub(crate) scene_serial: u64,
    pub(crate) caller_speech: Option<Speech>,
    pub(crate) ae_speech: Option<(LegId, Speech)>,
    /// The AE leg that scenes mean.
    pub(crate) consult: Option<LegId>,
    /// Boxed: most calls have none.
    pub(crate) transfer: Option<Box<Running>>,
    /// The leg of the human who had the caller last.
    pub(crate) human_leg: Option<LegId>,
    /// Whether the AI was told to rest.
    pub(crate) rests: Rests,
    /// How far its recording has come; none before the first scene.
    #[serde(skip)]
    pub(crate) recording: Option<Recording>,
    /// The message that the caller is leaving.
    #[serde(skip)]
    pub(crate) message: Option<Taking>,
    pub(crate) past: Vec<TransferView>,
    /// Which transfer an idempotency key has asked for.
    pub(crate) keys: Vec<(String, TransferId)>,
    /// Counts playlists.
    pub(crate) plays: u64,
    /// How it came out, as far as one can say.
    pub(crate) end: Option<CallEnd>,
    /// The Session-ID (RFC 7989) that the caller's side gave it.
    pub(crate) session_id: Option<String>,
    /// The AIs that a transfer wants back.
    pub(crate) recall: Recall,
    /// What the streams over its ports were made from.
    pub(crate) seeds: BTreeMap<u16, u64>,
    /// What was written beside it.
    #[serde(default)]
    pub(crate) thread: Thread,
}

/// How far a call has come.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// We dial the caller, or shall: an outbound call, or a callback.
    Placing,
    /// The caller waits for an AI; these are the ones still to be tried, by their place in the settings.
    Connecting(VecDeque<usize>),
    /// The caller is up.
    Active,
    /// Legs are being ended.
    Ending,
}

/// Whether the AI has its caller, where no transfer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rests {
    /// It has.
    No,
    /// It was paused: the caller hears music.
    Paused,
}

/// Something that is being said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Speech {
    pub(crate) say: SayId,
    #[serde(with = "crate::snapshot::playlist")]
    pub(crate) playlist: Playlist,
}

/// A transfer, and who waits for what of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) transfer: Transfer,
    /// Questions that are answered once the transfer is on disk.
    #[serde(skip)]
    pub(crate) askers: Vec<u64>,
    /// The REFERs that asked for it.
    pub(crate) referrers: Vec<Referrer>,
    /// The REFER of the AE by which the call moves on, until that has come about or to nothing.
    pub(crate) moving: Option<Referrer>,
    /// The dialog whose place the next INVITE of it takes, as a Replaces header says it.
    pub(crate) replaces: Option<String>,
    /// Questions that are answered once the callback is on disk.
    #[serde(skip)]
    pub(crate) pickers: Vec<u64>,
    /// The words of the briefing.
    pub(crate) text: Option<baton_transfer::briefing::Briefing>,
    /// The rendered briefing.
    #[serde(skip)]
    pub(crate) spoken: Option<crate::Spoken>,
    /// Whether the request is on disk.
    pub(crate) asked: Asked,
}

/// Whether a request has been promised to whoever asked.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Asked {
    /// Not on disk yet: no 202 has left, and what has been told of it since waits.
    Pending(Vec<Progress>),
    /// On disk and answered.
    Promised,
}

/// Where progress is told to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Referrer {
    /// To a REFER, by NOTIFY.
    Refer {
        /// In which session.
        session: SessionId,
        /// Which of its REFERs.
        refer: ReferId,
    },
    /// To an INVITE that asks for a human, by its answers.
    Invite {
        /// Its session.
        session: SessionId,
    },
}

impl Referrer {
    /// In which session it was asked.
    pub(crate) fn session(self) -> SessionId {
        match self {
            Referrer::Refer { session, .. } | Referrer::Invite { session } => session,
        }
    }
}

impl Call {
    /// A call at its beginning, without any legs yet.
    pub(crate) fn new(id: CallId, room: RoomId, opening: Opening, started: Wall) -> Call {
        Call {
            id,
            room,
            from: opening.from,
            to: opening.to,
            beginning: opening.beginning,
            trunk: opening.trunk,
            started,
            phase: opening.phase,
            legs: Vec::new(),
            driver: Driver::Ai,
            context: Context::default(),
            scene: SceneName::Conversation,
            scene_serial: 0,
            caller_speech: None,
            ae_speech: None,
            consult: None,
            transfer: None,
            human_leg: None,
            rests: Rests::No,
            recording: None,
            message: None,
            past: Vec::new(),
            keys: Vec::new(),
            plays: 0,
            end: None,
            session_id: None,
            recall: Recall::default(),
            seeds: BTreeMap::new(),
            thread: Thread::default(),
        }
    }

    /// The caller's leg.
    pub(crate) fn caller(&self) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.role == LegRole::Caller)
    }

    /// The AI leg that has not ended.
    pub(crate) fn ai(&self) -> Option<&Leg> {
        self.legs.iter().rev().find(|leg| leg.role == LegRole::Ai && leg.is_live())
    }

    /// The AE leg that scenes mean, while it is up.
    pub(crate) fn ae(&self) -> Option<&Leg> {
        self.ae_leg().and_then(|id| self.leg(id)).filter(|leg| leg.is_up())
    }

    /// The AE leg that scenes mean, as far as it may have come: the one that the transfer holds, or a callback's.
    pub(crate) fn ae_leg(&self) -> Option<LegId> {
        self.transfer.as_ref().map_or(self.consult, |running| running.transfer.ae_leg())
    }

    /// A leg by its id.
    pub(crate) fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.iter().find(|leg| leg.id == id)
    }

    /// A leg by its id.
    pub(crate) fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.id == id)
    }

    /// Whether any leg has not ended.
    pub(crate) fn has_live_legs(&self) -> bool {
        self.legs.iter().any(Leg::is_live)
    }

    /// The name of a new playlist.
    pub(crate) fn next_play(&mut self) -> PlayId {
        self.plays += 1;
        PlayId(self.plays)
    }

    /// Adds a leg, and forgets the oldest ended ones where there are too many.
    pub(crate) fn add_leg(&mut self, leg: Leg) {
        if self.legs.iter().filter(|leg| !leg.is_live()).count() >= ENDED_LEGS_MAX
            && let Some(oldest) = self.legs.iter().position(|leg| !leg.is_live() && leg.role != LegRole::Caller)
        {
            self.legs.remove(oldest);
        }
        // Two in nearly every call, which a vector would make room for four for.
        self.legs.reserve_exact(1);
        self.legs.push(leg);
    }

    /// Puts the running transfer among the past ones.
    pub(crate) fn retire_transfer(&mut self) -> Option<Box<Running>> {
        let running = self.transfer.take()?;
        if self.past.len() >= PAST_TRANSFERS_MAX {
            self.past.remove(0);
        }
        self.past.push(running.view());
        Some(running)
    }

    /// The view of a transfer of this call.
    pub(crate) fn transfer_view(&self, id: TransferId) -> Option<TransferView> {
        let running = self.transfer.as_ref().filter(|running| running.transfer.id() == id).map(|running| running.view());
        running.or_else(|| self.past.iter().find(|view| view.id == id).cloned())
    }

    /// The call as the API shows it.
    pub(crate) fn view(&self, ended: Option<Wall>) -> CallView {
        let state = match (&self.phase, ended) {
            (_, Some(_)) => CallState::Ended,
            (Phase::Placing | Phase::Connecting(_), None) => CallState::Connecting,
            (Phase::Active | Phase::Ending, None) => CallState::Active,
        };
        CallView {
            id: self.id,
            state,
            direction: match &self.beginning {
                Beginning::Inbound => CallDirection::Inbound,
                Beginning::Outbound(_) => CallDirection::Outbound,
                Beginning::Callback(_) => CallDirection::Callback,
            },
            driver: self.driver,
            from: self.from.clone(),
            to: self.to.clone(),
            started_at: At(self.started),
            ended_at: ended.map(At),
            legs: self.legs.iter().map(Leg::view).collect(),
            transfer: self.transfer.as_ref().map(|running| running.transfer.id()).or(self.past.last().map(|view| view.id)),
            end: self.end.clone().filter(|_| ended.is_some()),
        }
    }
}

impl Running {
    /// The transfer as the API shows it.
    pub(crate) fn view(&self) -> TransferView {
        self.transfer.view()
    }
}
