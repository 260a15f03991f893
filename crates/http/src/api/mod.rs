//! The table of everything that can be asked: the router and the OpenAPI document are both made from it.

mod aes;
mod callbacks;
mod calls;
mod transfers;
mod trunks;

use axum::routing::{MethodRouter, delete, get, patch, post, put};

use crate::app::App;
use crate::{events, openapi, pop, vitals};

/// One method on one path.
pub(crate) struct Operation {
    /// In lower case, as OpenAPI writes it.
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    /// The schema of the body.
    pub(crate) body: Option<&'static str>,
    pub(crate) answer: Answer,
    /// Query parameters and headers that are understood: `in:name`.
    pub(crate) parameters: &'static [&'static str],
    /// Whether it answers without a token.
    pub(crate) is_open: bool,
    pub(crate) handler: MethodRouter<App>,
}

/// What is answered when all is well.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// 200 with this schema.
    One(&'static str),
    /// 200 with a list of this schema.
    List(&'static str),
    /// 202 with this schema and the Location where it can be watched.
    Accepted(&'static str),
    /// 201 with this schema and its Location.
    Created(&'static str),
    /// 201 with this schema, which has no place of its own.
    Made(&'static str),
    /// 200 with this media type.
    Text(&'static str),
}

const WINDOW: &[&str] = &["query:limit", "query:cursor"];

/// Every operation.
pub(crate) fn operations() -> Vec<Operation> {
    [calls(), midcall(), transfers(), aes(), callbacks(), trunks(), drain(), rest()].into_iter().flatten().collect()
}

fn operation(method: &'static str, path: &'static str, name: &'static str, summary: &'static str, answer: Answer) -> Operation {
    let handler = MethodRouter::new();
    Operation { method, path, name, summary, body: None, answer, parameters: &[], is_open: false, handler }
}

fn calls() -> Vec<Operation> {
    const CALL: &str = "/v1/calls/{id}";
    vec![
        Operation {
            parameters: &["query:limit", "query:cursor", "query:live"],
            handler: get(calls::list),
            ..operation(
                "get",
                "/v1/calls",
                "listCalls",
                "Calls, newest first; live=true: only those that are up.",
                Answer::List("Call"),
            )
        },
        Operation {
            body: Some("NewCall"),
            parameters: &["header:Idempotency-Key"],
            handler: post(calls::place),
            ..operation("post", "/v1/calls", "placeCall", "Places a call for an AI.", Answer::Created("Call"))
        },
        Operation {
            handler: get(calls::show),
            ..operation("get", CALL, "showCall", "A call and its legs.", Answer::One("Call"))
        },
        Operation {
            handler: get(calls::ladder),
            ..operation(
                "get",
                "/v1/calls/{id}/sip",
                "showLadder",
                "The SIP messages of a call that are still remembered.",
                Answer::List("SipMessage"),
            )
        },
        Operation {
            handler: delete(calls::hang_up),
            ..operation("delete", CALL, "hangUp", "Hangs the call up.", Answer::One("Call"))
        },
        Operation {
            body: Some("TransferRequest"),
            parameters: &["header:Idempotency-Key"],
            handler: post(calls::request_transfer),
            ..operation(
                "post",
                "/v1/calls/{id}/transfers",
                "requestTransfer",
                "Asks for a human; while a transfer runs, answers with that one.",
                Answer::Accepted("Transfer"),
            )
        },
    ]
}

/// What is done with a call that is up.
fn midcall() -> Vec<Operation> {
    const CONTEXT: &str = "/v1/calls/{id}/context";
    const MESSAGES: &str = "/v1/calls/{id}/messages";
    vec![
        Operation {
            handler: get(calls::context),
            ..operation("get", CONTEXT, "showContext", "What is known about the caller.", Answer::One("Context"))
        },
        Operation {
            body: Some("HandBack"),
            handler: post(calls::hand_back),
            ..operation(
                "post",
                "/v1/calls/{id}/handback",
                "handBack",
                "The human hands the caller back to the AI.",
                Answer::One("Call"),
            )
        },
        Operation {
            body: Some("SetDriver"),
            handler: put(calls::set_driver),
            ..operation(
                "put",
                "/v1/calls/{id}/driver",
                "setDriver",
                "Pauses the AI, lets it go on, or takes the caller back from a human.",
                Answer::One("Call"),
            )
        },
        Operation {
            body: Some("Context"),
            handler: put(calls::put_context),
            ..operation("put", CONTEXT, "putContext", "Lays a newer context over the call's.", Answer::One("Context"))
        },
        Operation {
            body: Some("SetRecording"),
            handler: put(calls::set_recording),
            ..operation(
                "put",
                "/v1/calls/{id}/recording",
                "setRecording",
                "Records the call, pauses that, or ends it.",
                Answer::One("Recording"),
            )
        },
        Operation {
            handler: get(calls::texts),
            ..operation("get", MESSAGES, "listMessages", "Texts beside the call, oldest first.", Answer::List("Message"))
        },
        Operation {
            body: Some("NewMessage"),
            handler: post(calls::send_text),
            ..operation(
                "post",
                MESSAGES,
                "sendMessage",
                "Sends the caller a text; a human's pauses the AI.",
                Answer::Made("Message"),
            )
        },
    ]
}

fn transfers() -> Vec<Operation> {
    const TRANSFER: &str = "/v1/transfers/{id}";
    vec![
        Operation {
            handler: get(transfers::show),
            ..operation("get", TRANSFER, "showTransfer", "State, attempts, stages and outcome.", Answer::One("Transfer"))
        },
        Operation {
            handler: delete(transfers::cancel),
            ..operation("delete", TRANSFER, "cancelTransfer", "Calls the transfer off.", Answer::One("Transfer"))
        },
        Operation {
            handler: get(transfers::events),
            ..operation(
                "get",
                "/v1/transfers/{id}/events",
                "listTransferEvents",
                "What has happened in the transfer, from the audit trail.",
                Answer::List("Event"),
            )
        },
        Operation {
            handler: post(transfers::accept),
            ..operation("post", "/v1/transfers/{id}/accept", "accept", "The AE accepts without a key.", Answer::One("Transfer"))
        },
        Operation {
            handler: post(transfers::proceed),
            ..operation(
                "post",
                "/v1/transfers/{id}/proceed",
                "proceed",
                "The AI is done with its live briefing or its introduction.",
                Answer::One("Transfer"),
            )
        },
        Operation {
            body: Some("Decline"),
            handler: post(transfers::decline),
            ..operation(
                "post",
                "/v1/transfers/{id}/decline",
                "decline",
                "The AE declines without a key.",
                Answer::One("Transfer"),
            )
        },
    ]
}

fn aes() -> Vec<Operation> {
    vec![
        Operation { handler: get(aes::list), ..operation("get", "/v1/aes", "listAes", "The roster.", Answer::List("Ae")) },
        Operation {
            body: Some("Presence"),
            handler: patch(aes::set_presence),
            ..operation("patch", "/v1/aes/{id}", "setPresence", "Sets an AE's presence.", Answer::One("Ae"))
        },
        Operation {
            parameters: &["query:timezone"],
            handler: get(aes::slots),
            ..operation("get", "/v1/aes/{id}/slots", "listSlots", "Times at which the AE could call back.", Answer::List("Slot"))
        },
    ]
}

fn trunks() -> Vec<Operation> {
    let list = operation("get", "/v1/trunks", "listTrunks", "The trunks, and whether they are there.", Answer::List("Trunk"));
    vec![Operation { handler: get(trunks::list), ..list }]
}

fn callbacks() -> Vec<Operation> {
    const CALLBACK: &str = "/v1/callbacks/{id}";
    vec![
        Operation {
            parameters: WINDOW,
            handler: get(callbacks::list),
            ..operation("get", "/v1/callbacks", "listCallbacks", "Callbacks, soonest first.", Answer::List("Callback"))
        },
        Operation {
            body: Some("NewCallback"),
            handler: post(callbacks::promise),
            ..operation(
                "post",
                "/v1/callbacks",
                "promiseCallback",
                "Promises a callback; durable when answered.",
                Answer::Created("Callback"),
            )
        },
        Operation {
            handler: get(callbacks::show),
            ..operation(
                "get",
                CALLBACK,
                "showCallback",
                "A callback; with `.ics` behind the id, as an iCalendar object.",
                Answer::One("Callback"),
            )
        },
        Operation {
            body: Some("UpdateCallback"),
            handler: patch(callbacks::update),
            ..operation("patch", CALLBACK, "updateCallback", "Moves a callback.", Answer::One("Callback"))
        },
        Operation {
            handler: delete(callbacks::cancel),
            ..operation("delete", CALLBACK, "cancelCallback", "Calls a callback off.", Answer::One("Callback"))
        },
    ]
}

fn drain() -> Vec<Operation> {
    const DRAIN: &str = "/v1/drain";
    let drained = Answer::One("Drain");
    vec![
        Operation {
            handler: get(vitals::draining),
            ..operation("get", DRAIN, "showDrain", "Whether new calls are taken, and how many are left.", drained)
        },
        Operation {
            handler: post(vitals::drain),
            ..operation("post", DRAIN, "drain", "Takes no new calls from now on; those that are up go on.", drained)
        },
        Operation {
            handler: delete(vitals::undrain),
            ..operation("delete", DRAIN, "undrain", "Takes new calls again.", drained)
        },
    ]
}

fn rest() -> Vec<Operation> {
    vec![
        Operation {
            parameters: &["query:after", "header:Last-Event-ID"],
            handler: get(events::subscribe),
            ..operation("get", "/v1/events", "subscribe", "Server-sent events, resumable.", Answer::Text("text/event-stream"))
        },
        Operation {
            parameters: &["query:sig"],
            is_open: true,
            handler: get(pop::show),
            ..operation("get", "/pop/{id}", "screenPop", "The screen-pop of a transfer.", Answer::Text("text/html"))
        },
        Operation {
            is_open: true,
            handler: get(vitals::healthz),
            ..operation("get", "/healthz", "healthz", "Alive.", Answer::One("Status"))
        },
        Operation {
            is_open: true,
            handler: get(vitals::readyz),
            ..operation("get", "/readyz", "readyz", "Ready to take calls.", Answer::One("Status"))
        },
        Operation {
            handler: get(vitals::metrics),
            ..operation("get", "/metrics", "metrics", "Metrics.", Answer::Text("text/plain"))
        },
        Operation {
            handler: get(openapi::show),
            ..operation("get", "/openapi.json", "openapi", "This document.", Answer::Text("application/json"))
        },
    ]
}
