//! The stories beside the main road: the other modes, what follows the bridge, and calls that Baton places itself.

use baton_party::{Cue, KeyPath, Pilot, Step};

use super::{Ask, Begins, Story, WARM, ae, calls, decides, gone, greets, hands_over, hears, rings, say, told};

/// All of them.
pub(super) fn all() -> Vec<Story> {
    vec![cold(), callback_kept(), voicemail(), handback(), introduce(), ai_dies(), outbound()]
}

/// The caller picks up a phone that the daemon has rung.
fn is_called() -> Vec<Step> {
    let ring = vec![Step::wait_for(Cue::Invited, 50_000), Step::Ring { status: 180 }, Step::pause(600)];
    [ring, vec![Step::Answer, Step::note("up")], say("jamie-yes")].concat()
}

/// The AI is called a second time, and takes the call.
fn is_called_again() -> Vec<Step> {
    let take = [Step::wait_for(Cue::Invited, 50_000), Step::Ring { status: 180 }, Step::pause(120), Step::Answer];
    [take.to_vec(), hears(Pilot::Caller)].concat()
}

fn cold() -> Story {
    let caller = [
        calls("+15550107", "jamie-address"),
        hears(Pilot::Backup),
        told("sara-address"),
        say("jamie-moved"),
        told("sara-noted"),
        gone(),
    ];
    let ai = [greets(), told("jamie-address"), hands_over("ava-through")];
    let sara = [
        rings("sara-cold", 1_500),
        vec![Step::note("accepts"), Step::Answer],
        hears(Pilot::Caller),
        say("sara-address"),
        told("jamie-moved"),
        say("sara-noted"),
        vec![Step::HangUp],
    ];
    Story {
        name: "cold",
        title: "a cold transfer",
        tells: "No briefing: the caller is passed on, hears the phone ring, and the AI is there until Sara has picked up.",
        dialled: "+15550107",
        caller_number: "+15550127",
        begins: Begins::Caller,
        ask: Ask::Rest {
            wish: r#"{"mode": "cold"}"#,
            to: "sara-cold",
            reason: "explicit_request",
            context: include_str!("../contexts/cold.json"),
        },
        outcome: "bridged",
        joined: "accepts",
        attempts: &[("sara-cold", "accepted")],
        aes: vec![ae("sara-cold", "Sara", Pilot::Backup, sara.concat())],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: Vec::new(),
    }
}

fn callback_kept() -> Story {
    let caller = [
        is_called(),
        vec![Step::wait_for(Cue::Voice, 8_000), Step::pause(3_500), Step::note("confirms")],
        vec![Step::Press { key: '1', by: KeyPath::Rfc4733 }],
        hears(Pilot::Ae),
        told("michael-as-promised"),
        say("jamie-on-time"),
        vec![Step::pause(400), Step::HangUp],
    ];
    let michael = [
        rings("michael-callback-kept", 900),
        decides("michael-pickup", 3_000, "michael-take-it", "accepts", '1'),
        hears(Pilot::Caller),
        say("michael-as-promised"),
        gone(),
    ];
    Story {
        name: "callback-kept",
        title: "a promise is kept",
        tells: "It is time for the callback. Michael is rung and briefed; only then is the caller called, and asked to press 1.",
        dialled: "+15550108",
        caller_number: "+15550128",
        begins: Begins::Callback { in_seconds: 3 },
        ask: Ask::NotAtAll { context: include_str!("../contexts/callback.json") },
        outcome: "kept",
        joined: "confirms",
        attempts: &[("michael-callback-kept", "accepted")],
        aes: vec![ae("michael-callback-kept", "Michael", Pilot::Ae, michael.concat())],
        caller: caller.concat(),
        ai: Vec::new(),
        ai_again: Vec::new(),
    }
}

fn voicemail() -> Story {
    let caller = [
        calls("+15550109", "jamie-message"),
        told("recording"),
        vec![Step::pause(1_500)],
        say("jamie-voicemail"),
        vec![Step::note("ends"), Step::Press { key: '#', by: KeyPath::Rfc4733 }],
        told("transfer.ended"),
        gone(),
    ];
    let ai = [greets(), told("jamie-message"), hands_over("ava-message")];
    Story {
        name: "voicemail",
        title: "a message is left",
        tells: "Nobody is rung. After the tone the caller speaks and presses the pound key; the message is on disk before Baton says so.",
        dialled: "+15550109",
        caller_number: "+15550129",
        begins: Begins::Caller,
        ask: Ask::Rest {
            wish: r#"{"mode": "voicemail"}"#,
            to: "michael-voicemail",
            reason: "explicit_request",
            context: include_str!("../contexts/abandon.json"),
        },
        outcome: "voicemail",
        joined: "accepts",
        attempts: &[],
        aes: vec![ae("michael-voicemail", "Michael", Pilot::Ae, told("transfer.ended"))],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: Vec::new(),
    }
}

fn handback() -> Story {
    let caller = [
        calls("+15550110", "jamie-upgrade"),
        hears(Pilot::Ae),
        told("michael-upgrade"),
        say("jamie-fifty"),
        told("michael-survey"),
        told("ava-again"),
        say("jamie-monday"),
        vec![Step::pause(300), Step::HangUp],
    ];
    let ai = [greets(), told("jamie-upgrade"), hands_over("ava-upgrade")];
    let michael = [
        rings("michael-handback", 600),
        decides("michael-pickup", 1_500, "michael-take-it", "accepts", '1'),
        hears(Pilot::Caller),
        say("michael-upgrade"),
        told("jamie-fifty"),
        say("michael-survey"),
        vec![Step::Press { key: '*', by: KeyPath::Rfc4733 }, Step::pause(300)],
        vec![Step::note("hands-back"), Step::Press { key: '9', by: KeyPath::Rfc4733 }],
        gone(),
    ];
    let ai_again = [is_called_again(), say("ava-again"), gone()];
    Story {
        name: "handback",
        title: "back to the AI",
        tells: "Michael is done and presses star, nine. The AI is called again, knows why, and goes on where Michael stopped.",
        dialled: "+15550110",
        caller_number: "+15550130",
        begins: Begins::Caller,
        ask: Ask::Rest {
            wish: WARM,
            to: "michael-handback",
            reason: "explicit_request",
            context: include_str!("../contexts/warm.json"),
        },
        outcome: "bridged",
        joined: "accepts",
        attempts: &[("michael-handback", "accepted")],
        aes: vec![ae("michael-handback", "Michael", Pilot::Ae, michael.concat())],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: ai_again.concat(),
    }
}

fn introduce() -> Story {
    let caller = [
        calls("+15550111", "jamie-pricing"),
        hears(Pilot::Ae),
        told("michael-pricing"),
        say("jamie-no-repeat"),
        told("michael-offer"),
        say("jamie-thank-you"),
        vec![Step::HangUp],
    ];
    let ai = [
        greets(),
        told("jamie-pricing"),
        say("ava-bring-michael"),
        vec![Step::note("ask")],
        told("accepts"),
        hears(Pilot::Ae),
        say("ava-introduces"),
        vec![Step::note("leaves"), Step::HangUp],
    ];
    let michael = [
        rings("michael-introduce", 600),
        decides("michael-pickup", 1_500, "michael-take-it", "accepts", '1'),
        hears(Pilot::Caller),
        told("leaves"),
        vec![Step::pause(500)],
        say("michael-pricing"),
        told("jamie-no-repeat"),
        say("michael-offer"),
        gone(),
    ];
    Story {
        name: "introduce",
        title: "the AI introduces them",
        tells: "Once Michael has accepted there are three on the line. The AI says who is who, and leaves the two alone.",
        dialled: "+15550111",
        caller_number: "+15550131",
        begins: Begins::Caller,
        ask: Ask::Rest {
            wish: r#"{"mode": "warm", "introduce": true}"#,
            to: "michael-introduce",
            reason: "explicit_request",
            context: include_str!("../contexts/warm.json"),
        },
        outcome: "bridged",
        joined: "leaves",
        attempts: &[("michael-introduce", "accepted")],
        aes: vec![ae("michael-introduce", "Michael", Pilot::Ae, michael.concat())],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: Vec::new(),
    }
}

fn ai_dies() -> Story {
    let caller = [
        calls("+15550112", "jamie-invoice"),
        hears(Pilot::Backup),
        told("sara-gone"),
        say("jamie-gone"),
        vec![Step::pause(300), Step::HangUp],
    ];
    let ai = [
        greets(),
        vec![Step::note("knows")],
        told("jamie-invoice"),
        vec![
            Step::Say("ava-dies".to_owned()),
            Step::pause(2_600),
            Step::note("dies"),
            Step::HangUpBecause("SIP;cause=503".to_owned()),
        ],
    ];
    let sara = [
        rings("sara-ai-dies", 600),
        decides("sara-pickup", 1_500, "sara-take-it", "accepts", '1'),
        hears(Pilot::Caller),
        say("sara-gone"),
        told("jamie-gone"),
        gone(),
    ];
    Story {
        name: "ai-dies",
        title: "the AI breaks off",
        tells: "In the middle of a sentence the AI is gone. The caller hears music, and Sara is told; nobody had asked for her.",
        dialled: "+15550112",
        caller_number: "+15550132",
        begins: Begins::Caller,
        ask: Ask::NotAtAll { context: include_str!("../contexts/ai-dies.json") },
        outcome: "bridged",
        joined: "accepts",
        attempts: &[("sara-ai-dies", "accepted")],
        aes: vec![ae("sara-ai-dies", "Sara", Pilot::Backup, sara.concat())],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: Vec::new(),
    }
}

fn outbound() -> Story {
    let caller = [
        is_called(),
        hears(Pilot::Ai),
        told("ava-calls"),
        say("jamie-keep"),
        hears(Pilot::Ae),
        told("michael-pricing"),
        say("jamie-no-repeat"),
        vec![Step::pause(300), Step::HangUp],
    ];
    let take = vec![Step::wait_for(Cue::Invited, 20_000), Step::Answer];
    let ai =
        [take, hears(Pilot::Caller), told("jamie-yes"), say("ava-calls"), told("jamie-keep"), hands_over("ava-bring-michael")];
    let michael = [
        rings("michael-outbound", 600),
        decides("michael-pickup", 1_500, "michael-take-it", "accepts", '1'),
        hears(Pilot::Caller),
        say("michael-pricing"),
        told("jamie-no-repeat"),
        gone(),
    ];
    Story {
        name: "outbound",
        title: "the AI calls",
        tells: "Baton calls the customer for the AI. The customer wants a person, and gets one in the same call.",
        dialled: "+15550113",
        caller_number: "+15550133",
        begins: Begins::Outbound,
        ask: Ask::Rest {
            wish: WARM,
            to: "michael-outbound",
            reason: "explicit_request",
            context: include_str!("../contexts/warm.json"),
        },
        outcome: "bridged",
        joined: "accepts",
        attempts: &[("michael-outbound", "accepted")],
        aes: vec![ae("michael-outbound", "Michael", Pilot::Ae, michael.concat())],
        caller: caller.concat(),
        ai: ai.concat(),
        ai_again: Vec::new(),
    }
}
