//! What was signalled, and how it came out.

use std::time::Duration;

use baton_party::{parameter, sipfrag_status};
use baton_time::Mono;
use serde_json::Value;

use super::Finding;
use crate::demo::cast::Role;
use crate::demo::evidence::{Evidence, Part};
use crate::demo::story::Begins;

/// The caller's hang-up reaches everybody within this.
const CANCEL_WITHIN: Duration = Duration::from_millis(50);
/// The AI is hung up on so soon after the bridge.
const AI_DROP_WITHIN: Duration = Duration::from_millis(200);
/// `ring_max` of the AE who does not pick up, and how exact it is to be.
const RING_MAX: Duration = Duration::from_secs(4);
const RING_MAX_SLACK: Duration = Duration::from_millis(250);

/// Every party came to the end of its script, and nothing went wrong at the API.
pub(super) fn script(evidence: &Evidence) -> Option<Finding> {
    let faults = evidence.parts.iter().filter_map(|part| match &part.record.verdict {
        Some(Ok(())) => None,
        Some(Err(fault)) => Some(format!("{}: {fault}", part.role)),
        None => Some(format!("{}: still in the middle of it when the curtain fell", part.role)),
    });
    let troubles: Vec<String> = faults.chain(evidence.book.troubles.iter().cloned()).collect();
    let says = if troubles.is_empty() { "everybody came to the end of the script".to_owned() } else { troubles.join("; ") };
    Some(Finding::new("script", troubles.is_empty(), says))
}

/// The transfer has the outcome that it must have.
pub(super) fn outcome(evidence: &Evidence) -> Option<Finding> {
    let outcome = evidence.outcome().unwrap_or("none");
    let says = format!("the outcome is {outcome}, {} was to be", evidence.story.outcome);
    Some(Finding::new("outcome", outcome == evidence.story.outcome, says))
}

/// Each attempt ended as it must.
pub(super) fn attempts(evidence: &Evidence) -> Option<Finding> {
    if matches!(evidence.story.begins, Begins::Callback { .. }) {
        return None; // a callback has tries of its own
    }
    let attempts =
        evidence.book.transfer.as_ref().and_then(|transfer| transfer["attempts"].as_array()).cloned().unwrap_or_default();
    let word = |attempt: &Value, key: &str| attempt[key].as_str().unwrap_or("?").to_owned();
    let found: Vec<_> = attempts.iter().map(|attempt| (word(attempt, "ae"), word(attempt, "outcome"))).collect();
    let wanted: Vec<_> = evidence.story.attempts.iter().map(|(ae, outcome)| ((*ae).to_owned(), (*outcome).to_owned())).collect();
    let list =
        |pairs: &[(String, String)]| pairs.iter().map(|(ae, outcome)| format!("{ae} {outcome}")).collect::<Vec<_>>().join(", ");
    Some(Finding::new("attempts", found == wanted, format!("attempts: {}; to be: {}", list(&found), list(&wanted))))
}

/// Nobody's leg is left, each INVITE has one final answer, and the daemon knows that the call has ended.
pub(super) fn legs(evidence: &Evidence) -> Option<Finding> {
    let called = |part: &Part| match &part.role {
        Role::Ae(id) => evidence.story.attempts.iter().any(|(ae, _)| ae == id),
        Role::Caller | Role::Ai | Role::AiAgain => true,
    };
    let (called, left_alone): (Vec<&Part>, Vec<&Part>) = evidence.parts.iter().partition(|part| called(part));
    let mut faults: Vec<String> = called.into_iter().filter_map(unfinished).collect();
    let disturbed = left_alone.into_iter().filter(|part| part.saw("INVITE", false).is_some());
    faults.extend(disturbed.map(|part| format!("{}: was called, and should not have been", part.role)));
    let state = evidence.book.ended_call.as_ref().and_then(|call| call["state"].as_str()).unwrap_or("unknown");
    if state != "ended" {
        faults.push(format!("the daemon says that the call is {state}"));
    }
    let says = if faults.is_empty() { "each INVITE has one final answer, no leg is left".to_owned() } else { faults.join("; ") };
    Some(Finding::new("legs-ended", faults.is_empty(), says))
}

fn unfinished(part: &Part) -> Option<String> {
    let seen = |title: &str| part.record.sip.iter().filter(|seen| seen.title == title && !seen.again).count();
    let finals = part.record.sip.iter().filter(|seen| is_final_of_invite(&seen.bytes)).map(|seen| seen.title.clone());
    let mut finals: Vec<String> = finals.collect();
    finals.dedup();
    if seen("INVITE") == 0 {
        return Some(format!("{}: no INVITE", part.role));
    }
    if finals.len() != 1 {
        return Some(format!("{}: final answers to the INVITE: {finals:?}", part.role));
    }
    (finals[0] == "200 OK" && seen("BYE") == 0).then(|| format!("{}: answered, and no BYE", part.role))
}

fn is_final_of_invite(bytes: &[u8]) -> bool {
    baton_party::Message::read(bytes)
        .is_ok_and(|message| message.status().is_some_and(|status| status >= 200) && message.cseq().1 == "INVITE")
}

/// The caller's hang-up stops the AE's phone, and the AI, within 50 ms.
pub(super) fn cancel(evidence: &Evidence) -> Option<Finding> {
    if evidence.story.outcome != "caller_abandoned" {
        return None;
    }
    let left = evidence.caller()?.saw("BYE", true)?;
    let phone = evidence.aes().find_map(|ae| ae.saw("CANCEL", false));
    let ai = evidence.ai()?.saw("BYE", false);
    let after = |at: Option<Mono>| at.map_or("never".to_owned(), |at| format!("{} ms after", at.since(left).as_millis()));
    let says = format!("the caller hangs up; CANCEL at the phone: {}, BYE at the AI: {}", after(phone), after(ai));
    let soon = |at: Option<Mono>| at.is_some_and(|at| evidence.unstalled(left, at) <= CANCEL_WITHIN);
    Some(Finding::new("cancelled-at-once", soon(phone) && soon(ai), says))
}

/// A phone that nobody picks up is cancelled when its time is up.
pub(super) fn ring_max(evidence: &Evidence) -> Option<Finding> {
    let (id, _) = evidence.story.attempts.iter().find(|(_, outcome)| *outcome == "no_answer")?;
    let phone = evidence.part(&Role::Ae((*id).to_owned()))?;
    let rang = phone.saw("INVITE", false).zip(phone.saw("CANCEL", false)).map(|(invite, cancel)| cancel.since(invite));
    let says =
        rang.map_or(format!("{id} was never cancelled"), |rang| format!("{id} was cancelled after {} ms", rang.as_millis()));
    let exact = rang.is_some_and(|rang| rang.abs_diff(RING_MAX) <= RING_MAX_SLACK);
    Some(Finding::new("ring-max", exact, says))
}

/// What an AI that sent a REFER is told: 202, then 100, 180 and, only at the bridge, 200; the subscription ends before the BYE.
pub(super) fn notify(evidence: &Evidence) -> Option<Finding> {
    let ai = evidence.ai()?;
    ai.saw("REFER", true)?;
    let received: Vec<_> = ai.received().collect();
    let accepted = received.iter().any(|(_, message)| message.status() == Some(202) && message.cseq().1 == "REFER");
    let notifies: Vec<_> = received.iter().filter(|(_, message)| message.method() == Some("NOTIFY")).collect();
    let statuses: Vec<u16> = notifies.iter().filter_map(|(_, message)| sipfrag_status(&message.body)).collect();
    let mut order = statuses.clone();
    order.dedup();
    let state = notifies.last().and_then(|(_, message)| message.header("Subscription-State")).unwrap_or_default().to_owned();
    let terminated = state.starts_with("terminated") && parameter(&state, "reason") == Some("noresource");
    let event = notifies.iter().all(|(_, message)| message.header("Event").is_some_and(|event| event.starts_with("refer")));
    let last = notifies.last().map(|(at, _)| *at);
    let not_early = last >= evidence.accepted() && evidence.accepted().is_some();
    let bye = ai.saw("BYE", false);
    let before_bye = last.zip(bye).is_some_and(|(last, bye)| last <= bye);
    let ok = accepted && order == [100, 180, 200] && terminated && event && not_early && before_bye;
    let says = format!(
        "REFER {}; NOTIFY {statuses:?}, the last one {state:?}, {} the acceptance, {} the BYE",
        if accepted { "202" } else { "not accepted" },
        if not_early { "after" } else { "before" },
        if before_bye { "before" } else { "not before" }
    );
    Some(Finding::new("notify", ok, says))
}

/// The AI leg is closed at the bridge.
pub(super) fn ai_dropped(evidence: &Evidence) -> Option<Finding> {
    let bridged = evidence.bridged()?;
    let ai = evidence.ai().filter(|ai| ai.saw("BYE", true).is_none())?; // who leaves needs no BYE
    let bye = ai.saw("BYE", false);
    let says = bye.map_or("the AI got no BYE".to_owned(), |bye| {
        format!("BYE at the AI {} ms after the caller hears the AE", bye.since(bridged).as_millis())
    });
    Some(Finding::new("ai-dropped", bye.is_some_and(|bye| evidence.unstalled(bridged, bye) <= AI_DROP_WITHIN), says))
}
