//! One INVITE usage, from its INVITE to the end of the last transaction that belongs to it.

use baton_time::Mono;
use bytes::Bytes;

use super::door::Request;
use super::prack::Reliable;
use super::sources::Source;
use super::tables::AskAgain;
use super::timer::{Abilities, SessionTimer};
use super::verb::Beside;
use super::{ReferId, SessionId};
use crate::dialog::Dialog;
use crate::digest::Credentials;
use crate::timing::Why;
use crate::transaction::{ClientKey, ServerKey};
use crate::transport::{Hop, Transmit};
use crate::wire::{Header, Message};
use serde::{Deserialize, Serialize};

/// A session. What it may do depends on its stage; what it still owes to its transactions does not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) call_id: String,
    /// The number in our tag.
    pub(crate) tag: u64,
    /// Who has called us; none for calls of ours.
    #[serde(default)]
    pub(crate) caller: Option<Source>,
    pub(crate) stage: Stage,
    /// Not written down: whoever restores the session knows them.
    #[serde(skip)]
    pub(crate) credentials: Option<Credentials>,
    /// INVITEs of ours whose transactions still live: a 2xx to any of them must be acknowledged, whatever the stage.
    pub(crate) invites: Vec<OurInvite>,
    /// Our 2xx that waits for its ACK.
    pub(crate) unacked: Option<Unacked>,
    /// What goes on between the two ends about their media.
    pub(crate) exchange: Exchange,
    /// What we have said of our media last: said again where a refresh must say something.
    pub(crate) described: Option<Bytes>,
    /// What the far side can do.
    pub(crate) far: Abilities,
    /// The session timer, where one was agreed.
    pub(crate) timer: Option<SessionTimer>,
    /// How many times its INVITE may still be sent elsewhere.
    pub(crate) redirects: u8,
    /// Where else its INVITE may go.
    pub(crate) elsewhere: Elsewhere,
    /// Subscriptions that outlive it.
    pub(crate) remnant: Option<Box<Remnant>>,
    /// When INVITEs of ours that still have no final answer are given up, once the session is over or cancelled.
    pub(crate) abandon_at: Option<Mono>,
}

/// Where else the INVITE of a session may go.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Elsewhere {
    /// Servers that have not been tried.
    pub(crate) others: Vec<Hop>,
    /// When the next one is tried, unless the last one is heard of.
    pub(crate) next_at: Option<Mono>,
    /// The INVITE as it was sent last; none where there is no other server.
    pub(crate) ask: Option<Box<AskAgain>>,
    /// Whether the owner says where a 3xx leads.
    pub(crate) owner_decides: OwnerDecides,
    /// Phones that have not rung yet.
    #[serde(default)]
    pub(crate) later: Option<Box<LaterPhones>>,
}

/// Phones that ring when those before them have refused.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LaterPhones {
    pub(crate) phones: Vec<Beside>,
    /// What each of them is sent.
    pub(crate) ask: AskAgain,
}

/// Whether the owner says where a 3xx leads.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) enum OwnerDecides {
    /// It is not asked.
    #[default]
    Never,
    /// It would be asked.
    When3xx,
    /// It has been asked; this is what is sent, and what is told if it goes nowhere.
    Asked { half: Box<Dialog>, ask: Box<AskAgain>, refusal: Message },
}

/// Where a session stands.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// We have called, there is no final answer.
    Dialing(Dialing),
    /// We are called and have not answered finally.
    Called(Called),
    /// Answered.
    Up(Up),
    /// Ended by us, the BYE is under way or waits for the ACK of our 2xx.
    Ending(Ending),
    /// Ended.
    Over,
}

/// We have called.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dialing {
    /// The INVITE that runs.
    pub(crate) key: ClientKey,
    /// Those that run beside it, to other phones of whoever is called.
    #[serde(default)]
    pub(crate) beside: Vec<ClientKey>,
    /// The best refusal of those that ran beside it.
    #[serde(default)]
    pub(crate) refusal: Option<Refusal>,
    /// The dialogs of its forks, by the order of their first answers.
    pub(crate) early: Vec<Fork>,
    /// Remote tags that have already said BYE (RFC 5407 §3.1.2: it may overtake its own 200).
    pub(crate) byed: Vec<String>,
    pub(crate) ending: Cancel,
    /// Whether Trying was reported.
    pub(crate) heard: bool,
}

/// Why a phone does not take the call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// What it has said; none where it has said nothing.
    pub(crate) message: Option<Message>,
}

/// How far the taking back of our INVITE has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Cancel {
    /// Not wanted.
    #[default]
    No,
    /// Wanted, but no provisional answer has come yet (RFC 3261 §9.1), with the value of its Reason.
    Held(Option<String>),
    /// Sent.
    Sent,
}

/// We are called.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Called {
    pub(crate) key: ServerKey,
    pub(crate) request: Request,
    pub(crate) dialog: Dialog,
    /// Boxed, because few calls need more of it than its beginning.
    pub(crate) reliable: Box<Reliable>,
}

/// One early dialog of an INVITE of ours.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Fork {
    pub(crate) dialog: Dialog,
    /// The RSeq of its last reliable answer.
    pub(crate) rseq: Option<u32>,
    /// Whether a reliable answer has brought the answer to our offer (RFC 3262 §5): the next offer may come.
    pub(crate) agreed: bool,
}

/// Answered.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Up {
    pub(crate) dialog: Dialog,
    /// An offer of ours that has to wait.
    pub(crate) later: Option<Later>,
    pub(crate) refers: Vec<Referred>,
    pub(crate) referring: Vec<Referring>,
}

/// An offer of ours that has to wait: until a time, because it met another one, or for the ACK of our 2xx.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Later {
    pub(crate) at: Option<Mono>,
    pub(crate) sdp: Option<Bytes>,
    pub(crate) by: Change,
}

/// What carries an offer of ours within a session, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Change {
    /// A re-INVITE that the owner wants.
    Reinvite,
    /// An UPDATE that the owner wants (RFC 3311).
    Update,
    /// A refresh of the session timer: the owner does not hear of it.
    Refresh,
}

/// Ended by us.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) dialog: Dialog,
    /// The BYE under way; none while it waits for an ACK.
    pub(crate) bye: Option<ClientKey>,
    /// The value of its Reason.
    pub(crate) reason: Option<String>,
    /// Whether the owner still wants to hear of the end.
    pub(crate) tell: bool,
}

/// What goes on between two ends about their media (RFC 3264: one offer at a time).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Exchange {
    /// Nothing.
    None,
    /// Our re-INVITE or UPDATE is under way, with this offer.
    Ours { key: ClientKey, sdp: Option<Bytes>, by: Change },
    /// A 2xx to an INVITE of ours has brought an offer; our answer goes into the ACK.
    AnswerDue { key: ClientKey },
    /// Their re-INVITE, UPDATE or PRACK waits for us.
    Theirs { key: ServerKey, request: Box<Request> },
}

/// An INVITE of ours whose transaction lives.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OurInvite {
    pub(crate) key: ClientKey,
    pub(crate) seq: u32,
    /// Whether it made an offer.
    pub(crate) offered: bool,
    /// Our half of the dialogs that its answers make; for a re-INVITE the dialog that it was sent in.
    pub(crate) dialog: Dialog,
    /// Headers that its ACKs repeat (RFC 3261 §22.1).
    pub(crate) authorization: Vec<Header>,
    /// What acknowledged its 2xx, for each remote tag; sent again with each repetition.
    pub(crate) acks: Vec<(String, Option<Transmit>)>,
    /// Whether it was taken back while the session goes on: another phone has the call, or has declined it for all.
    #[serde(default)]
    pub(crate) ending: Cancel,
}

/// A 2xx of ours that waits for its ACK (RFC 3261 §13.3.1.4).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Unacked {
    /// The transaction of the INVITE.
    pub(crate) key: ServerKey,
    pub(crate) seq: u32,
    pub(crate) response: Transmit,
    pub(crate) again_at: Mono,
    pub(crate) interval: std::time::Duration,
    pub(crate) give_up_at: Mono,
    /// What the ACK means to the owner.
    pub(crate) brings: Brings,
    /// Whether it makes an offer, whose answer the ACK brings.
    pub(crate) offers: bool,
}

/// What the ACK of our 2xx means to the owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Brings {
    /// The session is up; with the answer, if our 2xx made the offer.
    Confirmation,
    /// The session is up; offer and answer were exchanged before the 2xx, which makes none.
    Agreement,
    /// The answer to the offer that our 2xx to a re-INVITE made.
    Answer,
    /// Nothing.
    Nothing,
}

/// What is left of a dialog whose session has ended: each usage of a dialog ends for itself (RFC 5057 §3).
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Remnant {
    pub(crate) dialog: Dialog,
    pub(crate) refers: Vec<Referred>,
    pub(crate) referring: Vec<Referring>,
    pub(crate) until: Mono,
    pub(crate) ears: Ears,
}

/// Whether the owner hears of what comes after the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ears {
    /// The far side has ended the session.
    Open,
    /// The owner has, and wants to hear nothing more.
    Closed,
}

/// A REFER of the far side.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Referred {
    pub(crate) id: ReferId,
    pub(crate) stage: ReferStage,
    /// The dialog that it has made, if it came outside of the session's own.
    pub(crate) own: Option<Box<Dialog>>,
}

/// How far a REFER of the far side has come.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ReferStage {
    /// Not answered yet.
    Asked { key: ServerKey, request: Box<Request> },
    /// Accepted; `event` is the value of the NOTIFYs' Event.
    Accepted { event: String },
    /// The far side does not want to hear of it any more.
    Deaf,
}

/// A REFER of ours.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Referring {
    pub(crate) id: ReferId,
    pub(crate) seq: u32,
}

impl Dialing {
    /// Whether the INVITE was taken back.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.ending != Cancel::No
    }

    /// The stage of an INVITE that is being sent now; `heard` if an earlier one of this call was answered.
    pub(crate) fn new(key: ClientKey, heard: bool) -> Dialing {
        Dialing { key, beside: Vec::new(), refusal: None, early: Vec::new(), byed: Vec::new(), ending: Cancel::No, heard }
    }

    /// Whether this INVITE may still make the session.
    pub(crate) fn runs(&self, key: ClientKey) -> bool {
        self.key == key || self.beside.contains(&key)
    }

    /// Takes an INVITE out that runs no longer; false if it was the last one.
    pub(crate) fn without(&mut self, key: ClientKey) -> bool {
        if self.key != key {
            self.beside.retain(|known| *known != key);
        } else if self.beside.is_empty() {
            return false;
        } else {
            self.key = self.beside.remove(0);
        }
        true
    }

    /// An INVITE runs in the place of another.
    pub(crate) fn instead(&mut self, old: ClientKey, new: ClientKey) {
        if self.key == old {
            self.key = new;
        }
        self.beside.iter_mut().filter(|known| **known == old).for_each(|known| *known = new);
    }
}

impl Up {
    /// A session that has just been answered.
    pub(crate) fn new(dialog: Dialog) -> Up {
        Up { dialog, later: None, refers: Vec::new(), referring: Vec::new() }
    }
}

impl Session {
    /// A session that begins; its stage is yet to be set.
    pub(crate) fn new(id: SessionId, call_id: String, tag: u64, credentials: Option<Credentials>) -> Session {
        Session {
            id,
            call_id,
            tag,
            caller: None,
            stage: Stage::Over,
            credentials,
            invites: Vec::new(),
            unacked: None,
            exchange: Exchange::None,
            described: None,
            far: Abilities::default(),
            timer: None,
            redirects: 0,
            elsewhere: Elsewhere::default(),
            remnant: None,
            abandon_at: None,
        }
    }

    /// When to be woken, and why.
    pub(crate) fn poll_timeout(&self) -> Option<(Mono, Why)> {
        let unacked = self.unacked.as_ref().map(|unacked| match unacked.again_at < unacked.give_up_at {
            true => (unacked.again_at, Why::AnswerAgain),
            false => (unacked.give_up_at, Why::AckNeverCame),
        });
        let abandon = self.abandon_at.map(|at| (at, Why::CancelUnanswered));
        let later = match &self.stage {
            Stage::Up(Up { later: Some(Later { at: Some(at), .. }), .. }) => Some((*at, Why::OfferAgain)),
            Stage::Dialing(_) | Stage::Called(_) | Stage::Up(_) | Stage::Ending(_) | Stage::Over => None,
        };
        let reliable = if let Stage::Called(called) = &self.stage { called.reliable.poll_timeout() } else { None };
        let timer = self.timer.as_ref().filter(|_| matches!(self.stage, Stage::Up(_))).map(SessionTimer::poll_timeout);
        let remnant = self.remnant.as_ref().map(|remnant| (remnant.until, Why::Forget));
        let server = self.elsewhere.next_at.map(|at| (at, Why::NextServer));
        [server, unacked, abandon, later, reliable, timer, remnant].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Where its messages go.
    pub(crate) fn hop(&self) -> Option<Hop> {
        match &self.stage {
            Stage::Dialing(_) | Stage::Over => self.invites.last().map(|invite| invite.dialog.hop.clone()),
            Stage::Called(called) => Some(called.dialog.hop.clone()),
            Stage::Up(up) => Some(up.dialog.hop.clone()),
            Stage::Ending(ending) => Some(ending.dialog.hop.clone()),
        }
    }

    /// The Request-URI of its next request.
    pub(crate) fn request_uri(&self) -> Option<String> {
        match &self.stage {
            Stage::Dialing(_) => self.invites.last().map(|invite| invite.dialog.routing().request_uri),
            Stage::Up(up) => Some(up.dialog.routing().request_uri),
            Stage::Ending(ending) => Some(ending.dialog.routing().request_uri),
            Stage::Called(_) | Stage::Over => None,
        }
    }

    /// All dialogs of the session.
    pub(crate) fn dialogs_mut(&mut self) -> Vec<&mut Dialog> {
        let mut all: Vec<&mut Dialog> = match &mut self.stage {
            Stage::Dialing(dialing) => dialing.early.iter_mut().map(|fork| &mut fork.dialog).collect(),
            Stage::Called(called) => vec![&mut called.dialog],
            Stage::Up(up) => vec![&mut up.dialog],
            Stage::Ending(ending) => vec![&mut ending.dialog],
            Stage::Over => Vec::new(),
        };
        all.extend(self.invites.iter_mut().map(|invite| &mut invite.dialog));
        all.extend(self.remnant.iter_mut().map(|remnant| &mut remnant.dialog));
        all
    }

    /// Whether nothing is left to be done or answered for.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Over) && self.invites.is_empty() && self.remnant.is_none()
    }

    /// Its REFERs both ways, also after its end, and the dialog that they belong to.
    pub(crate) fn subscriptions(&mut self) -> Option<(&mut Dialog, &mut Vec<Referred>, &mut Vec<Referring>)> {
        match (&mut self.stage, &mut self.remnant) {
            (Stage::Up(up), _) => Some((&mut up.dialog, &mut up.refers, &mut up.referring)),
            (_, Some(remnant)) => Some((&mut remnant.dialog, &mut remnant.refers, &mut remnant.referring)),
            (Stage::Dialing(_) | Stage::Called(_) | Stage::Ending(_) | Stage::Over, None) => None,
        }
    }
}
