//! What may be asked of the engine, by whatever door.

use serde::{Deserialize, Serialize};

use crate::{
    AeId, AeView, CallId, CallView, CallbackId, CallbackView, Context, Driver, NewCall, NewCallback, NewText, Presence,
    RecordingState, RecordingView, Slot, TextView, TransferId, TransferRequest, TransferView, TrunkView, UpdateCallback,
};

/// A command or a question. The answer is a [`Reply`] or a [`crate::Problem`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Lists calls, newest first; answered with [`Reply::Calls`].
    Calls,
    /// Shows a call; [`Reply::Call`].
    Call(CallId),
    /// Places a call for an AI; [`Reply::Call`], once it is on record.
    PlaceCall {
        /// What is wanted.
        request: Box<NewCall>,
        /// The same key gives the same call.
        idempotency_key: Option<String>,
    },
    /// Hangs a call up; [`Reply::Call`].
    HangUp(CallId),
    /// Asks for a transfer; [`Reply::Transfer`], the running one if there is one.
    RequestTransfer {
        /// Of which call.
        call: CallId,
        /// What is asked for.
        request: Box<TransferRequest>,
        /// The same key gives the same transfer.
        idempotency_key: Option<String>,
    },
    /// Shows a transfer; [`Reply::Transfer`].
    Transfer(TransferId),
    /// Calls a transfer off; [`Reply::Transfer`].
    CancelTransfer(TransferId),
    /// The AE accepts without a key; [`Reply::Transfer`].
    Accept(TransferId),
    /// The AE declines without a key; [`Reply::Transfer`].
    Decline {
        /// Which transfer.
        transfer: TransferId,
        /// Why.
        reason: Option<String>,
        /// Minutes after which the AE would like to be asked again: makes the outcome `later`.
        retry_after: Option<u32>,
    },
    /// The AI is done with its live briefing or its introduction; [`Reply::Transfer`].
    Proceed(TransferId),
    /// The human hands the caller back to the AI; [`Reply::Call`].
    HandBack {
        /// Which call.
        call: CallId,
        /// What the AI is to know.
        note: Option<String>,
    },
    /// Pauses the AI, lets it go on, or takes the caller back from a human; [`Reply::Call`].
    SetDriver {
        /// Which call.
        call: CallId,
        /// Who is to speak to the caller: not a human, who comes by a transfer.
        driver: Driver,
    },
    /// Lists the texts that were written beside a call, oldest first; [`Reply::Texts`].
    Texts(CallId),
    /// Sends the caller a text; [`Reply::Text`].
    SendText {
        /// In which call.
        call: CallId,
        /// What.
        text: NewText,
    },
    /// Shows a call's context; [`Reply::Context`].
    Context(CallId),
    /// Shows what the screen-pop of a transfer needs; [`Reply::Pop`].
    Pop(TransferId),
    /// Lays a newer context over a call's; [`Reply::Context`].
    PutContext {
        /// Which call.
        call: CallId,
        /// What is new.
        context: Box<Context>,
    },
    /// Records a call, pauses that, or ends it; [`Reply::Recording`].
    SetRecording {
        /// Which call.
        call: CallId,
        /// From now on.
        state: RecordingState,
    },
    /// Lists the AEs; [`Reply::Aes`].
    Aes,
    /// Sets an AE's presence; [`Reply::Ae`].
    SetPresence {
        /// Whose.
        ae: AeId,
        /// To what.
        presence: Presence,
    },
    /// Free slots of an AE, told in `timezone` (absent: the AE's); [`Reply::Slots`].
    Slots {
        /// Whose.
        ae: AeId,
        /// IANA name.
        timezone: Option<String>,
    },
    /// Lists callbacks by time; [`Reply::Callbacks`].
    Callbacks,
    /// Shows a callback; [`Reply::Callback`].
    Callback(CallbackId),
    /// Promises a callback, durable before it is answered; [`Reply::Callback`].
    NewCallback(Box<NewCallback>),
    /// Changes a callback; [`Reply::Callback`].
    UpdateCallback {
        /// Which.
        id: CallbackId,
        /// What.
        update: UpdateCallback,
    },
    /// Calls a callback off; [`Reply::Callback`].
    CancelCallback(CallbackId),
    /// The callback as an iCalendar object; [`Reply::Calendar`].
    CallbackCalendar(CallbackId),
    /// Lists the trunks; [`Reply::Trunks`].
    Trunks,
    /// Takes no new calls from now on, or takes them again (`false`); those that are up go on; [`Reply::Drain`].
    Drain(bool),
    /// Shows whether new calls are taken, and how many there are; [`Reply::Drain`].
    Draining,
}

/// The answer to a [`Command`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// Calls.
    Calls(Vec<CallView>),
    /// A call.
    Call(Box<CallView>),
    /// A transfer.
    Transfer(Box<TransferView>),
    /// Texts, oldest first.
    Texts(Vec<TextView>),
    /// A text.
    Text(TextView),
    /// A context.
    Context(Box<Context>),
    /// A transfer, its call and its context.
    Pop {
        /// The transfer.
        transfer: Box<TransferView>,
        /// The call.
        call: Box<CallView>,
        /// The context.
        context: Box<Context>,
    },
    /// Whether a call is recorded.
    Recording(RecordingView),
    /// AEs, in the order of the configuration.
    Aes(Vec<AeView>),
    /// An AE.
    Ae(Box<AeView>),
    /// Free slots, soonest first.
    Slots(Vec<Slot>),
    /// Callbacks, soonest first.
    Callbacks(Vec<CallbackView>),
    /// A callback.
    Callback(Box<CallbackView>),
    /// An iCalendar object (RFC 5545).
    Calendar(String),
    /// Trunks, in the order of the configuration.
    Trunks(Vec<TrunkView>),
    /// Whether new calls are taken.
    Drain(DrainView),
}

/// Whether Baton is being emptied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainView {
    /// New calls are refused.
    pub draining: bool,
    /// Calls that have not ended.
    pub calls: usize,
}

/// A list as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on this page.
    pub items: Vec<T>,
    /// Where the next page begins.
    pub next: Option<String>,
}
