//! The engine: one thread that owns the UDP sockets and the switchboard, and sleeps until there is something to do.

mod control;
mod linger;
mod outlets;
mod recordings;
mod sockets;
mod streams;
mod turn;

pub(crate) use control::{EngineControl, Phase};
pub(crate) use outlets::{Outlets, hold_ports};
pub(crate) use recordings::Recordings;
pub(crate) use sockets::Sockets;
pub(crate) use streams::{Connections, Known, StreamListener};
pub(crate) use turn::{Ending, Engine, EngineParts};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};

use baton_contract::{Command, Problem, Reply};
use baton_sip::{ConnectionId, Incoming};
use baton_switchboard::{Gauges, Spoken};
use tokio::sync::oneshot;

/// How many requests may wait for the engine. When full: commands get 503, streams are slowed, media events are lost and counted.
pub(crate) const QUEUE_MAX: usize = 8_192;

/// What other threads want of the engine.
#[derive(Debug)]
pub(crate) enum Request {
    /// Carries out a command.
    Ask(Box<Command>, oneshot::Sender<Result<Reply, Problem>>),
    /// A SIP message that came by a stream. Boxed, as all that is large: the queue is memory from the beginning to the end.
    Stream(Box<Incoming>),
    /// Somebody has opened a stream.
    StreamOpened(streams::Opened),
    /// A stream has ended, or never came up.
    StreamClosed(ConnectionId, streams::Heard),
    /// The store has answered.
    Stored(baton_store::Ack),
    /// A media thread noticed something.
    Media(Box<baton_media::Event>),
    /// A briefing was rendered, or could not be.
    Rendered {
        /// Of the question.
        ticket: u64,
        /// The clips.
        spoken: Option<Spoken>,
    },
    /// A track of a recording has ended.
    Recorded {
        /// Which.
        tap: baton_media::TapId,
        /// What was written.
        result: Result<baton_switchboard::Recorded, baton_switchboard::RecordFault>,
    },
    /// Somebody has written down what is said in a voicemail.
    Transcribed {
        /// The transfer that it belongs to.
        transfer: baton_contract::TransferId,
        /// The text.
        text: String,
    },
    /// What was said is written down, or cannot be.
    WrittenDown {
        /// Of the question.
        ticket: u64,
        /// The text.
        text: Option<String>,
    },
    /// There are recordings of what Baton says, in another language than English.
    Prompts {
        /// Which.
        language: baton_transfer::Language,
        /// The recordings.
        clips: std::collections::BTreeMap<baton_transfer::Line, Arc<baton_media::Clip>>,
    },
    /// Callbacks as the store has them.
    Callbacks(Vec<baton_contract::CallbackView>),
    /// The name of a peer was looked up again.
    Resolved(baton_switchboard::Named, Vec<baton_sip::Hop>),
    /// Counts what the gauges show.
    Gauges(oneshot::Sender<Snapshot>),
    /// Takes no new calls.
    Drain,
    /// Hangs up what is left.
    HangUpAll,
    /// Takes another configuration, as a whole or not at all.
    Reload(Box<baton_switchboard::Reload>, oneshot::Sender<Result<(), baton_switchboard::NotReloaded>>),
    /// Leaves the calls that are up to the process that comes next, and ends the thread.
    Leave,
    /// Ends the thread.
    Stop,
}

/// What the engine knows about itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    /// Calls, legs, AEs, callbacks.
    pub(crate) gauges: Gauges,
    /// SIP messages by method, code and direction.
    pub(crate) sip: Vec<(baton_sip::MessageCount, u64)>,
    /// Refused requests by reason.
    pub(crate) rejected: Vec<(&'static str, u64)>,
    /// Open streams by transport and by who has opened them.
    pub(crate) streams: Vec<(&'static str, &'static str, u64)>,
    /// When each certificate of ours ends, in seconds of Unix time.
    pub(crate) certificates: Vec<(String, i64)>,
    /// RTP packets by fate and direction.
    pub(crate) rtp: Vec<(&'static str, &'static str, u64)>,
    /// Pairs of RTP ports that are bound, and how many of them the media threads have in stock.
    pub(crate) ports: (usize, usize),
    /// What has become of recordings, where there are any.
    pub(crate) recordings: Option<crate::record::Counts>,
    /// What has become of messages for those who look on.
    pub(crate) captured: Vec<(&'static str, u64)>,
    /// No call is left.
    pub(crate) idle: bool,
    /// A transfer is between its request and its outcome.
    pub(crate) transfers_in_flight: bool,
}

/// The queue to the engine; every thread has its own copy.
#[derive(Clone)]
pub(crate) struct Door {
    queue: SyncSender<Request>,
    waker: Arc<mio::Waker>,
    /// The engine has been woken and has not looked yet: it need not be woken again.
    is_woken: Arc<AtomicBool>,
}

impl Door {
    pub(crate) fn new(queue: SyncSender<Request>, waker: Arc<mio::Waker>) -> Door {
        Door { queue, waker, is_woken: Arc::default() }
    }

    /// The engine is about to look what waits.
    pub(crate) fn is_looked_at(&self) {
        self.is_woken.store(false, Ordering::SeqCst);
    }

    /// Hands a request over without ever blocking; gives it back where the queue is full or the engine has ended.
    pub(crate) fn send(&self, request: Request) -> Result<(), Box<Request>> {
        self.leave(request)?;
        if !self.is_woken.swap(true, Ordering::SeqCst)
            && let Err(fault) = self.waker.wake()
        {
            tracing::error!(%fault, "cannot wake the engine");
        }
        Ok(())
    }

    /// The same without waking the engine, for what nobody waits for: it is taken with what comes next, and within a second.
    pub(crate) fn leave(&self, request: Request) -> Result<(), Box<Request>> {
        self.queue.try_send(request).map_err(|refused| match refused {
            TrySendError::Full(request) | TrySendError::Disconnected(request) => Box::new(request),
        })
    }
}
