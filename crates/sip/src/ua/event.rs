//! What a user agent tells its owner.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::transport::Transport;
use crate::wire::{Message, NameAddr, Uri};

/// Names one INVITE usage: a dialog with all its early forks, from the INVITE to the end of the BYE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

/// Names one REFER, in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReferId(pub u64);

/// What has happened. Messages that come with an event can be asked for any header ([`Message`] shares its bytes: it is cheap to keep).
///
/// Once the owner has hung up or refused, nothing more is heard of a session but one [`Event::Released`].
#[derive(Debug, Clone)]
pub enum Event {
    /// Somebody calls; 100 Trying has been sent. To be followed by `ring`, `answer`, `refuse` or `hang_up`.
    Invite {
        /// The new session.
        session: SessionId,
        /// Where the INVITE came from; by a stream, with the port at which they say that they listen.
        source: SocketAddr,
        /// What carried it.
        transport: Transport,
        /// What it says.
        invite: Box<InviteRequest>,
    },
    /// The first 100 to our INVITE: the next element has it.
    Trying {
        /// Whose INVITE.
        session: SessionId,
    },
    /// A provisional answer other than 100 to our INVITE (180, 181, 182, 183 …), of any of its forks.
    Ringing {
        /// Whose INVITE.
        session: SessionId,
        /// The status, 101 to 198.
        status: u16,
        /// Early media, if the far side offers some.
        sdp: Option<Bytes>,
        /// The whole answer.
        message: Message,
    },
    /// Our INVITE was answered with 2xx. The ACK has been sent, or, after an INVITE without SDP, is sent by `answer_offer`.
    Answered {
        /// Whose INVITE.
        session: SessionId,
        /// The answer to our offer; the far side's offer if we made none.
        sdp: Option<Bytes>,
        /// The far side's Contact.
        contact: Option<Uri>,
        /// Whether `sdp` is an offer that has to be answered with `answer_offer` before the ACK can leave.
        wants_answer: bool,
        /// The whole answer.
        message: Message,
    },
    /// Our INVITE came to nothing: the session is over.
    Refused {
        /// Whose INVITE.
        session: SessionId,
        /// The status: 300 to 699; 408 with `local` when nobody answered, 503 with `local` when it could not be sent.
        status: u16,
        /// The reason phrase.
        phrase: String,
        /// Whether the status is our own, for want of an answer.
        local: bool,
        /// The answer, where there is one.
        message: Option<Message>,
    },
    /// The ACK of our 2xx has come: the session is up.
    Confirmed {
        /// Which session.
        session: SessionId,
        /// The answer, if our 2xx made the offer.
        sdp: Option<Bytes>,
    },
    /// The far side sent a re-INVITE, or an offer by UPDATE or PRACK, those of a session that is not up yet included: to be followed by `answer_offer` or `refuse_offer`.
    Offered {
        /// Which session.
        session: SessionId,
        /// Its offer; none: we are to make one, with `answer_offer`.
        sdp: Option<Bytes>,
    },
    /// The far side accepted our re-INVITE or UPDATE, or sent the answer to the offer that we made in answer to its own.
    OfferAnswered {
        /// Which session.
        session: SessionId,
        /// The answer; after a re-INVITE without SDP the far side's offer.
        sdp: Option<Bytes>,
        /// Whether `sdp` is an offer that has to be answered with `answer_offer` before the ACK can leave.
        wants_answer: bool,
    },
    /// The far side did not accept our re-INVITE or UPDATE; the session goes on as it was.
    OfferRefused {
        /// Which session.
        session: SessionId,
        /// The status; 408 when it was not answered at all.
        status: u16,
    },
    /// An INFO came in; 200 has been sent.
    Info {
        /// Which session.
        session: SessionId,
        /// Its Content-Type; empty if it has none.
        content_type: String,
        /// Its body.
        body: Bytes,
    },
    /// A text came in by MESSAGE (RFC 3428): to be followed by `answer_text`.
    Text {
        /// Which session.
        session: SessionId,
        /// Names the question whether it is taken.
        question: super::QuestionId,
        /// What it says; up to [`TEXT_BYTES_MAX`](super::TEXT_BYTES_MAX) bytes.
        text: String,
    },
    /// The far side asks us to refer it: to be followed by `answer_refer` and, when accepted, `notify_refer`.
    Refer {
        /// Which session.
        session: SessionId,
        /// Names this request from now on.
        refer: ReferId,
        /// Where to; headers embedded in the URI are in its headers.
        refer_to: NameAddr,
        /// Who asks, if it says so (RFC 3892).
        referred_by: Option<NameAddr>,
        /// The whole request.
        message: Message,
    },
    /// Our REFER was answered finally. Any 2xx: NOTIFYs follow.
    ReferAnswered {
        /// Which session.
        session: SessionId,
        /// Which REFER.
        refer: ReferId,
        /// The status; 408 when it was not answered at all.
        status: u16,
    },
    /// The far side reports how our REFER goes on.
    Notified {
        /// Which session.
        session: SessionId,
        /// Which REFER.
        refer: ReferId,
        /// The status in the sipfrag.
        status: u16,
        /// Whether it is the last report.
        last: bool,
    },
    /// The far side has ended the session, or it was lost.
    Gone {
        /// Which session.
        session: SessionId,
        /// How.
        why: Gone,
    },
    /// The end that we wanted (`hang_up`, `refuse`) is settled. Comes once, after which the session's name means nothing.
    Released {
        /// Which session.
        session: SessionId,
        /// What the far side finally said to our INVITE or BYE (487 after a CANCEL; 200 if its answer crossed it), or what we said to its INVITE.
        /// None: nothing at all.
        status: Option<u16>,
    },
    /// Our INVITE got a 3xx and may go elsewhere ([`Redirects::Asked`](super::Redirects)): to be followed by `redirect`.
    Redirected {
        /// Whose INVITE.
        session: SessionId,
        /// Where to, in the order in which the far side wants them tried.
        contacts: Vec<Uri>,
    },
    /// A registration of ours stands, or has failed.
    Registration {
        /// Which.
        registration: super::RegistrationId,
        /// How it stands now.
        state: super::RegistrationState,
    },
    /// Somebody has registered with us, or a registration has ended.
    Bound {
        /// Whose account.
        account: String,
        /// How many bindings it has now.
        bindings: usize,
    },
    /// What became of a question whether somebody is there. Any answer says that they are; without one the status is 408 or 503.
    Pong {
        /// Which question.
        ping: super::PingId,
        /// Where it was sent.
        hop: crate::transport::Hop,
        /// The status.
        status: u16,
        /// How long the answer took.
        took: Duration,
        /// The answer, if there is one.
        message: Option<Message>,
    },
    /// Somebody whose state we have subscribed to tells it.
    Notification {
        /// Which subscription.
        subscription: super::SubscriptionId,
        /// What they say; empty if there is nothing to be said.
        body: Bytes,
    },
    /// A subscription has ended or cannot be had: nothing is known. It is tried again by itself.
    SubscriptionLost {
        /// Which subscription.
        subscription: super::SubscriptionId,
    },
    /// Somebody asks by OPTIONS whether we are there, and [`Settings::options`](super::Settings) leaves it to the owner whether they are answered:
    /// to be followed by `answer_options`.
    Options {
        /// Names the question.
        question: super::QuestionId,
        /// Where it came from.
        source: SocketAddr,
    },
    /// Something outside of all dialogs that deserves a line in the log. It has been answered by rule.
    Stranger {
        /// Where it came from.
        source: SocketAddr,
        /// The method; empty if it could not be read.
        method: String,
        /// What was wrong with it.
        reason: Rejected,
    },
}

/// A new INVITE.
#[derive(Debug, Clone)]
pub struct InviteRequest {
    /// The Request-URI.
    pub request_uri: Uri,
    /// Who calls.
    pub from: NameAddr,
    /// Whom they dialled.
    pub to: NameAddr,
    /// Where they can be reached.
    pub contact: Option<Uri>,
    /// The Call-ID.
    pub call_id: String,
    /// The offer; none: we are to make one in our answer.
    pub sdp: Option<Bytes>,
    /// The session of ours that it wants to take the place of (RFC 3891): whoever answers it hangs that one up. Whether the caller may do so is the
    /// owner's to say.
    pub replaces: Option<SessionId>,
    /// How many more elements the call may pass.
    pub max_forwards: u8,
    /// The whole request, for every other header.
    pub message: Message,
}

/// How a session ended without our doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gone {
    /// The far side hung up.
    Bye {
        /// The Reason header, if there is one.
        reason: Option<String>,
    },
    /// The far side took its INVITE back before we had answered.
    Cancelled {
        /// The Reason header, if there is one.
        reason: Option<String>,
    },
    /// We answered, and no ACK came within 32 s. A BYE has been sent.
    AckNeverCame,
    /// A request inside the session got 408 or 481, or no answer at all, or its timer ran out (RFC 4028). A BYE has been sent.
    TimedOut,
    /// The far side could not be sent to.
    TransportFailed,
}

/// Why a message was not let in: the label of a metric, and the reason in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejected {
    /// It could not be read: 400, or nothing where even that is impossible.
    Malformed,
    /// A response that belongs to no transaction of ours.
    StrayResponse,
    /// An ACK that belongs to nothing.
    StrayAck,
    /// A request inside a dialog that we do not have: 481.
    UnknownDialog,
    /// A CANCEL for nothing that we have: 481.
    StrayCancel,
    /// The same request by another way: 482.
    Merged,
    /// It has passed too many elements: 483.
    TooManyHops,
    /// A method that we do not serve: 405.
    Method,
    /// It requires an extension that we do not have: 420.
    Extension,
    /// Its body is of a type that we do not read: 415.
    ContentType,
    /// It wants its session refreshed more often than we do: 422.
    ShortInterval,
    /// Its Request-URI has a scheme that we do not serve: 416.
    Scheme,
    /// Its CSeq goes backwards: 500.
    OutOfOrder,
    /// A request that makes no sense outside of a dialog: 403.
    OutsideDialog,
    /// A source that nobody knows asks too often: dropped.
    Flood,
    /// A table is full: 503.
    Full,
    /// A source has as much of the tables as one may have: 503.
    SourceFull,
    /// A password that is wrong, or an account of somebody else: 403.
    WrongPassword,
    /// An OPTIONS of somebody whom it does not concern whether we are there: 403, or nothing.
    Unasked,
    /// We take no new calls: 503.
    Draining,
    /// More comes in than can be worked off: 503.
    Overload,
}

impl Rejected {
    /// A short name: the value of a metric's label.
    pub const fn name(self) -> &'static str {
        match self {
            Rejected::Malformed => "malformed",
            Rejected::StrayResponse => "stray_response",
            Rejected::StrayAck => "stray_ack",
            Rejected::UnknownDialog => "unknown_dialog",
            Rejected::StrayCancel => "stray_cancel",
            Rejected::Merged => "merged",
            Rejected::TooManyHops => "too_many_hops",
            Rejected::Method => "method",
            Rejected::Extension => "extension",
            Rejected::ContentType => "content_type",
            Rejected::ShortInterval => "short_interval",
            Rejected::Scheme => "scheme",
            Rejected::OutOfOrder => "out_of_order",
            Rejected::OutsideDialog => "outside_dialog",
            Rejected::Flood => "flood",
            Rejected::Full => "full",
            Rejected::SourceFull => "source_full",
            Rejected::WrongPassword => "wrong_password",
            Rejected::Unasked => "options",
            Rejected::Draining => "draining",
            Rejected::Overload => "overload",
        }
    }
}

/// A span in whole seconds, at least one: for Retry-After.
pub(crate) fn whole_seconds(span: Duration) -> u64 {
    (span.as_secs() + u64::from(span.subsec_nanos() > 0)).max(1)
}
