//! A random world in the words of a fixture.

use std::time::Duration;

use baton_switchboard::{AiEnds, AnswerCaller, ColdWay, RescueBy};
use baton_time::Mono;
use baton_transfer::{AcceptBy, AfterAe, BriefingBy, WhileDialing};

use super::plan::Plan;
use super::ways::Ways;
use crate::Fate;
use crate::world::BEGINNING;

/// The text of a fixture in which the same is done at the same times.
pub(super) fn write(plan: &Plan, violation: &str, acts: &[(Mono, String)]) -> String {
    let rules = &plan.rules;
    let mut text = format!("# Seed {}: {violation}\n", plan.seed);
    for ae in 0..rules.aes {
        let backup = if ae + 1 < rules.aes { format!(" backup ae{}", ae + 1) } else { String::new() };
        text.push_str(&format!("ae ae{ae}{backup}\n"));
    }
    text.push_str(&format!("set ring_max {}\nset attempts {}\nset seed {}\n", span(rules.ring_max), rules.attempts, plan.seed));
    if rules.accept == AcceptBy::Answer {
        text.push_str("set accept answer\n");
    }
    if rules.after_ae == AfterAe::Ai {
        text.push_str("set after_ae ai\n");
    }
    if rules.wrap_up > Duration::ZERO {
        text.push_str(&format!("set wrap_up {}\n", span(rules.wrap_up)));
    }
    text.push_str(&ways(&rules.ways));
    text.push_str(&format!("set ports {}\n\n", rules.ports));
    for (number, fate) in &plan.fates {
        text.push_str(&match fate {
            Fate::Lost => format!("lose datagram {number}\n"),
            Fate::Twice => format!("double datagram {number}\n"),
            Fate::Late(late) => format!("delay datagram {number} by {}\n", span(*late)),
            Fate::Arrives => String::new(),
        });
    }
    let mut now = BEGINNING;
    for (at, act) in acts {
        if at.since(now) > Duration::ZERO {
            text.push_str(&format!("wait {}\n", span(at.since(now))));
        }
        now = *at;
        text.push_str(&format!("{act}\n"));
    }
    text
}

/// What is configured beside the usual.
fn ways(ways: &Ways) -> String {
    let lines = [
        (ways.while_dialing == WhileDialing::Ai, "set while_dialing ai\n"),
        (ways.while_dialing == WhileDialing::Ringback, "set while_dialing ringback\n"),
        (ways.briefing == BriefingBy::Ai, "set briefing ai\n"),
        (ways.introduce, "set introduce yes\n"),
        (ways.answer == AnswerCaller::Immediate, "set route.answer immediate\n"),
        (ways.rescue == RescueBy::Callback, "set route.rescue callback\n"),
        (ways.rescue == RescueBy::Voicemail, "set route.rescue voicemail\n"),
        (ways.rescue == RescueBy::Nothing, "set route.rescue none\n"),
        (ways.ai_bye == AiEnds::Rescue, "set ai.bye rescue\n"),
        (ways.cold == ColdWay::Refer, "set cold refer\n"),
    ];
    lines.iter().filter(|(is_so, _)| *is_so).map(|(_, line)| *line).collect()
}

fn span(span: Duration) -> String {
    format!("{}ms", span.as_micros() as f64 / 1e3)
}
