//! Calls, AEs and callbacks, as lists and one by one.

use baton_contract::{AeView, CallId, CallState, CallView, CallbackView, Page, TransferView};
use serde_json::{Map, Value};

use super::daemon::{Daemon, Trouble};
use super::table::table;
use super::words::{
    self, Here, ae_state, between, call_state, callback_state, clean, driver, leg_state, presence, role, stopwatch, time_in,
};

/// `baton calls`
pub(crate) fn calls(daemon: &Daemon, json: bool, here: &Here) -> Result<String, Trouble> {
    let told = daemon.get::<Page<CallView>>("/v1/calls?limit=1000")?;
    Ok(if json { told.json } else { list(&told.view, "There are no calls.", |calls| calls_table(calls, here)) })
}

/// `baton call ID`
pub(crate) fn call(daemon: &Daemon, json: bool, here: &Here, id: CallId) -> Result<String, Trouble> {
    let told = daemon.get::<CallView>(&format!("/v1/calls/{id}"))?;
    Ok(if json { told.json } else { call_page(&told.view, here) })
}

/// `baton transfer CALL`
pub(crate) fn transfer(
    daemon: &Daemon,
    json: bool,
    call: CallId,
    to: Option<&str>,
    mode: Option<&str>,
) -> Result<String, Trouble> {
    let asked = [("to", to), ("mode", mode)];
    let body: Map<String, Value> =
        asked.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))).collect();
    let told = daemon.post::<TransferView>(&format!("/v1/calls/{call}/transfers"), &body.into())?;
    Ok(if json { told.json } else { transfer_sentence(&told.view) })
}

/// `baton aes`
pub(crate) fn aes(daemon: &Daemon, json: bool) -> Result<String, Trouble> {
    let told = daemon.get::<Page<AeView>>("/v1/aes")?;
    Ok(if json { told.json } else { list(&told.view, "There are no AEs in the configuration.", aes_table) })
}

/// `baton callbacks`
pub(crate) fn callbacks(daemon: &Daemon, json: bool, here: &Here) -> Result<String, Trouble> {
    let told = daemon.get::<Page<CallbackView>>("/v1/callbacks?limit=1000")?;
    Ok(if json { told.json } else { list(&told.view, "There are no callbacks.", |items| callbacks_table(items, here)) })
}

fn list<T>(page: &Page<T>, none: &str, table: impl Fn(&[T]) -> String) -> String {
    if page.items.is_empty() {
        return none.to_owned();
    }
    let rest = if page.next.is_some() { "… and more\n" } else { "" };
    format!("{}{rest}", table(&page.items))
}

fn calls_table(calls: &[CallView], here: &Here) -> String {
    let row = |call: &CallView| {
        [
            call.id.to_string(),
            call_state(call.state).to_owned(),
            call.from.clone(),
            call.to.clone(),
            here.time(call.started_at),
            stopwatch(lasted(call, here)),
            if call.state == CallState::Ended { String::new() } else { driver(call.driver).to_owned() },
            call.transfer.map(|transfer| transfer.to_string()).unwrap_or_default(),
        ]
    };
    table(["CALL", "STATE", "FROM", "TO", "STARTED", "LASTED", "SPEAKS", "TRANSFER"], calls.iter().map(row).collect())
}

fn lasted(call: &CallView, here: &Here) -> std::time::Duration {
    call.ended_at.map_or_else(|| here.since(call.started_at), |ended| between(call.started_at, ended))
}

fn call_page(call: &CallView, here: &Here) -> String {
    let mut facts = vec![
        ("state", format!("{}, {}", call_state(call.state), stopwatch(lasted(call, here)))),
        ("from", call.from.clone()),
        ("to", call.to.clone()),
        ("started", here.time(call.started_at)),
    ];
    facts.extend(call.ended_at.map(|ended| ("ended", here.time(ended))));
    facts.extend((call.state != CallState::Ended).then(|| ("speaks", driver(call.driver).to_owned())));
    facts.extend(call.transfer.map(|transfer| ("transfer", format!("{transfer} (`baton explain {transfer}`)"))));
    let facts: String = facts.iter().map(|(name, value)| format!("  {name:8}  {}\n", clean(value))).collect();
    let leg = |leg: &baton_contract::LegView| {
        let codec = leg.codec.clone().unwrap_or_default();
        [role(leg.role).to_owned(), leg_state(leg.state).to_owned(), codec, leg.sip_call_id.clone(), leg.id.to_string()]
    };
    let legs = table(["LEG", "STATE", "CODEC", "CALL-ID", "ID"], call.legs.iter().map(leg).collect());
    format!("{}\n{facts}\n{legs}", call.id)
}

fn transfer_sentence(transfer: &TransferView) -> String {
    let TransferView { id, mode, state, .. } = transfer;
    format!("{id}: {mode}, {}. `baton explain {id}` tells how it goes.", words::transfer_state(*state))
}

fn aes_table(aes: &[AeView]) -> String {
    let row = |ae: &AeView| {
        [
            ae.id.to_string(),
            ae.name.clone(),
            ae_state(ae.state).to_owned(),
            presence(ae.presence).to_owned(),
            ae.hours.clone(),
            ae.timezone.clone(),
            ae.backup.as_ref().map(ToString::to_string).unwrap_or_default(),
            ae.skills.join(", "),
        ]
    };
    table(["AE", "NAME", "NOW", "SAYS", "HOURS", "ZONE", "BACKUP", "SKILLS"], aes.iter().map(row).collect())
}

fn callbacks_table(callbacks: &[CallbackView], here: &Here) -> String {
    let row = |callback: &CallbackView| {
        [
            callback.id.to_string(),
            callback_state(callback.state).to_owned(),
            here.time(callback.at),
            callback.ae.to_string(),
            callback.caller.clone(),
            time_in(callback.at, &callback.timezone),
        ]
    };
    table(["CALLBACK", "STATE", "AT", "AE", "CALLER", "AT THE CALLER'S"], callbacks.iter().map(row).collect())
}
